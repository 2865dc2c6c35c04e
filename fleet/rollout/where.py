"""Which pipeline is meant, and whether all that an operator named is there. Raises Refused."""

from __future__ import annotations

from collections.abc import Iterable

from fleet.devices import Fleet
from fleet.rollout.flags import Choice
from fleet.rollout.rollout import who_is, with_pipeline
from fleet.rollout.words import named
from wire.deployments import Deployment, Rule, takes
from wire.troubles import Refused


def pipelines_of(fleet: Fleet) -> tuple[str, ...]:
    """All that devices have."""
    states = (device.state for device in fleet.devices.values())
    return tuple(
        sorted({name for state in states if state is not None for name in state.pipelines})
    )


def pipeline_for(named_one: str | None, model: str, fleet: Fleet, deployed: Iterable[str]) -> str:
    """The pipeline that a model is for: the one that was named, else one of the model's own name.

    deployed: pipelines that something was deployed to before.
    """
    wanted = model if named_one is None else named_one
    there = pipelines_of(fleet)
    if wanted in there or wanted in deployed:
        return wanted
    if named_one is not None and not there:
        return wanted  # devices to come
    if named_one is not None:
        raise Refused(
            f"no device of fleet {fleet.name} has a pipeline {wanted}: they have {named(there)}"
        )
    have = f"they have {named(there)}" if there else "none was seen yet"
    raise Refused(
        f"say which pipeline it is for, by --pipeline: no device of fleet {fleet.name} has one "
        f"that is called {model} as the model is: {have}"
    )


def is_known(choice: Choice, fleet: Fleet) -> bool:
    """Whether every device that was named has said what it is."""
    devices = (fleet.devices.get(name) for name in choice.canaries)
    return all(device is not None and device.state is not None for device in devices)


def check_canaries(choice: Choice, pipeline: str, fleet: Fleet) -> None:
    """Every canary is in the fleet, has the pipeline, and is in the groups."""
    seen = fleet.devices
    unknown = [each for each in choice.canaries if each not in seen or seen[each].state is None]
    if unknown:
        known = [name for name, device in seen.items() if device.state is not None]
        have = f"it has {named(known)}" if known else "no device was seen there"
        raise Refused(f"{named(unknown)}: not seen in fleet {fleet.name}: {have}")
    there = {device.name for device in with_pipeline(seen.values(), pipeline)}
    without = [each for each in choice.canaries if each not in there]
    if without and there:
        raise Refused(f"{named(without)}: has no pipeline {pipeline}: {named(there)} have")
    if without:
        raise Refused(f"{named(without)}: has no pipeline {pipeline}")
    rule = choice.rule("any", "1", 0)
    for name in choice.canaries:
        who = who_is(seen[name])
        if who is not None and not takes(rule, who):
            raise Refused(
                f"{name} is in none of the groups {named(choice.groups)}: it cannot be a canary "
                "of theirs"
            )


def check_groups(choice: Choice, fleet: Fleet) -> None:
    """One of the groups has a device: a typing error would change what nobody runs, signed."""
    groups = _groups_of(fleet)
    if not choice.groups or groups & set(choice.groups):
        return
    have = f"devices are in {named(groups)}" if groups else "no device that was seen is in any"
    raise Refused(
        f"no device of fleet {fleet.name} is in {named(choice.groups)}: {have}; for devices that "
        "are still to come: --yes"
    )


def _groups_of(fleet: Fleet) -> set[str]:
    return {group for d in fleet.devices.values() if d.state for group in d.state.groups}


def remarks(rule: Rule, deployment: Deployment, fleet: Fleet) -> list[str]:
    """What an operator may not have meant."""
    found = []
    groups = _groups_of(fleet)
    missing = [group for group in rule.groups if group not in groups]
    if missing:
        found.append(f"no device was seen in {named(missing)}: those to come take it")
    if not with_pipeline(fleet.devices.values(), deployment.pipeline):
        found.append(f"no device with a pipeline {deployment.pipeline} was seen yet")
    return found
