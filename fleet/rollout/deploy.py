"""Deploying: what would change, bringing it into force, and watching devices take it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from dataclasses import dataclass

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fleet.asking import Note
from fleet.devices import Device, Fleet
from fleet.offering.desk import Desk
from fleet.offering.offering import Session
from fleet.rollout.draft import advanced, release_of
from fleet.rollout.flags import Choice, patience_s
from fleet.rollout.follow import (
    DeviceLine,
    GoalOf,
    Outcome,
    as_lines,
    follow,
    look,
    summary,
)
from fleet.rollout.rollout import Goal, Progress, who_is
from fleet.rollout.where import check_canaries, is_known, pipeline_for, pipelines_of, remarks
from fleet.rollout.words import audience, named
from wire.deployments import Deployment, Rule, rule_for
from wire.troubles import Refused, one_line

Concerns = Callable[[Rule | None, Rule], bool]  # the rules that decide before, and after


@dataclass(frozen=True)
class Wanted:
    """A version that an operator wants in a pipeline; None: in the one of the model's name."""

    pipeline: str | None
    model: str
    version: str
    choice: Choice


@dataclass(frozen=True)
class Plan:
    """A change of a deployment. concerns: which devices it is about. retry: what they said of
    attempts before does not count. if_nobody: what is said where that is no device."""

    before: Deployment
    after: Deployment
    concerns: Concerns
    retry: bool = False
    if_nobody: str = "no device takes it yet; those that come will"

    @property
    def changes(self) -> bool:
        return self.before != self.after

    @property
    def rule(self) -> Rule | None:
        """The newest, which is brought into force."""
        return self.after.rules[0] if self.after.rules else None


class Report(Struct, frozen=True):
    """`--json` of push, deploy and rollback. released: whether the depot got something new;
    deployed: whether a deployment changed; deployment: the version of the metadata that holds it.
    missing: the release metadata that others must still sign."""

    ok: bool
    model: str
    version: str
    released: bool = False
    deployed: bool = False
    pipeline: str | None = None
    deployment: int | None = None
    timed_out: bool = False
    missing: str | None = None
    devices: dict[str, DeviceLine] = {}


@dataclass(frozen=True)
class Done:
    """What came of a plan."""

    report: Report
    words: str

    @property
    def code(self) -> int:
        return 0 if self.report.ok else 1


def survey(session: Session, wanted: Wanted) -> None:
    """Learn which devices there are; those that were named are waited for a little longer."""
    name, fleet = wanted.pipeline or wanted.model, session.devices
    session.survey(lambda: is_known(wanted.choice, fleet) and name in pipelines_of(fleet))


def plan(desk: Desk, fleet: Fleet, wanted: Wanted, note: Note) -> Plan:
    """What a version in a pipeline changes. Raises Refused for what cannot be meant."""
    trusted = desk.trust.trusted
    assert trusted is not None, "there was a refresh"
    pipeline = pipeline_for(wanted.pipeline, wanted.model, fleet, desk.pipelines())
    check_canaries(wanted.choice, pipeline, fleet)
    rule = wanted.choice.rule(wanted.model, wanted.version, trusted.deployments + 1)
    before = desk.deployment(pipeline)
    after = advanced(desk.available(before), rule)
    for remark in remarks(rule, after, fleet):
        note(remark)
    release = release_of(rule)
    return Plan(before, after, lambda _, now: release_of(now) == release, wanted.choice.retry)


def check_released(desk: Desk, model: str, version: str) -> None:
    """Raises Refused for a version that devices could not get."""
    versions = desk.versions()
    if version in versions.get(model, ()):
        return
    if desk.was_retired(model, version):
        raise Refused(f"{model} {version} was retired: no device can get it any more")
    if model in versions:
        raise Refused(f"there is no {model} {version}: released are {named(versions[model])}")
    there = f"released are {named(versions)}"
    if not versions:
        there = "nothing is released yet: vedette fleet push BUNDLE"
    raise Refused(f"there is no model {model}: {there}")


def carry_out(
    desk: Desk, session: Session, change: Plan, words: argparse.Namespace, note: Note
) -> Done:
    """Bring it into force, and watch the devices that it concerns. Raises Refused, Unavailable."""
    rule = change.rule
    assert rule is not None, "a change has a rule"
    model, version = release_of(rule)
    pipeline = change.after.pipeline
    report = Report(True, model, version, pipeline=pipeline)
    goal_of = goals(desk, change)
    ending = "deployed"
    if change.changes:
        ran = {one.device for one in _now(session, goal_of) if one.stand == "good"}
        deployment = desk.deploy(change.before, change.after)
        note(f"{pipeline}: {model} {version} to {audience(rule)}: deployed ({deployment})")
        report = replace(report, deployed=True, deployment=deployment)
        goal_of = goals(desk, change, deployment, ran)
    elif words.no_wait:
        ending = "it is so already: nothing to do"
    else:
        note(f"{pipeline}: {model} {version} to {audience(rule)}: it is so already")
    if words.no_wait:
        devices = as_lines(_now(session, goal_of))
        return Done(replace(report, devices=devices), f"{pipeline}: {model} {version}: {ending}")
    awaited = _anybody if words.wait_offline else _online
    most_s = patience_s(words, rule)
    try:
        outcome = follow(session.devices, session.step, goal_of, awaited, most_s, note)
    except KeyboardInterrupt:
        where = "" if report.deployment is None else f" ({report.deployment})"
        note(
            f"{pipeline}: {model} {version} stays deployed{where}: vedette fleet status shows how "
            "far"
        )
        raise
    report = replace(
        report, ok=outcome.is_well, timed_out=outcome.is_late, devices=as_lines(outcome.devices)
    )
    return Done(report, f"{pipeline}: {model} {version}: {_ending(change, outcome, awaited)}")


def _now(session: Session, goal_of: GoalOf) -> tuple[Progress, ...]:
    return look(session.devices, goal_of, session.now_s())


def goals(desk: Desk, change: Plan, deployment: int = 0, ran: Collection[str] = ()) -> GoalOf:
    """What each device is to run, if the change concerns it.

    deployment: the version of the metadata that holds the change; 0: it is not in force yet, or
    was before. ran: devices that ran it before: unless it was for them already, they must have
    heard of the change before that counts, as what they are about to do is not known.
    """
    since = deployment if change.retry else 0
    digests: dict[tuple[str, str], frozenset[str]] = {}

    def goal_of(device: Device) -> Goal | None:
        who = who_is(device)
        if who is None or device.state is None:
            return None
        if change.after.pipeline not in device.state.pipelines:
            return None
        now = rule_for(change.after, who)
        before = rule_for(change.before, who)
        if now is None or not change.concerns(before, now):
            return None
        release = release_of(now)
        if release not in digests:
            digests[release] = desk.digests(*release)
        is_news = device.name in ran and (before is None or release_of(before) != release)
        heard = deployment if is_news else 0
        return Goal(change.after.pipeline, now, digests[release], since, heard)

    return goal_of


def _online(one: Progress) -> bool:
    return one.is_there


def _anybody(_: Progress) -> bool:
    return True


def _ending(change: Plan, outcome: Outcome, awaited: Callable[[Progress], bool]) -> str:
    """How it ended, in one line."""
    if not outcome.devices:
        return change.if_nobody
    line = summary(outcome.devices)
    late = [one for one in outcome.devices if awaited(one) and not one.is_over]
    if outcome.is_late and late:
        line += f"; gave up waiting for {named(one.device for one in late)}"
    away = [one for one in outcome.devices if not one.is_there and not one.is_over]
    if away and not outcome.is_late:
        line += f"; {named(one.device for one in away)} will take it when back online"
    return line


def told(words: argparse.Namespace, done: Done) -> int:
    """Print the outcome; the exit code."""
    if words.json:
        print(msgspec.json.encode(done.report).decode())
    else:
        print(one_line(done.words))
    return done.code
