"""How sure a model is of what it finds in a picture: would a small difference change it?"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace as replaced

from runtime.golden import answer
from runtime.loop import Model
from runtime.opening import DECODERS
from runtime.tasks import Box, Class, Region, Stats, Value
from runtime.tasks.classify import make_decode as make_classify

SURE = 0.6  # the mean probability of a region that is the same elsewhere


@dataclass(frozen=True)
class Judged:
    """A picture that the model is sure of. kind: the classes to be seen; sure: more is surer."""

    kind: tuple[int, ...]
    sure: float


class Doubt(Protocol):
    """Judges pictures for one model. must_find: a picture alone in which nothing is found shows
    nothing. advice: what to do where it is sure of none."""

    model: Model
    must_find: bool
    advice: str

    def judge(self, picture: Path) -> Judged | None:
        """None if the answer could be another one elsewhere."""


def doubting(model: Model, tolerance: float) -> Doubt:
    """tolerance: by how much scores may differ elsewhere, 0 to 1."""
    if model.manifest.task == "classify":
        return ClassDoubt(model, tolerance)
    if model.manifest.task in ("detect", "pose"):
        return BoxDoubt(model, tolerance)
    if model.manifest.task == "segment":
        is_boxes = model.manifest.decoding.head == "yolov8"
        return BoxDoubt(model, tolerance) if is_boxes else RegionDoubt(model, tolerance)
    if model.manifest.task == "embed":
        return VectorDoubt(model)
    return ValueDoubt(model) if model.manifest.task == "regress" else StatsDoubt(model)


class ClassDoubt:
    """The first class must be far before the second."""

    must_find = True
    advice = "give pictures of its classes, and check how they are normalised ([input] mean, std)"

    def __init__(self, model: Model, tolerance: float) -> None:
        self.model = model
        self._tolerance = tolerance
        decoding = replaced(model.manifest.decoding, top_k=2, min_score=0.0)
        both = replaced(model.manifest, decoding=decoding)
        self._both = replace(model, decode=make_classify(both, model.engine.gives, model.labels))

    def judge(self, picture: Path) -> Judged | None:
        found = [each for each in answer(self._both, picture) if isinstance(each, Class)]
        if not found:
            return None
        margin = found[0].score - (found[1].score if len(found) > 1 else 0.0)
        least = self.model.manifest.decoding.min_score + self._tolerance
        if not (margin >= 2 * self._tolerance and found[0].score >= least):  # NaN must fail
            return None
        return Judged((found[0].index,), margin)


class BoxDoubt:
    """Every box must be far above the threshold, and nothing else close below it."""

    must_find = True
    advice = "give pictures of what it should find, or correct [decoding] min_score"

    def __init__(self, model: Model, tolerance: float) -> None:
        self.model = model
        threshold = model.manifest.decoding.min_score
        self._least = threshold + tolerance
        lower = max(threshold / 2, threshold - tolerance)
        decoding = replaced(model.manifest.decoding, min_score=lower)
        low = replaced(model.manifest, decoding=decoding)
        make_decode = importlib.import_module(DECODERS[model.manifest.task]).make_decode
        if model.anchors is not None:
            make_decode = partial(make_decode, anchors=model.anchors)
        decode = make_decode(low, model.engine.gives, model.labels)
        self._tempted = replace(model, decode=decode)

    def judge(self, picture: Path) -> Judged | None:
        found = [each for each in answer(self._tempted, picture) if isinstance(each, Box)]
        if not all(each.score >= self._least for each in found):
            return None
        kind = tuple(sorted({each.index for each in found}))
        return Judged(kind, min((each.score for each in found), default=1.0))


class RegionDoubt:
    """Every region must be sure, and so large that it cannot come and go, or so small that it is
    not compared."""

    must_find = True
    advice = "give pictures of what it should find, or correct [decoding] min_share"

    def __init__(self, model: Model, tolerance: float) -> None:
        self.model = model
        self._tolerance = tolerance

    def judge(self, picture: Path) -> Judged | None:
        found = [each for each in answer(self.model, picture) if isinstance(each, Region)]
        if any(self._tolerance / 2 < each.share < self._tolerance * 1.5 for each in found):
            return None
        large = [each for each in found if each.share > self._tolerance]
        scores = [each.score for each in large if each.score is not None]
        if not all(score >= SURE for score in scores):  # NaN must fail
            return None
        return Judged(tuple(sorted({each.index for each in large})), min(scores, default=1.0))


class VectorDoubt:
    """There must be a vector: how it turns on another processor nobody can tell from here."""

    must_find = False
    advice = "its outputs are no numbers, or all 0: export the model again"

    def __init__(self, model: Model) -> None:
        self.model = model

    def judge(self, picture: Path) -> Judged | None:
        return Judged((0,), 1.0) if answer(self.model, picture) else None


class ValueDoubt:
    """There must be numbers. The larger, the less does rounding weigh."""

    must_find = False
    advice = "its outputs are no numbers: check the columns and their normalising ([row])"

    def __init__(self, model: Model) -> None:
        self.model = model

    def judge(self, picture: Path) -> Judged | None:
        found = [each.value for each in answer(self.model, picture) if isinstance(each, Value)]
        return Judged((0,), max(map(abs, found))) if found else None


class StatsDoubt:
    """Numbers of no known meaning: they must be numbers."""

    must_find = False
    advice = "its outputs are no numbers: export the model again"

    def __init__(self, model: Model) -> None:
        self.model = model

    def judge(self, picture: Path) -> Judged | None:
        found = [each for each in answer(self.model, picture) if isinstance(each, Stats)]
        numbers = [n for each in found for n in (each.minimum, each.maximum, each.mean)]
        return Judged((0,), 1.0) if all(map(math.isfinite, numbers)) else None
