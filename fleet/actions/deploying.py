"""Deploying and rolling back at the office's desk, and what that would change beforehand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleet.actions.shelf import Shelf
from fleet.asking import Note
from fleet.devices import Device, Fleet
from fleet.offering.desk import Desk
from fleet.rollout.deploy import Wanted, check_released, plan
from fleet.rollout.draft import advanced, in_force, left_alone, release_of, rolled_back, without
from fleet.rollout.rollout import who_is, with_pipeline
from fleet.rollout.where import check_canaries, pipeline_for
from fleet.rollout.words import audience, named, rules_words
from fleet.wording import plural
from wire.deployments import Deployment, Rule, rule_for
from wire.troubles import Refused

MOST_NAMED = 8


@dataclass(frozen=True)
class Preview:
    """What a change would do. now, then: the rules in words. takers: devices that would be told to
    run another version than now, by name. to: whom the newest rule takes, in words. remarks: what
    may not be meant."""

    pipeline: str
    model: str
    version: str
    to: str
    now: str
    then: str
    takers: tuple[str, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Changed:
    """What came of it. deployment: the version of the metadata that holds it; None: it was so
    already."""

    pipeline: str
    words: str
    deployment: int | None


def preview(shelf: Shelf, fleet: Fleet, wanted: Wanted) -> Preview:
    """Before anything is signed, from what is known. Raises Refused for what cannot be meant."""
    _check_released(shelf, wanted.model, wanted.version)
    deployed = [one.pipeline for one in shelf.deployments]
    pipeline = pipeline_for(wanted.pipeline, wanted.model, fleet, deployed)
    check_canaries(wanted.choice, pipeline, fleet)
    trusted = shelf.trusted
    attempt = 1 if trusted is None else trusted.deployments + 1
    rule = wanted.choice.rule(wanted.model, wanted.version, attempt)
    before = shelf.deployment(pipeline)
    after = advanced(without(before, shelf.retired), rule)
    return _preview(before, after, after.rules[0], fleet)


def preview_back(shelf: Shelf, fleet: Fleet, pipeline: str) -> Preview:
    """The same of a roll back. Raises Refused where nothing is known from before."""
    before = shelf.deployment(pipeline)
    after = rolled_back(without(before, shelf.retired))
    found = _preview(before, after, after.rules[0], fleet)
    devices = with_pipeline(fleet.devices.values(), pipeline)
    alone = left_alone(before, after, filter(None, map(who_is, devices)))
    if not alone:
        return found
    remark = f"nothing was deployed to {named(alone)} before: they go on with what they run"
    return Preview(**{**vars(found), "remarks": (*found.remarks, remark)})


def deploy(desk: Desk, fleet: Fleet, wanted: Wanted, note: Note) -> Changed:
    """Bring it into force. Raises Refused, Unavailable."""
    check_released(desk, wanted.model, wanted.version)
    desk.check_command_key()
    change = plan(desk, fleet, wanted, note)
    return _carry_out(desk, change.before, change.after)


def roll_back(desk: Desk, pipeline: str) -> Changed:
    """Take the newest version of a deployment away. Raises Refused, Unavailable."""
    before = desk.deployment(pipeline)
    after = rolled_back(desk.available(before))
    desk.check_command_key()
    return _carry_out(desk, before, after)


def fleet_of(name: str, devices: Iterable[Device]) -> Fleet:
    """Devices as they are known here, as rollouts judge them."""
    fleet = Fleet(name)
    fleet.devices = {device.name: device for device in devices}
    return fleet


def _carry_out(desk: Desk, before: Deployment, after: Deployment) -> Changed:
    rule = after.rules[0]
    what = f"{after.pipeline}: {' '.join(release_of(rule))} to {audience(rule)}"
    if before == after:
        return Changed(after.pipeline, f"{what}: it is so already", None)
    version = desk.deploy(before, after)
    return Changed(after.pipeline, f"{what}: deployed ({version})", version)


def _preview(before: Deployment, after: Deployment, rule: Rule, fleet: Fleet) -> Preview:
    takers = []
    for device in with_pipeline(fleet.devices.values(), after.pipeline):
        who = who_is(device)
        old = None if who is None else rule_for(before, who)
        new = None if who is None else rule_for(after, who)
        if new is not None and (old is None or release_of(old) != release_of(new)):
            takers.append(device.name)
    remarks = []
    if before == after:
        remarks.append("it is so already: nothing would change")
    elif not takers:
        remarks.append("no device that is known would change: those that come will take it")
    return Preview(
        pipeline=after.pipeline,
        model=rule.model,
        version=rule.version,
        to=audience(rule),
        now=rules_words(in_force(before)) or "nothing is deployed",
        then=rules_words(in_force(after)),
        takers=tuple(takers),
        remarks=tuple(remarks),
    )


def _check_released(shelf: Shelf, model: str, version: str) -> None:
    if shelf.release(model, version) is not None:
        return
    if (model, version) in shelf.retired:
        raise Refused(f"{model} {version} was retired: no device can get it any more")
    versions = [one.version for one in shelf.releases if one.model == model]
    have = f"released are {named(versions)}" if versions else "no version of it is released"
    raise Refused(f"there is no {model} {version}: {have}")


def takers_words(takers: tuple[str, ...], known: int) -> str:
    """`3 of 40 devices: door, gate, lane`."""
    few = f": {', '.join(takers)}" if 0 < len(takers) <= MOST_NAMED else ""
    return f"{len(takers):,} of {plural(known, 'device')}{few}"
