"""How far devices are with a version, from what they say; and the options that choose them."""

from __future__ import annotations

import argparse

import pytest
from msgspec.structs import replace

from agent.update import gates
from fleet.devices import Device, Fleet
from fleet.rollout.flags import add_choice_options, add_wait_options, choice_of, patience_s, share
from fleet.rollout.rollout import (
    BACK_S,
    USUAL_TRIAL_S,
    Goal,
    Progress,
    is_there,
    progress_of,
    taken,
    with_pipeline,
)
from tests.telling import DIGEST, FLEET, NOW_S, presence, said, state
from wire.deployments import Deployment, Gates, Rule
from wire.messages import State, Trusted, Update, UpdatePhase
from wire.troubles import Refused

RULE = Rule("digits", "2")
OTHER = "a" * 64
GOAL = Goal("door", RULE, frozenset({OTHER}))


def update(phase: UpdatePhase, version: str = "2", deployment: int = 5, **more: object) -> Update:
    return Update(phase, "digits", version, OTHER, deployment, NOW_S, **more)  # type: ignore[arg-type]


def telling(
    told: Update | None = None, version: str = "1", digest: str = DIGEST, trusts: bool = True
) -> State:
    one = state()
    lane = replace(one.pipelines["door"], update=told, version=version, digest=digest)
    trusted = Trusted(1, 2, 3, 4, NOW_S) if trusts else None
    return replace(one, pipelines={"door": lane}, trusted=trusted)


def device(told: State, online: bool = True, name: str = "door-1") -> Device:
    fleet = Fleet(FLEET)
    fleet.hear(said(name, presence(online), retained=True), NOW_S)
    fleet.hear(said(name, told, retained=True), NOW_S)
    return fleet.devices[name]


def progress(told: State, goal: Goal = GOAL, online: bool = True) -> Progress:
    return progress_of(device(told, online), goal, NOW_S)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (telling(), "waiting, runs digits 1"),
        (telling(update("fetching", percent=40)), "fetching 40 %"),
        (telling(update("staged")), "staged"),
        (telling(update("checking")), "checking"),
        (telling(update("trial"), version="2", digest=OTHER), "trial of at least 300 s"),
        (telling(update("good"), version="2", digest=OTHER), "good, runs digits 2"),
        (telling(update("good")), "waiting, runs digits 1"),
        (telling(update("rejected", reason="7 of 9")), "rejected: 7 of 9; runs digits 1"),
        (telling(update("rolled_back")), "rolled back: it does not say why; runs digits 1"),
        (telling(update("rejected", version="3")), "waiting, runs digits 1"),
        (replace(telling(), faults=("camera: gone", "trust: the clock is behind: set it")),
         "waiting, runs digits 1: trust: the clock is behind: set it"),
        (replace(telling(update("fetching", percent=40)), faults=("disk: no room",)),
         "fetching 40 %: disk: no room"),
        (replace(telling(update("good"), version="2", digest=OTHER), faults=("disk: no room",)),
         "good, runs digits 2"),
        (replace(telling(), faults=("door: model: digits 2 is damaged on disk",)),
         "waiting, runs digits 1: door: model: digits 2 is damaged on disk"),
        (replace(telling(), faults=("lane: model: digits 2 is damaged on disk",)),
         "waiting, runs digits 1"),
        (telling(trusts=False), "waiting, runs digits 1: it believes no signed metadata yet "
         "([updates] root)"),
    ],
)  # fmt: skip
def test_what_a_device_says_in_words(told: State, words: str) -> None:
    assert progress(told).words == words


def test_how_long_a_trial_is_at_least() -> None:
    assert USUAL_TRIAL_S == gates.USUAL_TRIAL_S, "as devices have it"
    told = telling(update("trial"), version="2", digest=OTHER)
    goal = Goal("door", replace(RULE, gates=Gates(trial_s=20)), frozenset({OTHER}))
    assert progress(told, goal).words == "trial of at least 20 s"


def test_a_verdict_ends_the_wait_and_nothing_else_does() -> None:
    over = {
        phase: progress(telling(update(phase), version="2", digest=OTHER)).stand
        for phase in ("fetching", "staged", "checking", "trial", "good", "rejected", "rolled_back")
    }
    assert {phase for phase, stand in over.items() if stand == "busy"} == {
        "fetching", "staged", "checking", "trial"
    }  # fmt: skip
    assert (over["good"], over["rejected"], over["rolled_back"]) == ("good", "failed", "failed")


def test_a_model_put_there_by_hand_is_not_the_one_that_was_signed() -> None:
    by_hand = telling(version="2")
    assert progress(by_hand).stand == "waiting"
    assert progress(by_hand, Goal("door", RULE)).stand == "good", "its digest is not known"


def test_a_verdict_of_before_does_not_count_for_a_new_attempt() -> None:
    told = telling(update("rolled_back", deployment=4))
    again = replace(told.pipelines["door"].update, deployment=5)  # type: ignore[type-var]
    goal = Goal("door", RULE, frozenset({OTHER}), since=5)
    assert progress(told, goal).stand == "waiting"
    assert progress(told).stand == "failed", "without a new attempt it will not be tried again"
    assert progress(telling(again), goal).stand == "failed"


def test_the_word_of_another_version_does_not_hide_what_runs() -> None:
    told = telling(update("rejected", version="3"), version="2", digest=OTHER)
    assert progress(told).stand == "good"


def test_who_went_offline_a_moment_ago_is_waited_for() -> None:
    fleet = Fleet(FLEET)
    fleet.hear(said("door-1", presence(True), retained=True), NOW_S)
    fleet.hear(said("door-1", presence(False)), NOW_S)
    one = fleet.devices["door-1"]
    assert is_there(one, NOW_S + BACK_S - 1)
    assert not is_there(one, NOW_S + BACK_S + 1)
    assert not is_there(device(telling(), online=False), NOW_S), "it was so before we came"
    assert progress(telling(), online=False).words == "offline, ran digits 1"


def test_who_is_taken_has_the_pipeline_and_said_what_it_is() -> None:
    fleet = Fleet(FLEET)
    for name in ("b", "a"):
        fleet.hear(said(name, telling()), NOW_S)
    fleet.hear(said("c", state(pipelines=("lane",))), NOW_S)
    fleet.hear(said("d", presence(True)), NOW_S)
    everybody = fleet.devices.values()
    assert [each.name for each in with_pipeline(everybody, "door")] == ["a", "b"]
    deployment = Deployment("door", (Rule("digits", "2", devices=("a", "c", "d")),))
    assert [each.name for each, _ in taken(everybody, deployment)] == ["a"]
    assert taken(everybody, Deployment("door", ())) == []


def test_what_a_device_says_cannot_command_a_terminal() -> None:
    told = progress(telling(update("rejected", reason="\x1b[2Jgone\n" * 9)))
    assert told.words.isprintable()


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_choice_options(parser)
    add_wait_options(parser)
    return parser.parse_args(list(words))


@pytest.mark.parametrize(("text", "value"), [("10%", 0.1), ("100%", 1.0), ("0.5 %", 0.005)])
def test_a_share_is_written_in_percent(text: str, value: float) -> None:
    assert share(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["10", "0.1", "101%", "-1%", "%", "1e1%", "٣%", "nan%", ""])
def test_everything_else_is_no_share(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no share: write 0% to 100%"):
        share(text)


def test_who_takes_it() -> None:
    assert choice_of(parsed()).rule("m", "1", 9) == Rule("m", "1")
    some = choice_of(parsed("--canary", "a,b", "--canary", "b, c", "--retry"))
    assert some.rule("m", "1", 9) == Rule("m", "1", wave=0, canaries=("a", "b", "c"), attempt=9)
    both = choice_of(parsed("--canary", "a", "--wave", "10%", "--group", "x", "--group", "x"))
    assert both.rule("m", "1", 9) == Rule("m", "1", groups=("x",), wave=0.1, canaries=("a",))
    gates = choice_of(parsed("--trial", "20", "--first-result", "5.5", "--p95-ms", "12")).gates
    assert gates == Gates(trial_s=20.0, first_result_s=5.5, p95_ms=12.0)
    with pytest.raises(Refused, match="takes nobody"):
        choice_of(parsed("--wave", "0%"))
    with pytest.raises(Refused, match=r"no such gate: .*3600"):
        choice_of(parsed("--first-result", "3601"))


@pytest.mark.parametrize(
    "words",
    [
        ("--canary", "a b"), ("--group", ""), ("--trial", "0"), ("--trial", "1e3"),
        ("--p95-ms", "-1"), ("--timeout", "nan"), ("--no-wait", "--wait-offline"),
    ],
)  # fmt: skip
def test_mistyped_options_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises((argparse.ArgumentError, SystemExit)):
        parsed(*words)


def test_devices_get_the_time_of_their_trial_and_more() -> None:
    assert patience_s(parsed("--timeout", "7"), None) == 7
    long = Rule("m", "1", gates=Gates(trial_s=3600.0))
    assert patience_s(parsed(), long) > 3600
