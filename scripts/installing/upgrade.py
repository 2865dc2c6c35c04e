"""From one release to another, and back if it does not come up: at any moment the power may go.

What is meant stands in a marker. Whoever finds one (the installer, or vedette-settle.service at the
next boot) brings it to its end: `settle` may be cut off anywhere and be called again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from installing import durable, release, units, vitals
from installing.machine import look
from installing.meaning import Meaning, read
from installing.places import Places
from installing.progress import Progress
from installing.release import sweep
from installing.services import AGENT, Services
from installing.troubles import Trouble

MOST_TRIES = 3  # boots into a new release that is not settled


@dataclass(frozen=True)
class Marker:
    """old, new: releases. expects: what worked before. tries: how often the new one was begun with.
    why: not empty once it goes back."""

    old: str
    new: str
    expects: tuple[str, ...]
    tries: int = 0
    why: str = ""


@dataclass(frozen=True)
class Outcome:
    """How an upgrade ended. why: empty if the new one runs."""

    old: str
    new: str
    why: str


def begin(places: Places, old: str, new: str, expects: Sequence[str]) -> None:
    """From here on the new release is tried, whatever happens."""
    durable.remove(places.outcome)
    _write(places, Marker(old, new, tuple(expects)))


def settle(places: Places, services: Services, progress: Progress) -> Outcome | None:
    """Bring an upgrade that is under way to its end. None if there is none."""
    marker = _read(places)
    if marker is None:
        return None
    if not marker.why:
        marker = replace(marker, tries=marker.tries + 1)
        _write(places, marker)
        why = _try(places, services, marker, progress)
        if not why:
            durable.link(places.previous, f"releases/{marker.old}")
            return _end(places, marker)
        marker = replace(marker, why=why)
        _write(places, marker)
    progress.note(f"release {marker.new} did not come up: {marker.why}")
    progress.say(f"going back to {marker.old}")
    meaning = apply(places, services, marker.old, progress)
    if services.runs and meaning is not None:
        for vital in vitals.await_all(services, meaning, marker.old, marker.expects, progress):
            progress.note(f"{vital.name}, too, does not work after going back: {vital.said}")
    return _end(places, marker)


def _try(places: Places, services: Services, marker: Marker, progress: Progress) -> str:
    """Why the new release cannot stay; empty if it can."""
    if marker.tries > MOST_TRIES:
        return f"the machine went down {MOST_TRIES} times while it was tried"
    try:
        meaning = apply(places, services, marker.new, progress)
        if not services.runs or meaning is None:
            return ""
        missing = vitals.await_all(services, meaning, marker.new, marker.expects, progress)
    except (Trouble, OSError) as trouble:
        return str(trouble)
    return "; ".join(f"{vital.name}: {vital.said}" for vital in missing)


def apply(places: Places, services: Services, name: str, progress: Progress) -> Meaning | None:
    """Make a release the one that runs: its link, its units, its processes. Does what is missing of
    that. Returns what the configuration means to it; raises Wrong if it refuses it."""
    if release.card(places, name) is None:
        raise Trouble(f"{places.releases / name} is no whole release")
    meaning = read(places, name)
    machine = look(places)
    pipelines = () if meaning is None else meaning.pipelines
    point_to(places, name)
    if units.write(places, name, machine, pipelines):
        progress.say(f"units of release {name} written")
    services.reload()  # also where nothing changed: an attempt of before may have ended here
    units.align(services, pipelines)
    if meaning is not None:
        start(services, meaning, name)
    return meaning


def point_to(places: Places, name: str) -> None:
    """Turn the links by which programs are found."""
    durable.link(places.current, f"releases/{name}")
    for link, target in places.links:
        durable.link(link, target)


def start(services: Services, meaning: Meaning, name: str) -> None:
    """Start what does not run from the release that is named."""
    ours = [AGENT, *(one.unit for one in meaning.pipelines)] if meaning.pipelines else []
    there = services.read(ours)
    services.restart([unit for unit, now in there.items() if not now.active or now.release != name])


def _end(places: Places, marker: Marker) -> Outcome:
    """The marker goes last: until then all this is done again."""
    outcome = Outcome(marker.old, marker.new, marker.why)
    durable.write(places.outcome, json.dumps(asdict(outcome), indent=1).encode() + b"\n")
    durable.remove(places.marker)
    sweep(places, [places.linked(places.current), places.linked(places.previous)])
    return outcome


def outcome_of(places: Places) -> Outcome | None:
    """How the last upgrade ended, if it did and was said."""
    try:
        return Outcome(**json.loads(places.outcome.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _write(places: Places, marker: Marker) -> None:
    durable.write(places.marker, json.dumps(asdict(marker), indent=1).encode() + b"\n")


def _read(places: Places) -> Marker | None:
    """A marker is written whole or not at all: one that cannot be read is no marker of ours."""
    try:
        fields = json.loads(places.marker.read_bytes())
        return Marker(**fields | {"expects": tuple(fields["expects"])})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        raise Trouble(
            f"{places.marker} cannot be read: remove it, then run --upgrade again"
        ) from None
