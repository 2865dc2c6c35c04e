"""How often two models say the same, whatever is true; and where one of them got worse."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, sqrt
from typing import Any

import numpy as np

from runtime import masks
from runtime.differing import cosine
from runtime.tasks import Box, Class, Found, Region, Value, Vector
from workshop.comparing.answers import Answer
from workshop.comparing.boxes import matched
from workshop.comparing.results import Changed

CONFIDENT = 1.96  # standard deviations: 95 % of a normal distribution
NAMES = 12  # of lost samples that are told


def agreement(one: Sequence[Answer], other: Sequence[Answer]) -> float | None:
    """Mean over the samples of how alike both answers are, 0 to 1; None where that has no meaning.

    Classes: whether the best is the same. Boxes: twice those that fit (class, and IoU of 0.5) over
    all boxes of both. Regions: IoU, by the share that they cover. Vectors: their cosine, not
    below 0. Numbers of a regression: the share of the other's variance that they explain (R2).
    """
    if any(isinstance(entry, Value) for each in (*one, *other) for entry in each.found):
        return _explained([each.found for each in one], [each.found for each in other])
    alike = [_alike(a.found, b.found) for a, b in zip(one, other, strict=True)]
    known = [each for each in alike if each is not None]
    return float(np.mean(known)) if known else None


def _alike(one: Found, other: Found) -> float | None:
    if not one and not other:
        return 1.0
    kind = type((one or other)[0])
    ours: Any = one
    theirs: Any = other
    if issubclass(kind, Class):
        return float(bool(one and other) and ours[0].index == theirs[0].index)
    if issubclass(kind, Box):
        return _boxes_alike(ours, theirs)
    if issubclass(kind, Region):
        return _regions_alike(ours, theirs)
    if issubclass(kind, Vector) and one and other:
        return max(0.0, cosine(ours[0].values, theirs[0].values))
    return None


def _boxes_alike(one: Sequence[Box], other: Sequence[Box]) -> float:
    fit = 0
    for index in {box.index for box in one}:
        ours, theirs = ([box for box in each if box.index == index] for each in (one, other))
        fit += sum(place is not None for place in matched(ours, theirs))
    return 2 * fit / (len(one) + len(other))


def _regions_alike(one: Sequence[Region], other: Sequence[Region]) -> float:
    theirs = {region.index: region for region in other}
    shared = total = 0.0
    for region in one:
        twin = theirs.pop(region.index, None)
        weight = max(region.share, 0.0 if twin is None else twin.share)
        total += weight
        shared += weight * (0.0 if twin is None else masks.overlap(region, twin))
    total += sum(region.share for region in theirs.values())
    return shared / total if total else 1.0


def _explained(one: Sequence[Found], other: Sequence[Found]) -> float | None:
    """R2 of the first by the second, the mean over all numbers that both predict, not below 0."""
    both = [(a, b) for a, b in zip(one, other, strict=True) if a and b and len(a) == len(b)]
    if not both:
        return None
    ours, theirs = (
        np.array([[entry.value for entry in found if isinstance(entry, Value)] for found in side])
        for side in zip(*both, strict=True)
    )
    left = ((ours - theirs) ** 2).sum(axis=0)
    whole = ((theirs - theirs.mean(axis=0)) ** 2).sum(axis=0)
    shares = np.where(whole > 0, 1 - left / np.where(whole > 0, whole, 1), left == 0)
    return float(np.mean(np.clip(shares, 0, 1)))


def changed(reference: Sequence[Answer], answers: Sequence[Answer]) -> Changed | None:
    """What a classifier lost and gained beside another; None where no class is true."""
    pairs = [
        (a, _is_right(a), _is_right(b)) for a, b in zip(reference, answers, strict=True)
        if a.truth is not None and len(a.truth) == 1
    ]  # fmt: skip
    kinds = {type(entry) for each in (*reference, *answers) for entry in each.found}
    if not pairs or kinds != {Class}:
        return None
    lost = [answer.name for answer, was, now in pairs if was and not now]
    gained = sum(now and not was for _, was, now in pairs)
    return Changed(len(lost), gained, _chance(len(lost), gained), tuple(lost[:NAMES]))


def _is_right(answer: Answer) -> bool:
    best = answer.found[0] if answer.found else None
    true = answer.truth[0] if answer.truth else None
    return isinstance(best, Class) and true is not None and best.index == true.index


def _chance(lost: int, gained: int) -> float:
    """Two-sided: of as many changes, each of which goes either way by the toss of a coin."""
    changes, fewer = lost + gained, min(lost, gained)
    tails = sum(comb(changes, k) for k in range(fewer + 1))
    return min(1.0, tails / 2 ** (changes - 1)) if changes else 1.0


def interval(share: float, count: int) -> tuple[float, float]:
    """95 % confidence of a share of so many samples (Wilson 1927, JASA 22, 209-212)."""
    square = CONFIDENT**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = (
        CONFIDENT
        / (1 + square / count)
        * sqrt(share * (1 - share) / count + square / (4 * count**2))
    )
    return max(0.0, middle - half), min(1.0, middle + half)
