"""Scores of live results, added up; what is no score is counted apart."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.manifest import Decoding
from runtime.confidence import ROUNDING, Confidence
from runtime.loop import Model
from runtime.tasks import Box, Class, Found, Mask, Region, Stats, Vector
from tests.by_hand import model_of
from wire.messages import Scores

NAN, INF = math.nan, math.inf
UNIT = Decoding("unit-vector")


def classes(*scores: float) -> Found:
    return tuple(Class(index, "x", score) for index, score in enumerate(scores))


def classifier(min_score: float = 0.0) -> Model:
    model = model_of()
    decoding = Decoding("probabilities", min_score=min_score)
    manifest = msgspec.structs.replace(model.manifest, task="classify", decoding=decoding)
    return replace(model, manifest=manifest)


def added(*results: Found, model: Model | None = None) -> Scores:
    confidence = Confidence()
    for found in results:
        confidence.add(found, model or model_of())
    return confidence.scores()


def test_the_best_of_each_result() -> None:
    boxes: Found = (Box(0, "a", 0.25, 0, 0, 1, 1), Box(0, "a", 0.5, 0, 0, 1, 1))
    assert added(classes(0.75, 0.2), boxes) == Scores(2, 1.25, 0)


def test_statistics_and_nothing_have_none() -> None:
    assert added((Stats("out", (1,), NAN, INF, NAN),), ()) == Scores()


def test_regions_have_a_score_where_their_model_gives_one() -> None:
    mask = Mask((1, 1), (1,))
    sure = (Region(0, "a", 0.75, 0.5, 0, 0, 1, 1, mask), Region(1, "b", 0.5, 0.4, 0, 0, 1, 1, mask))
    assert added(sure) == Scores(1, 0.75, 0)
    assert added((Region(0, "a", None, 0.5, 0, 0, 1, 1, mask),)) == Scores()
    assert added((Region(0, "a", NAN, 0.5, 0, 0, 1, 1, mask),)) == Scores(0, 0.0, 1)


def test_a_vector_has_none_and_must_be_there() -> None:
    """Its decoding leaves out what is no number."""
    manifest = msgspec.structs.replace(model_of().manifest, task="embed", decoding=UNIT)
    embedder = replace(model_of(), manifest=manifest)
    assert added((Vector("out", 1.0, (1.0,)),), model=embedder) == Scores()
    assert added((), model=embedder) == Scores(0, 0.0, 1)


@pytest.mark.parametrize("bad", [NAN, INF, -INF, 1.5, -0.5])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_that_is_no_score_is_seen_wherever_it_stands(bad: float, place: int) -> None:
    scores = [0.5, 0.25]
    scores.insert(place, bad)
    assert added(classes(*scores)) == Scores(1, 0.5, 1)
    assert added(classes(bad)) == Scores(0, 0.0, 1)


def test_a_step_of_a_quantised_output_is_no_harm() -> None:
    assert added(classes(1 + ROUNDING / 2), classes(-ROUNDING / 2)) == Scores(2, 1.0, 0)


def test_a_classifier_that_finds_nothing_is_broken() -> None:
    """Its decoding leaves out what is no number; something is always the likeliest."""
    assert added((), model=classifier()) == Scores(0, 0.0, 1)
    assert added((), model=classifier(min_score=0.5)) == Scores()


@given(st.lists(st.lists(st.floats(), max_size=5), max_size=20))
def test_the_sum_is_always_one_that_travels(results: list[list[float]]) -> None:
    scores = added(*(classes(*each) for each in results))
    assert 0 <= scores.sum <= scores.frames
    assert msgspec.json.decode(msgspec.json.encode(scores), type=Scores) == scores
