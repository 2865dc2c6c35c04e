"""Gates: what a model on trial must show, table by table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sums import Sum
from agent.update.gates import Bar, Before, bar_of, before_of, failure_of
from models import manifest
from models.manifest import Floors, Limits
from tests.model_folder import MANIFEST
from tests.rig import stages
from wire.deployments import Gates
from wire.messages import Losses, Scores

MODEL = manifest.parse(MANIFEST, "manifest.toml")


def shown(
    seconds: float, frames: int, us: float = 4000.0, score: float = 0.9, broken: int = 0
) -> Sum:
    scores = Scores(frames, frames * score, broken)
    return Sum(seconds, frames, 0, Losses(), stages(frames, us), scores)


def test_the_usual_where_nobody_says_anything() -> None:
    assert bar_of(MODEL, Gates()) == Bar(300.0, 60.0, None, 0.8, 0.3, 0.01)
    assert bar_of(None, Gates()) == Bar()


def test_the_stricter_counts() -> None:
    from msgspec.structs import replace

    model = replace(
        MODEL,
        limits=Limits(p95_ms=20.0),
        floors=Floors(
            trial_s=100.0, first_result_s=30.0, fps_share=0.9, score_drop=0.1, error_share=0.05
        ),
    )
    soft = Gates(
        trial_s=10.0, first_result_s=600.0, p95_ms=99.0, fps_share=0.1, score_drop=0.9,
        error_share=0.5,
    )  # fmt: skip
    assert bar_of(model, soft) == Bar(100.0, 30.0, 20.0, 0.9, 0.1, 0.05)
    hard = Gates(
        trial_s=900.0, first_result_s=5.0, p95_ms=9.0, fps_share=0.95, score_drop=0.0,
        error_share=0.0,
    )  # fmt: skip
    assert bar_of(model, hard) == Bar(900.0, 5.0, 9.0, 0.95, 0.0, 0.0)
    assert bar_of(MODEL, soft) == Bar(10.0, 600.0, 99.0, 0.1, 0.9, 0.5), "no floors: as wished"


GOOD = Before(fps=30.0, score=0.9)
BAR = Bar(trial_s=100.0, p95_ms=20.0)


@pytest.mark.parametrize(
    ("what", "before", "elapsed_s", "word"),
    [
        (shown(10, 300), GOOD, 10, None),
        (shown(100, 3000), GOOD, 100, None),
        (shown(4, 120, us=30_000), GOOD, 4, None),  # caches are cold yet
        (shown(10, 300, us=30_000), GOOD, 10, "20 ms is the limit"),
        (shown(3, 90, us=30_000), GOOD, 3, None),  # too few say nothing yet
        (shown(100, 90, us=30_000), None, 100, "20 ms is the limit"),  # but at the end they do
        (shown(10, 300, broken=4), GOOD, 10, "no number"),
        (shown(10, 300, broken=3), GOOD, 10, None),
        (shown(20, 300, us=19_000), GOOD, 20, None),  # compared from a quarter of the trial on
        (shown(25, 375, us=19_000), GOOD, 25, "15.0 frames per second"),
        (shown(25, 600, us=19_000), GOOD, 25, None),  # just enough: 80 %
        (shown(25, 375, us=1000), GOOD, 25, None),  # idle: the camera gives no more
        (shown(25, 375, us=19_000), None, 25, None),  # nothing to compare with
        (shown(25, 375, us=19_000), Before(None, None), 25, None),
        (shown(25, 750, score=0.55), GOOD, 25, "mean score is 0.55"),
        (shown(25, 750, score=0.65), GOOD, 25, None),
        (shown(25, 20, score=0.1), GOOD, 25, None),  # too few scores
        (Sum(), GOOD, 0, None),
    ],
)
def test_a_gate(what: Sum, before: Before | None, elapsed_s: float, word: str | None) -> None:
    failure = failure_of(BAR, what, before, elapsed_s)
    if word is None:
        assert failure is None
    else:
        assert failure is not None
        assert word in failure.reason


@given(
    st.floats(0, 1e6), st.integers(0, 500), st.floats(1, 1e6), st.floats(0, 1),
    st.integers(0, 500), st.floats(0, 1e6),
)  # fmt: skip
def test_never_fails_to_say(
    seconds: float, frames: int, us: float, score: float, broken: int, elapsed_s: float
) -> None:
    what = shown(seconds, frames, us, score, broken)
    for before in (None, before_of(what), GOOD):
        failure = failure_of(BAR, what, before, elapsed_s)
        assert failure is None or failure.reason.isprintable()
    assert failure_of(Bar(), shown(seconds, frames, us, score), before_of(what), elapsed_s) is None
