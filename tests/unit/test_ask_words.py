"""What operators type becomes the order they mean, or one line that says what is possible."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.ask_words import PATIENCE_S, USES, order_of
from wire.orders import VERBS, Bench, Order, Restart, Set, Snapshot, Status, Watch
from wire.troubles import Refused


@pytest.mark.parametrize(
    ("typed", "order"),
    [
        ("status", Status()),
        ("snapshot", Snapshot()),
        ("snapshot entrance", Snapshot("entrance")),
        ("restart entrance", Restart("entrance")),
        ("restart", Restart()),
        ("watch", Watch(5)),
        ("watch 60", Watch(60)),
        ("bench", Bench(None, 300)),
        ("bench entrance", Bench("entrance", 300)),
        ("set results=off", Set(results="off")),
        ("set entrance results=every results_per_s=5", Set("entrance", "every", 5.0)),
        ("set min_score=0.25 log_level=debug", Set(min_score=0.25, log_level="debug")),
        ("set telemetry_period_s=10", Set(telemetry_period_s=10.0)),
        ("set min_score=default", Set(reset=("min_score",))),
        ("set a min_score=default results=every", Set("a", "every", reset=("min_score",))),
        ("set min_score=0", Set(min_score=0.0)),
    ],
)
def test_what_is_typed_is_what_is_meant(typed: str, order: Order) -> None:
    verb, *arguments = typed.split()
    assert order_of(verb, arguments) == order


def test_frames_are_of_a_bench() -> None:
    assert order_of("bench", ["entrance"], 50) == Bench("entrance", 50)
    with pytest.raises(Refused, match="--frames is for bench, not for watch"):
        order_of("watch", [], 50)


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("snapshoot", "no verb 'snapshoot': did you mean snapshot.*status, snapshot, restart"),
        ("fly", "no verb 'fly': possible are status"),
        ("status now", "too many words: status"),
        ("snapshot a b", r"too many words: snapshot \[PIPELINE\]"),
        ("snapshot a/b", "pipeline: expected 1 to 64 characters"),
        ("watch long", "'long' is no whole number of minutes: watch"),
        ("watch 0", "minutes: write a whole number from 1 to 60"),
        ("watch 61", "minutes: write a whole number from 1 to 60"),
        ("set", "say what to set.*KEY is one of results, results_per_s"),
        ("set entrance", "say what to set"),
        ("set result=off", "no setting 'result': did you mean results"),
        ("set results=loud", "results: '.*' is not possible: write off, change or every$"),
        ("set results=", "results: '.*' is not possible: write off, change or every$"),
        ("set log_level=loud", "write debug, info, warning or error$"),
        ("set min_score=high", "min_score: 'high' is no number: write one, or default"),
        ("set min_score=nan", "is no number"),
        ("set min_score=inf", "is no number"),
        ("set min_score=1.1", "min_score: write a number from 0 to 1"),
        ("set results_per_s=31", "results_per_s: write a number from 0.01 to 30"),
        ("set results_per_s=0", "results_per_s: write a number from 0.01 to 30"),
        ("set telemetry_period_s=9", "telemetry_period_s: write a number from 10 to 3600"),
        ("set min_score=0.1 min_score=0.2", "min_score is there twice"),
        ("set min_score=0.1 min_score=default", "min_score is there twice"),
        ("set a b results=off", "'b' has no value"),
        ("set pipeline=a results=off", "no setting 'pipeline'"),
        ("set verb=status", "no setting 'verb'"),
        ("set =1", "no setting ''"),
    ],
)
def test_what_is_mistyped_is_told(typed: str, why: str) -> None:
    verb, *arguments = typed.split()
    with pytest.raises(Refused, match=why) as refused:
        order_of(verb, arguments)
    assert "\n" not in str(refused.value)


def test_bench_frames_are_bounded() -> None:
    for frames in (-1, 49, 2001):
        with pytest.raises(Refused, match="frames: write a whole number from 50 to 2000"):
            order_of("bench", [], frames)


def test_every_verb_has_its_use_and_its_patience() -> None:
    assert tuple(USES) == VERBS
    arguments = {"set": ["results=off"]}
    for verb in VERBS:
        assert PATIENCE_S[type(order_of(verb, arguments.get(verb, [])))] >= 10


@given(st.sampled_from(VERBS) | st.text(), st.lists(st.text(max_size=30), max_size=4))
def test_no_words_raise_anything_but_refused(verb: str, arguments: list[str]) -> None:
    try:
        order_of(verb, arguments)
    except Refused:
        return
