"""Deployments as an operator changes them: a rule more, a version away, one step back. Pure.

The newest rule stands first. A rule below one that takes all its devices decides nothing; those of
the last few versions stay nevertheless, because a roll back brings them into force again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import asdict, replace

from wire.deployments import (
    LARGEST,
    MOST_RULES,
    Deployment,
    Gates,
    Rule,
    Who,
    nearness,
    plain,
    rule_for,
)
from wire.troubles import Refused

KEPT = 3  # versions that were in force before: so often can be rolled back

Release = tuple[str, str]  # model, version


def empty(pipeline: str) -> Deployment:
    """What is said about a pipeline before anything was deployed there."""
    return Deployment(pipeline, ())


def release_of(rule: Rule) -> Release:
    return rule.model, rule.version


def advanced(before: Deployment, rule: Rule) -> Deployment:
    """The deployment with this rule in force, which may be as it was.

    A rule for the same version and the same devices is continued: its canaries, gates and attempt
    hold on where the new one says nothing. Raises Refused if there are too many rules.
    """
    same = [each for each in before.rules if _is_continued(each, rule)]
    for each in same:
        rule = _continued(each, rule)
    if rule.wave >= 1:
        rule = replace(rule, canaries=())
    others = [each for each in before.rules if each not in same]
    return _checked(Deployment(before.pipeline, tuple(_needed([rule, *others]))))


def rolled_back(before: Deployment) -> Deployment:
    """The deployment without its newest version. Raises Refused if there is none before it."""
    if not before.rules:
        raise Refused(f"nothing is deployed to {before.pipeline}")
    model, version = release_of(before.rules[0])
    after = without(before, [(model, version)])
    if not after.rules:
        raise Refused(
            f"{before.pipeline}: no version is known from before {model} {version}: name one with "
            f"vedette fleet deploy {before.pipeline} MODEL VERSION"
        )
    return after


def without(before: Deployment, releases: Iterable[Release]) -> Deployment:
    """The deployment without the rules of these versions."""
    gone = set(releases)
    return replace(before, rules=tuple(r for r in before.rules if release_of(r) not in gone))


def in_force(deployment: Deployment) -> tuple[Rule, ...]:
    """Those of its rules that can decide for some device."""
    above: list[Rule] = []
    for rule in deployment.rules:
        if not any(covers(each, rule) for each in above):
            above.append(rule)
    return tuple(above)


def covers(upper: Rule, lower: Rule) -> bool:
    """Whether every device that the lower rule takes is taken by the upper one before."""
    are_in = all(
        not wide or (narrow and set(narrow) <= set(wide))
        for wide, narrow in ((upper.groups, lower.groups), (upper.devices, lower.devices))
    )
    return upper.wave >= 1 and are_in and _boards_cover(upper.boards, lower.boards)


def _boards_cover(wide: Sequence[str], narrow: Sequence[str]) -> bool:
    """Whether every board of the narrow names is one of the wide ones: of `raspberry-pi` is
    `raspberry-pi-5`."""
    if not wide or not narrow:
        return not wide
    return all(nearness(wide, each) is not None for each in narrow)


def left_alone(before: Deployment, after: Deployment, everybody: Iterable[Who]) -> list[str]:
    """Devices that only the deployment before says something about: they go on with what it said.

    Sorted by name.
    """
    return sorted(
        who.device
        for who in everybody
        if rule_for(before, who) is not None and rule_for(after, who) is None
    )


def _is_continued(before: Rule, rule: Rule) -> bool:
    return release_of(before) == release_of(rule) and _selector(before) == _selector(rule)


def _selector(rule: Rule) -> tuple[frozenset[str], ...]:
    boards = frozenset(plain(each) for each in rule.boards)
    return frozenset(rule.groups), boards, frozenset(rule.devices)


def _continued(before: Rule, rule: Rule) -> Rule:
    told = {name: value for name, value in asdict(rule.gates).items() if value is not None}
    return replace(
        rule,
        canaries=tuple(dict.fromkeys((*before.canaries, *rule.canaries))),
        gates=Gates(**(asdict(before.gates) | told)),
        attempt=max(before.attempt, rule.attempt),
    )


def _needed(rules: list[Rule]) -> list[Rule]:
    """Without those that no roll back will bring into force."""
    kept: list[Rule] = []
    for rule in rules:
        above = {release_of(each) for each in kept if covers(each, rule)}
        if release_of(rule) not in above and len(above) <= KEPT:
            kept.append(rule)
    return kept


def _checked(deployment: Deployment) -> Deployment:
    if len(deployment.rules) > MOST_RULES:
        raise Refused(
            f"{deployment.pipeline}: more than {MOST_RULES} rules: deploy one version to all "
            "(--wave 100%, without --group), and those below it go"
        )
    size = len(msgspec.json.encode(deployment))
    if size > LARGEST:
        raise Refused(
            f"{deployment.pipeline}: {size} bytes are too many for a deployment: name groups "
            "instead of devices"
        )
    return deployment
