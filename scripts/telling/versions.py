"""The four versions of the demo's model: two good ones, one that lies, and one that is too slow."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.telling.machines import ROOT

DIGITS = ROOT / "models" / "zoo" / "digits" / "tflite"
SLOWER = 100  # about 10 ms an inference where the real one takes 0.1 ms
LIMIT_MS = 2.5  # the most that v4's own manifest allows


def good(folder: Path, version: str) -> Path:
    """The zoo's digits under another version, and with another digest."""
    made = folder / f"digits-{version}"
    shutil.copytree(DIGITS, made)
    _edit(made, r'version = "1"', f'version = "{version}"')
    _edit(made, r"top_k = 3", f"top_k = {2 + int(version)}")
    return made


def lying(folder: Path, version: str) -> Path:
    """Its golden answers are of another model: what a mixed-up export looks like."""
    made = good(folder, version)
    answer = made / "golden-1.json"
    classes = json.loads(answer.read_text())
    turned = [one | {"index": (one["index"] + 1) % 10} for one in classes]
    for one in turned:
        if one.get("label"):
            one["label"] = str(one["index"])
    answer.write_text(json.dumps(turned))
    return made


def slow(folder: Path, version: str) -> Path:
    """The same answers, far too late."""
    whole = good(folder / "whole", version)
    made = folder / f"digits-{version}"
    tool = [sys.executable, str(ROOT / "scripts" / "slow-model"), str(whole), str(made)]
    subprocess.run([*tool, "--times", str(SLOWER)], stdout=sys.stderr, check=True)
    with open(made / "manifest.toml", "a", encoding="utf-8") as manifest:
        manifest.write(f"\n[limits]\np95_ms = {LIMIT_MS}\n")
    return made


def _edit(folder: Path, pattern: str, replacement: str) -> None:
    path = folder / "manifest.toml"
    text, count = re.subn(pattern, replacement, path.read_text(encoding="utf-8"))
    assert count == 1, pattern
    path.write_text(text, encoding="utf-8")
