"""Preprocessing as Ultralytics writes it into the metadata of the .onnx files that it exports."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from wire.troubles import Refused, Unavailable
from workshop.preprocessing import Preprocessing

LETTERBOXED = ("detect", "segment", "pose", "obb")
GREY = 114  # what Ultralytics' LetterBox puts beside a picture


def read_metadata(path: Path) -> Preprocessing:
    """Raises Refused for a file of anybody else, whose preprocessing is not written down in it."""
    told = _metadata(path)
    if "Ultralytics" not in told.get("description", "") + told.get("author", ""):
        raise Refused(
            f"{path}: its metadata says nothing of preprocessing: give a file that does, or the "
            "training's own function"
        )
    task = told.get("task", "detect")
    sides = _literal(told.get("imgsz", ""), list)
    height, width = (sides[0], sides[-1]) if sides else (None, None)
    names = _literal(told.get("names", ""), dict)
    labels = tuple(str(names[key]) for key in sorted(names)) if names else ()
    shared: Any = {
        "width": width, "height": height, "colour": "rgb", "layout": "NCHW",
        "mean": (0.0,), "std": (255.0,), "labels": labels,
        "source": f"metadata of {path.name}, by Ultralytics",
    }  # fmt: skip
    if task in LETTERBOXED:
        return Preprocessing(**shared, fit="letterbox", interpolation="bilinear", padding=GREY)
    return Preprocessing(**shared, fit="crop", interpolation="antialias")


def _metadata(path: Path) -> dict[str, str]:
    try:
        import onnx
    except ImportError:
        raise Unavailable(
            "onnx is missing, which reads .onnx files: pip install 'vedette[workshop]'"
        ) from None
    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from None
    except Exception as error:  # protobuf's own error, whose package need not be known here
        raise Refused(f"{path}: is no ONNX model: {error}") from None
    return {entry.key: entry.value for entry in model.metadata_props}


def _literal(text: str, kind: type) -> Any:
    """A Python value as Ultralytics writes it, if it is of this kind; None otherwise."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError):
        return None
    return value if isinstance(value, kind) and value else None
