"""What an operator names must be there; what a deployment says, in words; how a watch ends."""

from __future__ import annotations

import time

import pytest
from msgspec.structs import replace

from fleet.devices import Device, Fleet
from fleet.rollout.flags import Choice
from fleet.rollout.follow import Teller, as_lines, follow, look, summary
from fleet.rollout.rollout import Goal, Progress
from fleet.rollout.where import check_canaries, check_groups, is_known, pipeline_for, remarks
from fleet.rollout.words import audience, named, rules_words
from tests.telling import FLEET, NOW_S, presence, said, state
from tests.unit.test_rollout import OTHER, telling, update
from wire.deployments import Deployment, Gates, Rule
from wire.messages import Presence, State
from wire.troubles import Refused


def heard(**devices: State | Presence) -> Fleet:
    fleet = Fleet(FLEET)
    for name, message in devices.items():
        fleet.hear(said(name, presence(True), retained=True), NOW_S)
        fleet.hear(said(name, message, retained=True), NOW_S)
    return fleet


def choice(*canaries: str, groups: tuple[str, ...] = ()) -> Choice:
    return Choice(0.0 if canaries else 1.0, canaries, groups, Gates(), retry=False)


def test_the_pipeline_is_named_or_has_the_models_name() -> None:
    fleet = heard(a=state(pipelines=("digits", "lane")))
    assert pipeline_for(None, "digits", fleet, ()) == "digits"
    assert pipeline_for("lane", "digits", fleet, ()) == "lane"
    assert pipeline_for(None, "cats", fleet, ("cats",)) == "cats", "deployed there before"
    assert pipeline_for("new", "digits", Fleet(FLEET), ()) == "new", "devices may come later"


def test_a_pipeline_that_nobody_has_is_refused_with_those_that_are_there() -> None:
    fleet = heard(a=state(pipelines=("door", "lane")))
    with pytest.raises(Refused, match=r"--pipeline: .* called digits .*: they have door, lane"):
        pipeline_for(None, "digits", fleet, ())
    with pytest.raises(Refused, match="no device of fleet home has a pipeline lan: they have door"):
        pipeline_for("lan", "digits", fleet, ())
    with pytest.raises(Refused, match="none was seen yet"):
        pipeline_for(None, "digits", Fleet(FLEET), ())


def test_canaries_must_be_there() -> None:
    fleet = heard(a=state(), b=state(pipelines=("lane",)), c=presence(True))
    check_canaries(choice("a"), "door", fleet)
    check_canaries(choice("a", groups=("doors",)), "door", fleet)
    with pytest.raises(Refused, match="x: not seen in fleet home: it has a, b"):
        check_canaries(choice("a", "x"), "door", fleet)
    with pytest.raises(Refused, match="c: not seen in fleet home"):
        check_canaries(choice("c"), "door", fleet)
    with pytest.raises(Refused, match="b: has no pipeline door: a have"):
        check_canaries(choice("b"), "door", fleet)
    with pytest.raises(Refused, match="a is in none of the groups roofs"):
        check_canaries(choice("a", groups=("roofs",)), "door", fleet)
    assert is_known(choice("a"), fleet) and not is_known(choice("a", "c"), fleet)


def test_a_group_without_a_device_is_refused_with_those_that_are_there() -> None:
    fleet = heard(a=state())
    for groups in ((), ("doors",), ("roofs", "doors")):
        check_groups(choice(groups=groups), fleet)
    with pytest.raises(Refused, match=r"is in nope, roofs: devices are in doors; .*--yes"):
        check_groups(choice(groups=("roofs", "nope")), fleet)
    with pytest.raises(Refused, match="no device that was seen is in any"):
        check_groups(choice(groups=("doors",)), Fleet(FLEET))


def test_what_may_not_be_meant_is_remarked() -> None:
    fleet = heard(a=state())
    door = Deployment("door", ())
    assert remarks(Rule("digits", "1"), door, fleet) == []
    assert "roofs" in remarks(Rule("digits", "1", groups=("roofs", "doors")), door, fleet)[0]
    assert "no device with a pipeline lane" in remarks(
        Rule("digits", "1"), Deployment("lane", ()), fleet
    )[0]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule("m", "1"), "all"),
        (Rule("m", "1", wave=0.1), "10 % of all"),
        (Rule("m", "1", wave=0, canaries=("b", "a")), "a, b"),
        (Rule("m", "1", wave=0.5, canaries=("a",), groups=("x",)), "50 % of group x, and a"),
        (Rule("m", "1", groups=("x", "y"), boards=("jetson",)), "groups x, y on board jetson"),
        (Rule("m", "1", wave=0), "nobody"),
    ],
)
def test_whom_a_rule_takes_in_words(rule: Rule, words: str) -> None:
    assert audience(rule) == words
    assert rules_words([rule, Rule("m", "0")]) == f"m 1 to {words}; then m 0 to all"


def test_long_lists_are_cut() -> None:
    assert named(["b", "a"]) == "a, b"
    assert named(map(str, range(10))) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"


GOAL = Goal("door", Rule("digits", "2"), frozenset({OTHER}))


def goal_of(device: Device) -> Goal | None:
    return GOAL if device.state is not None and "door" in device.state.pipelines else None


class Script:
    """Devices that say one thing more at each step."""

    def __init__(self, fleet: Fleet, *steps: tuple[str, State | Presence]) -> None:
        self.fleet = fleet
        self.left = list(steps)
        self.notes: list[str] = []

    def step(self, timeout_s: float) -> None:
        if not self.left:
            time.sleep(timeout_s)
            return
        name, message = self.left.pop(0)
        self.fleet.hear(said(name, message), time.time())

    def online(self, one: Progress) -> bool:
        return one.is_there


def test_it_ends_when_each_has_said_how_it_ended() -> None:
    script = Script(
        heard(a=telling(), b=telling(), c=state(pipelines=("lane",))),
        ("a", telling(update("fetching", percent=50))),
        ("b", telling(update("rejected", reason="7 of 9 golden answers are wrong"))),
        ("a", telling(update("trial"), version="2", digest=OTHER)),
        ("a", telling(update("good"), version="2", digest=OTHER)),
    )
    outcome = follow(script.fleet, script.step, goal_of, script.online, 30, script.notes.append)
    assert [(one.device, one.stand) for one in outcome.devices] == [("a", "good"), ("b", "failed")]
    assert not outcome.is_well and not outcome.is_late and not script.left
    assert script.notes == [
        "a: waiting, runs digits 1",
        "b: waiting, runs digits 1",
        "a: fetching 50 %",
        "b: rejected: 7 of 9 golden answers are wrong; runs digits 1",
        "a: trial of at least 300 s",
        "a: good, runs digits 2",
    ]
    lines = as_lines(outcome.devices)
    assert lines["b"].reason == "7 of 9 golden answers are wrong"
    assert (lines["a"].phase, lines["a"].runs, lines["a"].online) == ("good", "digits 2", True)


def test_who_is_offline_is_not_waited_for_unless_asked() -> None:
    fleet = heard(a=telling(update("good"), version="2", digest=OTHER))
    fleet.hear(said("b", telling(), retained=True), NOW_S)
    fleet.hear(said("b", presence(False), retained=True), NOW_S)
    script = Script(fleet)
    outcome = follow(fleet, script.step, goal_of, script.online, 30, script.notes.append)
    assert outcome.is_well and len(outcome.devices) == 2
    late = follow(fleet, script.step, goal_of, lambda _: True, 0.1, script.notes.append)
    assert late.is_late and not late.is_well
    assert summary(late.devices) == "1 good, 1 offline, of 2 devices"


def test_of_a_large_fleet_only_counts_and_failures_are_told() -> None:
    many = {f"d{number}": telling() for number in range(30)}
    bad = telling(update("rolled_back", reason="too slow"))
    script = Script(heard(**{**many, "d7": bad}))
    follow(script.fleet, script.step, goal_of, script.online, 0.1, script.notes.append)
    assert script.notes == [
        "d7: rolled back: too slow; runs digits 1", "1 failed, 29 waiting, of 30 devices",
    ]  # fmt: skip


def test_a_device_that_comes_later_is_seen_and_one_that_is_taken_away_is_not() -> None:
    fleet = heard(a=telling())
    assert [one.device for one in look(fleet, goal_of, NOW_S)] == ["a"]
    fleet.hear(said("b", telling()), NOW_S)
    assert [one.device for one in look(fleet, goal_of, NOW_S)] == ["a", "b"]
    one = replace(telling(), pipelines={})
    fleet.hear(said("a", one), NOW_S)
    assert [one.device for one in look(fleet, goal_of, NOW_S)] == ["b"]


def test_a_device_that_waits_for_long_says_again_why() -> None:
    staged = update("staged", reason="its process is not there to check it")
    good = telling(update("good"), version="2", digest=OTHER)
    devices = look(heard(a=telling(staged), b=good), goal_of, NOW_S)
    notes: list[str] = []
    teller = Teller(notes.append)
    for now_s in (100.0, 101.0, 159.0, 160.5, 161.0, 221.0):
        teller.tell(devices, now_s)
    line = "a: staged: its process is not there to check it"
    assert notes == [line, "b: good, runs digits 2", line, line]
