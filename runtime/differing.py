"""How an answer differs from the one that is expected: each kind of thing by its own measure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from models.manifest import Golden
from runtime import masks
from runtime.score import corners
from runtime.tasks import (
    Box,
    Class,
    Entry,
    Found,
    Instance,
    Pose,
    Region,
    Stats,
    Value,
    Vector,
    name_of,
)
from runtime.tasks.overlap import overlaps

# How far a keypoint may be off, by the root of the box's area: in the middle of COCO's own, which
# are 0.025 for eyes to 0.107 for hips. (Lin et al., cocodataset.org/#keypoints-eval)
SIGMA = 0.05
VISIBLE = 0.3  # points of a lower score lie anywhere


def differs(expected: Found, found: Found, sample: Golden) -> str | None:
    """In words, how an answer differs from the expected one by more than the sample allows."""
    kind = type(expected[0] if expected else found[0]) if expected or found else Box
    if not expected and kind not in (Box, Instance, Pose, Region):
        return f"expected nothing, found {name_of(found[0])}"
    judge = JUDGES[kind]
    return judge(expected, found, sample)


def _class_differs(expected: Sequence[Class], found: Found, sample: Golden) -> str | None:
    want, got = expected[0], found[0] if found else None
    if not isinstance(got, Class):
        return f"expected {want.label}, found nothing"
    if want.index != got.index:
        return f"expected {want.label}, found {got.label} ({got.score:.2f})"
    if not abs(want.score - got.score) <= sample.tolerance:  # NaN must fail
        return f"{want.label}: expected score {want.score:.2f}, found {got.score:.2f}"
    return None


def _boxes_differ(expected: Sequence[Box], found: Found, sample: Golden) -> str | None:
    left = [each for each in found if isinstance(each, Box)]
    for want in expected:
        same = [each for each in left if matches(want, each, sample)]
        if not same:
            return f"expected {want.label} at {want.x:.0f},{want.y:.0f}: not found there"
        left.remove(same[0])
    if left:
        return f"found {left[0].label} ({left[0].score:.2f}), which is not expected"
    return None


def matches(want: Box, got: Box, sample: Golden) -> bool:
    """Whether this is the box, the instance or the pose that was expected."""
    if want.index != got.index or not abs(want.score - got.score) <= sample.tolerance:
        return False
    if isinstance(want, Pose) and any(point.score >= VISIBLE for point in want.points):
        return isinstance(got, Pose) and similarity(want, got) >= sample.min_overlap
    if not overlaps(corners(want), corners(got)[None])[0] >= sample.min_overlap:
        return False
    if isinstance(want, Instance) and want.mask is not None:
        return isinstance(got, Instance) and masks.overlap(want, got) >= sample.min_overlap
    return True


def similarity(want: Pose, got: Pose) -> float:
    """COCO's object keypoint similarity (OKS), 0 to 1: the mean of exp(-d^2 / (2 s^2 k^2)) over
    the points that can be seen in `want`; s^2 is the area of its box and k = 2 SIGMA."""
    if len(want.points) != len(got.points):
        return 0.0
    room = 2 * max(want.width * want.height, 1e-6) * (2 * SIGMA) ** 2
    alike = [
        math.exp(-min(_squared(math.hypot(a.x - b.x, a.y - b.y)) / room, 700.0))
        for a, b in zip(want.points, got.points, strict=True)
        if a.score >= VISIBLE
    ]
    return sum(alike) / len(alike) if alike else 1.0


def _squared(value: float) -> float:
    return value * value  # infinite where ** raises


def _regions_differ(expected: Sequence[Region], found: Found, sample: Golden) -> str | None:
    """Regions that cover less than the tolerance may come and go."""
    left = {each.index: each for each in found if isinstance(each, Region)}
    for want in expected:
        got = left.pop(want.index, None)
        if not want.share > sample.tolerance:
            continue
        if got is None:
            return f"expected {want.label} in {want.share:.0%} of the picture: not found"
        if not abs(want.share - got.share) <= sample.tolerance:
            return f"{want.label}: expected in {want.share:.0%} of the picture, found in " + (
                f"{got.share:.0%}"
            )
        alike = masks.overlap(want, got)
        if not alike >= sample.min_overlap:
            return f"{want.label}: overlaps the expected region by {alike:.2f}"
    large = [each for each in left.values() if each.share > sample.tolerance]
    if large:
        return f"found {large[0].label} in {large[0].share:.0%}, which is not expected"
    return None


def _vectors_differ(expected: Sequence[Vector], found: Found, sample: Golden) -> str | None:
    want, got = expected[0], found[0] if found else None
    if not isinstance(got, Vector):
        return f"expected {want.name}, found nothing"
    if len(want.values) != len(got.values):
        return f"{want.name}: expected {len(want.values)} numbers, found {len(got.values)}"
    alike = cosine(want.values, got.values)
    if not alike >= sample.min_cosine:
        return f"{want.name}: its cosine with the expected vector is {alike:.3f}"
    if not abs(want.length - got.length) <= sample.tolerance * want.length:
        return f"{want.name}: expected length {want.length:.4g}, found {got.length:.4g}"
    return None


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Of the angle between two vectors of one size, -1 to 1; 0 where one has no length."""
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    with np.errstate(all="ignore"):
        length = float(np.linalg.norm(a) * np.linalg.norm(b))
        return float(a @ b) / length if length > 0 else 0.0


def _values_differ(expected: Sequence[Value], found: Found, sample: Golden) -> str | None:
    """The tolerance is a share of the largest of them: nobody knows their unit."""
    if len(expected) != len(found):
        return f"expected {len(expected)} values, found {len(found)}"
    room = sample.tolerance * max(abs(want.value) for want in expected)
    entries: Sequence[Entry] = found
    for want, got in zip(expected, entries, strict=True):
        if not isinstance(got, Value) or not abs(want.value - got.value) <= room + 1e-6:
            number = f"{got.value:.6g}" if isinstance(got, Value) else name_of(got)
            return f"{want.name}: expected {want.value:.6g}, found {number}"
    return None


def _stats_differ(expected: Sequence[Stats], found: Found, sample: Golden) -> str | None:
    entries: Sequence[Entry] = found
    for want, got in zip(expected, entries, strict=False):
        if not isinstance(got, Stats):
            return f"expected {want.name}, found {name_of(got)}"
        room = sample.tolerance * max(want.maximum - want.minimum, 1e-6)
        for name in ("minimum", "maximum", "mean"):
            if not abs(getattr(want, name) - getattr(got, name)) <= room:
                return f"{want.name}: expected {name} {getattr(want, name):.4g}, found " + (
                    f"{getattr(got, name):.4g}"
                )
    if len(expected) != len(found):
        return f"expected {len(expected)} outputs, found {len(found)}"
    return None


JUDGES: dict[type[Entry], Callable[[Any, Found, Golden], str | None]] = {
    Class: _class_differs,
    Box: _boxes_differ,
    Instance: _boxes_differ,
    Pose: _boxes_differ,
    Region: _regions_differ,
    Vector: _vectors_differ,
    Value: _values_differ,
    Stats: _stats_differ,
}
