"""Golden samples: pictures that travel with a model, and the answers expected of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import msgspec
import numpy as np

from runtime import masks
from runtime.cameras import open_camera
from runtime.differing import differs
from runtime.frames import Frame, packed
from runtime.loop import Model
from runtime.tasks import Box, Class, Found, Instance, Mask, Pose, Region, Stats, Value, Vector
from wire.troubles import Refused
from wire.unreadable import UNREADABLE


def check_golden(model: Model, folder: Path) -> int:
    """Run every golden sample. Returns how many there are; Refused names the first that fails."""
    for sample in model.manifest.golden:
        expected = read_answer(folder / sample.answer, model.manifest.task)
        found = answer(model, folder / sample.picture)
        why = differs(expected, found, sample)
        if why:
            raise Refused(f"{folder}: golden sample {sample.picture}: {why}")
    return len(model.manifest.golden)


def answer(model: Model, picture: Path) -> Found:
    """What the model finds in a picture file (or a CSV file of one row), by the same way that a
    camera's frame takes. Raises Refused."""
    if model.manifest.row is not None:
        return _answer_to_row(model, picture)
    try:
        pixels = cv2.imdecode(np.frombuffer(picture.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        pixels = None
    if pixels is None:
        raise Refused(f"{picture}: is not a picture that can be read")
    height, width = pixels.shape[:2]
    flat: Any = np.ascontiguousarray(pixels).reshape(-1)
    with Frame(0, 0, packed("BGR3", width, height), flat, lambda: None) as frame:
        view = model.prepare(frame, model.engine.input())
    return model.decode(model.engine.run(), view)


def _answer_to_row(model: Model, file: Path) -> Found:
    with open_camera(f"rows://{quote(str(file))}", model.aim) as camera:
        frame = camera.read(0.0)
        assert frame is not None, "start() looks at the first row"
        with frame:
            view = model.prepare(frame, model.engine.input())
    return model.decode(model.engine.run(), view)


def read_answer(path: Path, task: str) -> Found:
    """An expected answer: a JSON list of objects with the fields of what the task finds."""
    try:
        found: Found = msgspec.json.decode(path.read_bytes(), type=KINDS[task])
    except (OSError, *UNREADABLE) as error:
        raise Refused(f"{path}: not an expected answer: {error}") from None
    if task != "segment":
        return found
    pieces: Any = found
    for piece in pieces:
        if piece.mask is not None and not masks.is_sound(piece.mask):
            raise Refused(f"{path}: not an expected answer: {piece.label}: no mask can be so")
    outlined = tuple(_outlined(piece, path) for piece in pieces)
    if len(set(map(type, outlined))) > 1:
        raise Refused(f"{path}: not an expected answer: regions and instances in one")
    return outlined  # type: ignore[return-value]


@dataclass(frozen=True)
class _Piece:
    """A Region or an Instance: a task finds both, and only a region has a share."""

    index: int
    label: str
    x: float
    y: float
    width: float
    height: float
    score: float | None = None
    share: float | None = None
    mask: Mask | None = None


def _outlined(piece: _Piece, path: Path) -> Region | Instance:
    sides = piece.x, piece.y, piece.width, piece.height
    if piece.share is not None and piece.mask is not None:
        share, mask = piece.share, piece.mask
        return Region(piece.index, piece.label, piece.score, share, *sides, mask)
    if piece.share is not None or piece.score is None:
        raise Refused(f"{path}: not an expected answer: {piece.label}: needs a score, or a mask")
    return Instance(piece.index, piece.label, piece.score, *sides, piece.mask)


KINDS: dict[str, Any] = {
    "classify": tuple[Class, ...],
    "detect": tuple[Box, ...],
    "segment": tuple[_Piece, ...],
    "pose": tuple[Pose, ...],
    "embed": tuple[Vector, ...],
    "regress": tuple[Value, ...],
    "raw": tuple[Stats, ...],
}
