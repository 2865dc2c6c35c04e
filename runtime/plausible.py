"""Can this file be a model at all? Seen from its first bytes or its frame, without an engine."""

from __future__ import annotations

from pathlib import Path

from runtime.engines.onnx_outside import check_outside
from wire.troubles import Refused

TFLITE_MARK = b"TFL3"  # in bytes 4 to 7; before it, where the model's root is


def check_plausible(file: Path) -> None:
    """Raises Refused for what no engine would load. A file that passes may still be damaged."""
    if file.suffix.lower() == ".onnx":
        check_outside(file)
    elif file.suffix.lower() == ".tflite":
        _check_tflite(file)


def _check_tflite(file: Path) -> None:
    try:
        with open(file, "rb") as content:
            head = content.read(8)
        size = file.stat().st_size
    except OSError as error:
        raise Refused(f"{file}: cannot be read: {error.strerror}") from None
    if head[4:] != TFLITE_MARK or int.from_bytes(head[:4], "little") >= size:
        raise Refused(f"{file}: it is no TFLite model, or a damaged one: copy or export it again")
