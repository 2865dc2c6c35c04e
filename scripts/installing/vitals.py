"""Whether it really works: services up and staying up, frames flowing, telemetry acknowledged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from installing.meaning import Meaning
from installing.progress import Progress
from installing.services import AGENT, Reading, Services

# what the services say of themselves: tests hold that these are their words
FRAMES = re.compile(r": ([0-9.e+-]+) results/s$")
WAITS = "no model: waiting until one is deployed"
LINK = re.compile(r"^connected to \S+; .*; ([0-9]+) records wait(?:, ([0-9]+) acknowledged)?$")
STEADY_S = 15.0  # longer than a service needs to fail and be started again
RECORD_S = 10.0  # by then a record of a period that is over has its answer
LOOK_S = 2.0
PATIENCE_S = 180.0

TELEMETRY = "telemetry"


@dataclass(frozen=True)
class Vital:
    """One thing that must work. mend: what to do where it does not."""

    name: str
    works: bool
    said: str
    mend: str


def look(services: Services, meaning: Meaning, release: str | None) -> list[Vital]:
    """All vitals now. release: that must run, None: any. Empty without pipelines."""
    return _vitals(_readings(services, meaning), meaning, release)


def _readings(services: Services, meaning: Meaning) -> dict[str, Reading]:
    runtimes = [one.unit for one in meaning.pipelines]
    return services.read([*runtimes, AGENT] if runtimes else [])


def _vitals(now: dict[str, Reading], meaning: Meaning, release: str | None) -> list[Vital]:
    found: list[Vital] = []
    for pipeline in meaning.pipelines:
        found += _runtime(now[pipeline.unit], pipeline.unit, pipeline.name, release)
    return found + _agent(now[AGENT], meaning, release) if meaning.pipelines else []


def working(vitals: Sequence[Vital]) -> list[str]:
    return [vital.name for vital in vitals if vital.works]


def await_all(
    services: Services,
    meaning: Meaning,
    release: str,
    expects: Sequence[str] | None,
    progress: Progress,
    patience_s: float = PATIENCE_S,
) -> list[Vital]:
    """Wait until what is expected works, and stays so. expects: names; None: everything. Returns
    what was expected and does not work in the end."""
    began_s = services.now_s()
    steady_s: float | None = None
    pids: list[int] = []
    said: set[str] = set()
    while True:
        readings = _readings(services, meaning)
        vitals = _vitals(readings, meaning, release)
        missing = [
            one for one in vitals if not one.works and (expects is None or one.name in expects)
        ]
        for name in working(vitals):
            if name not in said:
                said.add(name)
                progress.say(f"{name}: works")
        now_s, before = services.now_s(), pids
        pids = [one.pid for one in readings.values()]
        if missing or pids != before:
            steady_s = None
        elif steady_s is None:
            steady_s = now_s
        if steady_s is not None and now_s - steady_s >= STEADY_S:
            return []
        period_s = meaning.period_s if _does_not_count(readings) else 0.0
        if now_s - began_s >= patience_s + period_s and (missing or steady_s is None):
            return missing or [
                Vital("services", False, "they end again and again", _journal(AGENT))
            ]
        services.pause(LOOK_S)


def _runtime(now: Reading, unit: str, name: str, release: str | None) -> list[Vital]:
    found = FRAMES.search(now.said)
    flows = found is not None and float(found[1]) > 0
    return [
        _active(now, unit, release),
        Vital(
            f"frames of {name}", now.active and (flows or now.said == WAITS),
            now.said or "nothing was said", _journal(unit),
        ),
    ]  # fmt: skip


def _agent(now: Reading, meaning: Meaning, release: str | None) -> list[Vital]:
    found = LINK.match(now.said)
    if found is None:
        is_through = False
    elif found[2] is not None:
        is_through = found[2] != "0"  # that it started is a record, and goes at once
    else:
        # a record is made every period: none waits although one was made, so the broker has it
        is_through = found[1] == "0" and now.since_s > meaning.period_s + RECORD_S
    mend = f"see [broker] in vedette.toml and whether {meaning.broker} is reached from here; "
    return [
        _active(now, AGENT, release),
        Vital(TELEMETRY, now.active and is_through, now.said or "nothing was said",
              mend + _journal(AGENT)),
    ]  # fmt: skip


def _does_not_count(readings: dict[str, Reading]) -> bool:
    """Whether this agent does not say how many records were acknowledged."""
    found = LINK.match(readings[AGENT].said) if AGENT in readings else None
    return found is not None and found[2] is None


def _active(now: Reading, unit: str, release: str | None) -> Vital:
    is_right = now.active and (release is None or now.release == release)
    runs = f"it runs release {now.release or 'unknown'}" if now.active else "it is not active"
    return Vital(unit.removesuffix(".service"), is_right, runs, _journal(unit))


def _journal(unit: str) -> str:
    return f"journalctl -u {unit.removesuffix('.service')} -n 20"
