"""Golden samples: pictures that travel with a model, and the answers expected of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from models.manifest import Golden
from runtime.frames import Frame, packed
from runtime.loop import Model
from runtime.score import corners
from runtime.tasks import Box, Class, Found, Stats
from runtime.tasks.overlap import overlaps
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
    """What the model finds in a picture file, by the same way that a camera's frame takes."""
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


def read_answer(path: Path, task: str) -> Found:
    """An expected answer: a JSON list of objects with the fields of Class, Box or Stats."""
    kinds: dict[str, Any] = {
        "classify": tuple[Class, ...],
        "detect": tuple[Box, ...],
        "raw": tuple[Stats, ...],
    }
    try:
        found: Found = msgspec.json.decode(path.read_bytes(), type=kinds[task])
    except (OSError, *UNREADABLE) as error:
        raise Refused(f"{path}: not an expected answer: {error}") from None
    return found


def differs(expected: Found, found: Found, sample: Golden) -> str | None:
    """In words, how an answer differs from the expected one by more than the tolerance allows."""
    if expected and isinstance(expected[0], Class):
        return _class_differs(expected, found, sample)
    if expected and isinstance(expected[0], Stats):
        return _stats_differ(expected, found, sample)
    if not expected and found and not isinstance(found[0], Box):
        return f"expected nothing, found {_name(found[0])}"
    return _boxes_differ(expected, found, sample)


def _class_differs(expected: Found, found: Found, sample: Golden) -> str | None:
    want, got = expected[0], found[0] if found else None
    if not isinstance(want, Class) or not isinstance(got, Class):
        return f"expected {_name(want)}, found nothing"
    if want.index != got.index:
        return f"expected {want.label}, found {got.label} ({got.score:.2f})"
    if not abs(want.score - got.score) <= sample.tolerance:  # NaN must fail
        return f"{want.label}: expected score {want.score:.2f}, found {got.score:.2f}"
    return None


def _boxes_differ(expected: Found, found: Found, sample: Golden) -> str | None:
    left = [each for each in found if isinstance(each, Box)]
    for want in expected:
        if not isinstance(want, Box):
            continue
        same = [each for each in left if _matches(want, each, sample)]
        if not same:
            return f"expected {want.label} at {want.x:.0f},{want.y:.0f}: not found there"
        left.remove(same[0])
    if left:
        return f"found {left[0].label} ({left[0].score:.2f}), which is not expected"
    return None


def _matches(want: Box, got: Box, sample: Golden) -> bool:
    if want.index != got.index or not abs(want.score - got.score) <= sample.tolerance:
        return False
    overlap = overlaps(corners(want), corners(got)[None])[0]
    return bool(overlap >= sample.min_overlap)


def _stats_differ(expected: Found, found: Found, sample: Golden) -> str | None:
    for want, got in zip(expected, found, strict=False):
        if not isinstance(want, Stats) or not isinstance(got, Stats):
            return f"expected {_name(want)}, found {_name(got)}"
        room = sample.tolerance * max(want.maximum - want.minimum, 1e-6)
        for name in ("minimum", "maximum", "mean"):
            if not abs(getattr(want, name) - getattr(got, name)) <= room:
                return f"{want.name}: expected {name} {getattr(want, name):.4g}, found " + (
                    f"{getattr(got, name):.4g}"
                )
    if len(expected) != len(found):
        return f"expected {len(expected)} outputs, found {len(found)}"
    return None


def _name(one: object) -> str:
    return str(getattr(one, "label", None) or getattr(one, "name", "nothing"))
