"""Which results are published: mode, rate, score, and the moment of capture."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.loop import Result
from runtime.publishing import Publisher
from runtime.tasks import Box, Class, Found, Stats
from runtime.things import LONGEST_LABEL, MOST_THINGS, thing
from tests.by_hand import model_of, result_at
from wire import results
from wire.messages import PipelineSettings, ResultMode

MODEL = model_of()
CAT = (Class(1, "cat", 0.9), Class(2, "dog", 0.1))
DOG = (Class(2, "dog", 0.8), Class(1, "cat", 0.2))
SECOND = 1_000_000_000


def box(label: str, score: float = 0.9, x: float = 1.0) -> Box:
    return Box(0, label, score, x, 2.0, 3.0, 4.0)


class Desk:
    """A publisher that is shown a result at a time in seconds."""

    def __init__(
        self,
        mode: ResultMode = "change",
        per_s: float = 10.0,
        least: float | None = None,
    ) -> None:
        self.now_ns = 0
        self.publisher = Publisher(
            "door",
            PipelineSettings(mode, per_s, least),
            clock=lambda: self.now_ns,
            wall=lambda: 1_700_000_000 * SECOND + self.now_ns,
        )

    def show(self, at_s: float, found: Found) -> results.Result | None:
        self.now_ns = round(at_s * SECOND)
        return self.publisher.choose(result_at(self.now_ns, found, seq=7), MODEL)


def test_on_change_only_what_is_new_is_said() -> None:
    desk = Desk()
    shown = [CAT, CAT, DOG, DOG, CAT, (), ()]
    said = [desk.show(at, found) is not None for at, found in enumerate(shown)]
    assert said == [True, False, True, False, True, True, False]


def test_of_a_classifier_only_the_best_counts() -> None:
    desk = Desk()
    assert desk.show(0, CAT)
    assert not desk.show(1, (Class(1, "cat", 0.6), Class(3, "cow", 0.4)))


def test_of_a_detector_every_label_counts_but_not_where_it_is() -> None:
    desk = Desk()
    assert desk.show(0, (box("cat"), box("dog")))
    assert not desk.show(1, (box("dog", x=50), box("cat", x=9)))
    assert desk.show(2, (box("dog"), box("cat"), box("cat")))
    assert desk.show(3, (box("dog"),))


def test_statistics_do_not_change() -> None:
    desk = Desk()
    assert desk.show(0, (Stats("out", (1,), 0, 1, 0.5),))
    assert not desk.show(1, (Stats("out", (1,), 7, 8, 7.5),))


def test_whoever_comes_late_learns_it_within_a_minute() -> None:
    desk = Desk()
    said = [at for at in range(200) if desk.show(at, CAT)]
    assert said == [0, 60, 120, 180]


def test_another_mode_says_what_there_is() -> None:
    desk = Desk("change")
    assert desk.show(0, CAT)
    desk.publisher.apply(PipelineSettings("off", 10.0))
    assert desk.show(1, CAT) is None
    desk.publisher.apply(PipelineSettings("change", 10.0))
    assert desk.show(2, CAT)
    desk.publisher.apply(PipelineSettings("change", 5.0))
    assert desk.show(3, CAT) is None


def test_off_says_nothing() -> None:
    desk = Desk("off")
    assert not any(desk.show(at, found) for at, found in enumerate([CAT, DOG, CAT]))


@pytest.mark.parametrize(("per_s", "expected"), [(1.0, 10), (7.0, 70), (30.0, 300), (0.5, 5)])
def test_every_is_every_result_up_to_the_rate(per_s: float, expected: int) -> None:
    desk = Desk("every", per_s)
    said = sum(desk.show(number / 30, CAT) is not None for number in range(300))
    assert abs(said - expected) <= 1


def test_frames_that_do_not_come_evenly_do_not_lose_their_turn() -> None:
    desk = Desk("every", 10)
    moments = [number / 10 + (0.03 if number % 2 else -0.03) for number in range(1, 101)]
    assert sum(desk.show(at, CAT) is not None for at in moments) >= 99


def test_after_a_pause_the_rate_is_not_made_up_for() -> None:
    desk = Desk("every", 1)
    desk.show(0, CAT)
    assert sum(desk.show(100 + number / 30, CAT) is not None for number in range(60)) <= 3


def test_a_change_back_within_the_rate_is_not_said() -> None:
    desk = Desk("change", 1)
    assert desk.show(0, CAT)
    assert not desk.show(0.3, DOG)
    assert not desk.show(1.5, CAT)


def test_low_scores_are_left_out_and_do_not_count_as_a_change() -> None:
    desk = Desk(least=0.5)
    first = desk.show(0, (box("cat", 0.9), box("dog", 0.4)))
    assert first and [each.label for each in first.found] == ["cat"]
    assert not desk.show(1, (box("cat", 0.9),))
    assert desk.show(2, (box("cat", 0.9), box("dog", 0.6)))


def test_settings_change_at_once() -> None:
    desk = Desk("every", 0.01)
    assert desk.show(0, CAT)
    assert not desk.show(1, CAT)
    desk.publisher.apply(PipelineSettings("every", 10))
    assert desk.show(1.2, CAT)


def test_it_says_when_the_sensor_saw_it_and_how_long_each_stage_took() -> None:
    said = Desk().show(5, CAT)
    assert said is not None
    assert said.captured == pytest.approx(1_700_000_005 - 0.010, abs=1e-6)
    stages = msgspec.structs.asdict(said.stages_us)
    assert list(stages.values()) == [1000, 2000, 3000, 4000, 10_000]
    assert (said.pipeline, said.model, said.version, said.frame) == ("door", "tiny", "3", 7)
    assert said.digest == MODEL.digest


def test_a_box_and_a_class_travel_whole() -> None:
    found = (box("cat", 0.75), Class(2, "dog", 0.5))
    assert [msgspec.to_builtins(thing(each)) for each in found] == [
        {"label": "cat", "index": 0, "score": 0.75, "box": (1.0, 2.0, 3.0, 4.0)},
        {"label": "dog", "index": 2, "score": 0.5},
    ]


def test_more_than_anybody_can_look_at_is_cut() -> None:
    said = Desk().show(0, tuple(box("x" * 5000) for _ in range(1000)))
    assert said and len(said.found) == MOST_THINGS
    assert all(len(each.label) == LONGEST_LABEL for each in said.found)


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(numbers, numbers, st.text())
def test_what_is_published_can_always_be_read_again(a: float, b: float, label: str) -> None:
    things = [
        thing(Class(0, label, a)),
        thing(Box(0, label, a, b, a, b, a)),
        thing(Stats(label, (1,), a, b, a)),
    ]
    for each in things:
        again = msgspec.json.decode(msgspec.json.encode(each), type=results.Thing)
        assert again == each and not any(
            isinstance(value, float) and not math.isfinite(value)
            for value in msgspec.structs.astuple(again)
        )


def test_a_result_is_not_looked_at_when_it_will_not_be_said() -> None:
    """The rate is judged first: it is what keeps a fast camera's results cheap."""
    desk = Desk("every", 1)
    desk.show(0, CAT)
    poisoned = Result(0, "", None, result_at(SECOND // 2).timing)  # type: ignore[arg-type]
    assert desk.publisher.choose(poisoned, MODEL) is None
