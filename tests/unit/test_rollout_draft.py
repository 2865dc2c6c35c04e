"""Drafting of deployments: what is in force, what a roll back brings back, what can go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fleet.rollout.draft import (
    KEPT,
    advanced,
    empty,
    in_force,
    left_alone,
    release_of,
    rolled_back,
    without,
)
from wire.deployments import MOST_RULES, Deployment, Gates, Rule, Who, rule_for
from wire.troubles import Refused

GROUPS, DEVICES = ("doors", "roofs"), ("a", "b", "c", "d")
BOARDS = ("generic", "raspberry-pi", "raspberry-pi-5", "Raspberry Pi 5 Model B Rev 1.0")
OWN = ("generic", "Raspberry Pi 4 Model B Rev 1.5", "Raspberry Pi 5 Model B Rev 1.0")
EVERYBODY = [Who(d, g, b) for d in DEVICES for g in ((), ("doors",), GROUPS) for b in OWN]


def subsets(names: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sets(st.sampled_from(names)).map(lambda found: tuple(sorted(found)))


rules = st.builds(
    Rule,
    model=st.just("digits"),
    version=st.sampled_from("123456"),
    groups=subsets(GROUPS),
    boards=subsets(BOARDS),
    devices=subsets(DEVICES),
    wave=st.sampled_from((0.0, 0.1, 0.5, 1.0)),
    canaries=subsets(DEVICES),
    attempt=st.integers(0, 2),
)


def rule(version: str, wave: float = 1.0, **more: tuple[str, ...]) -> Rule:
    return Rule("digits", version, wave=wave, **more)  # type: ignore[arg-type]


def drafted(*many: Rule) -> Deployment:
    deployment = empty("lane")
    for each in many:
        deployment = advanced(deployment, each)
    return deployment


def versions(deployment: Deployment) -> list[str]:
    return [each.version for each in deployment.rules]


def test_a_wave_leaves_the_version_before_in_force_below_it() -> None:
    deployment = drafted(rule("1"), rule("2", wave=0.1))
    assert versions(deployment) == ["2", "1"]
    assert in_force(deployment) == deployment.rules
    runs = {r.version for who in EVERYBODY if (r := rule_for(deployment, who))}
    assert "1" in runs


def test_a_wave_is_raised_in_place_and_keeps_what_is_not_said_anew() -> None:
    first = Rule("digits", "2", wave=0.1, canaries=("a",), gates=Gates(trial_s=20.0), attempt=3)
    raised = Rule("digits", "2", wave=0.5, canaries=("b",), gates=Gates(p95_ms=9.0))
    deployment = drafted(rule("1"), first, raised)
    assert versions(deployment) == ["2", "1"]
    newest = deployment.rules[0]
    assert (newest.wave, newest.canaries, newest.attempt) == (0.5, ("a", "b"), 3)
    assert newest.gates == Gates(trial_s=20.0, p95_ms=9.0)
    assert advanced(deployment, rule("2")).rules[0].canaries == (), "all take it now"


def test_the_same_rule_again_changes_nothing() -> None:
    deployment = drafted(rule("1"), rule("2", wave=0.1, canaries=("a",)))
    assert advanced(deployment, rule("2", wave=0.1)) == deployment
    assert advanced(deployment, rule("1")) != deployment, "1 comes back above 2"


def test_versions_that_no_roll_back_reaches_go() -> None:
    deployment = drafted(*(rule(str(number)) for number in range(1, 10)))
    assert versions(deployment) == [str(number) for number in range(9, 9 - KEPT - 1, -1)]
    assert [each.version for each in in_force(deployment)] == ["9"]


def test_a_rule_for_some_is_not_dropped_below_one_for_others() -> None:
    deployment = drafted(rule("1", groups=("doors",)), rule("2", groups=("roofs",)))
    assert len(in_force(deployment)) == 2
    assert len(in_force(advanced(deployment, rule("3")))) == 1
    same = drafted(rule("1", groups=("doors",)), rule("1"))
    assert len(same.rules) == 1, "the wider one of the same version is enough"


def test_a_roll_back_takes_the_newest_version_away() -> None:
    deployment = drafted(rule("1"), rule("2", groups=("doors",)), rule("2", wave=0.1))
    assert rolled_back(deployment) == drafted(rule("1"))
    with pytest.raises(Refused, match=r"no version is known from before digits 1: .* deploy lane"):
        rolled_back(drafted(rule("1")))
    with pytest.raises(Refused, match="nothing is deployed to lane"):
        rolled_back(empty("lane"))


def test_who_is_left_alone_by_a_roll_back_is_known() -> None:
    deployment = drafted(rule("1", groups=("roofs",)), rule("2"))
    some = [Who("b", (), "generic"), Who("a", ("roofs",), "generic"), Who("c", (), "jetson")]
    assert left_alone(deployment, rolled_back(deployment), some) == ["b", "c"]


def test_too_many_rules_are_refused_with_what_to_do() -> None:
    deployment = empty("lane")
    with pytest.raises(Refused, match=f"more than {MOST_RULES} rules: deploy one version to all"):
        for number in range(MOST_RULES + 1):
            deployment = advanced(deployment, rule(str(number), wave=0.1))
    many = tuple(f"device-{number:0>57}" for number in range(1000))
    deployment = empty("lane")
    with pytest.raises(Refused, match="name groups instead"):
        for number in range(5):
            deployment = advanced(deployment, rule(str(number), wave=0.1, canaries=many))


@given(st.lists(rules, max_size=12), rules)
def test_the_new_rule_decides_for_all_it_takes_and_the_others_stay(
    before: list[Rule], new: Rule
) -> None:
    deployment = drafted(*before)
    after = advanced(deployment, new)
    for who in EVERYBODY:
        decides = rule_for(after, who)
        if rule_for(Deployment("lane", (new,)), who) is not None:
            assert decides is not None and release_of(decides) == release_of(new)
        elif release_of(decides or new) != release_of(new):
            # whoever is not taken by the new version runs what was said before it
            kept = without(deployment, [release_of(new)])
            assert decides is not None
            assert release_of(decides) == release_of(rule_for(kept, who) or new)


@given(st.lists(rules, max_size=12))
def test_only_rules_in_force_decide(before: list[Rule]) -> None:
    deployment = drafted(*before)
    shorter = replace(deployment, rules=in_force(deployment))
    assert all(rule_for(shorter, who) == rule_for(deployment, who) for who in EVERYBODY)


@given(st.lists(rules, min_size=1, max_size=8), rules)
def test_a_roll_back_undoes_a_new_version(before: list[Rule], new: Rule) -> None:
    new = replace(new, version="new")
    deployment = drafted(*before)
    undone = rolled_back(advanced(deployment, new))
    for who in EVERYBODY:
        ours, theirs = rule_for(undone, who), rule_for(deployment, who)
        assert (ours and release_of(ours)) == (theirs and release_of(theirs))
