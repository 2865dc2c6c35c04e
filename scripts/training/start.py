"""Starts a trainer: says what is missing before anything heavy is imported."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("tensorflow", "sklearn", "onnx", "onnxruntime", "ai_edge_litert", "cv2", "msgspec")


def start(what: str | None, module: str, name: str) -> None:
    """Read the command line and call `train(folder)` of a module beside this one."""
    parser = argparse.ArgumentParser(prog=f"scripts/train-{name}", description=what)
    parser.add_argument(
        "--into",
        type=Path,
        default=ROOT / "models" / "zoo" / name,
        help=f"model folder to write (default: models/zoo/{name})",
    )
    words = parser.parse_args()
    missing = [package for package in NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        sys.exit(f"{parser.prog}: no {', '.join(missing)} here: pip install -e '.[train,litert]'")
    sys.path.insert(0, str(ROOT))
    importlib.import_module(module).train(words.into)
