"""What an operator should know about a device first: its troubles, the worst one first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fleet.devices import Device, Fleet
from fleet.wording import clock_words, count, model_words, number, plural, printable, share, stretch
from wire.health import Health
from wire.messages import State

# how bad it is: devices are sorted by this
OFFLINE, NO_FRAMES, FAULT, NO_RECORD, FAILED, SLOWED, LOST, REFUSED, LATE, CLOCK, GARBAGE, NOTE = (
    100, 90, 85, 80, 70, 60, 50, 45, 40, 35, 30, 15
)  # fmt: skip
TRIAL = 10
# what it is about: rows are counted, and people are alerted, by this
Kind = Literal[
    "offline", "silent", "no_frames", "fault", "rejected", "rolled_back", "slow", "throttled",
    "hot", "disk", "memory", "trust", "lost", "config", "late", "clock", "garbage", "trial", "note",
]  # fmt: skip
# of a fault, by its subject; all others are of the kind "fault"
FAULT_KINDS: dict[str, Kind] = {
    "latency": "slow", "power": "throttled", "memory": "memory", "disk": "disk", "trust": "trust",
}  # fmt: skip
# of a pipeline that gives no frames, by phase: the subject of the fault that says why
SUBJECTS = {"no_camera": "camera", "silent": "pipeline", "ended": "pipeline"}
OVERDUE_PERIODS = 3.0
OVERDUE_S = 10.0  # beside the periods: a busy broker is no trouble
LATE_S = 300.0
MOST_FAULTS = 20
CLOCK_OFF_S = 10.0
HOT_C = 85.0
FULL_PERCENT = 95.0
AGES_S = 5.0  # how old what is said of ages may be


@dataclass(frozen=True)
class Concern:
    """One trouble. weight: how bad. words: a sentence's worth. kind: what it is about."""

    weight: int
    words: str
    kind: Kind = "fault"


def concerns(device: Device, now_s: float) -> list[Concern]:
    """Everything that is wrong with a device, the worst first."""
    found = [*_connection(device, now_s), *_state(device), *_pipelines(device), *_updates(device)]
    if device.newest is not None:
        found += [*_records(device), *_health(device.newest.health), *_clock(device)]
    if device.garbage:
        words = f"{plural(device.garbage, 'unreadable message')}: {device.garbled}"
        found.append(Concern(GARBAGE, printable(words, 200), "garbage"))
    return sorted(found, key=lambda concern: -concern.weight)


def period_s(device: Device) -> float:
    """Seconds between two records, as the device says."""
    if device.state is not None:
        return max(1.0, min(3600.0, device.state.telemetry_s))
    return 60.0 if device.newest is None else max(10.0, min(3600.0, device.newest.window_s))


def _connection(device: Device, now_s: float) -> Iterator[Concern]:
    presence = device.presence
    if presence is not None and not presence.online:
        since = "" if device.online_s is None else f" for {stretch(now_s - device.online_s)}"
        yield Concern(OFFLINE, f"offline{since}", "offline")
    elif device.reached_s is not None:
        silent_s = now_s - device.reached_s
        if silent_s > OVERDUE_PERIODS * period_s(device) + OVERDUE_S:
            yield Concern(NO_RECORD, f"newest record is {stretch(silent_s)} old", "silent")


def _state(device: Device) -> Iterator[Concern]:
    state = device.state
    if state is None:
        return
    told = set(_causes(state).values())
    apart = [fault for fault in state.faults if fault not in told]
    for fault in apart[:MOST_FAULTS]:
        yield Concern(FAULT, printable(fault, 200), _kind_of(fault, state))
    if len(apart) > MOST_FAULTS:
        yield Concern(FAULT, f"{plural(len(apart) - MOST_FAULTS, 'fault')} more")
    if state.config is not None:
        yield Concern(REFUSED, f"new config refused: {printable(state.config, 200)}", "config")


def _pipelines(device: Device) -> Iterator[Concern]:
    phases: dict[str, tuple[str, str | None]] = {
        name: (window.phase, window.absent) for name, window in device.windows.items()
    }
    if device.state is not None:
        phases |= {n: (p.phase, p.absent) for n, p in device.state.pipelines.items()}
    causes = {} if device.state is None else _causes(device.state)
    for name, (phase, absent) in phases.items():
        if phase in SUBJECTS:
            why = causes[name].partition(": ")[2].partition(": ")[2] if name in causes else absent
            words = f"{name} {phase.replace('_', ' ')}{f': {why}' if why else ''}"
            yield Concern(NO_FRAMES, printable(words, 200), "no_frames")
    slowed = {why for window in device.windows.values() for why in window.throttled or ()}
    if slowed:
        why = "throttled: " + ", ".join(sorted(slowed))
        yield Concern(SLOWED, printable(why, 200), "throttled")


def _updates(device: Device) -> Iterator[Concern]:
    """Models that did not stay, until the fleet wants another one; and those on trial."""
    pipelines = {} if device.state is None else device.state.pipelines
    for name, pipeline in pipelines.items():
        update = pipeline.update
        if update is None:
            continue
        model = model_words(update.model, update.version)
        if update.phase == "rejected" or update.phase == "rolled_back":
            words = f"{name} {update.phase.replace('_', ' ')} {model}: {update.reason or '-'}"
            yield Concern(FAILED, printable(words, 200), update.phase)
        elif update.phase == "trial":
            yield Concern(TRIAL, printable(f"{name} has {model} on trial", 200), "trial")


def _kind_of(fault: str, state: State) -> Kind:
    """What a fault is about: it begins with its pipeline, if it is of one, and its subject."""
    first, _, rest = fault.partition(": ")
    subject = rest.partition(": ")[0] if first in state.pipelines else first
    return FAULT_KINDS.get(subject, "fault")


def _causes(state: State) -> dict[str, str]:
    """The fault that says why a pipeline gives no frames, of each that gives none: it is told
    with the pipeline, and not once more."""
    found: dict[str, str] = {}
    for fault in state.faults:
        name, _, rest = fault.partition(": ")
        pipeline = state.pipelines.get(name)
        if pipeline is not None and rest.partition(": ")[0] == SUBJECTS.get(pipeline.phase):
            found.setdefault(name, fault)
    return found


def _records(device: Device) -> Iterator[Concern]:
    newest = device.newest
    assert newest is not None
    if newest.lost:
        yield Concern(
            LOST, f"{plural(newest.lost, 'record')} lost: the spool was too small", "lost"
        )
    if device.backlog * period_s(device) > LATE_S:
        yield Concern(LATE, f"{count(device.backlog)} older records still to come", "late")


def _health(health: Health) -> Iterator[Concern]:
    if health.throttle is not None:
        if health.throttle.now:
            yield Concern(
                SLOWED, printable("now " + ", ".join(health.throttle.now), 200), "throttled"
            )
        before = [why for why in health.throttle.since_boot if why not in health.throttle.now]
        if before:
            yield Concern(NOTE, printable("since boot " + ", ".join(before), 200), "note")
    hottest = hottest_c(health)
    if hottest is not None and hottest >= HOT_C:
        yield Concern(SLOWED, f"{number(hottest)} C hot", "hot")
    disk = health.disk
    used = share(disk.total - disk.free, disk.total) if disk is not None else None
    if used is not None and used >= FULL_PERCENT:
        yield Concern(SLOWED, f"disk {number(used)} % full", "disk")
    taken = memory_percent(health)
    if taken is not None and taken >= FULL_PERCENT:
        yield Concern(SLOWED, f"memory {number(taken)} % used", "memory")


def _clock(device: Device) -> Iterator[Concern]:
    newest = device.newest
    if abs(device.clock_off_s) >= CLOCK_OFF_S:
        yield Concern(CLOCK, clock_words(device.clock_off_s), "clock")
    elif newest is not None and newest.health.clock_synchronised is False:
        yield Concern(NOTE, "clock not synchronised", "note")


def hottest_c(health: Health) -> float | None:
    return max((health.temperatures_c or {}).values(), default=None)


def memory_percent(health: Health) -> float | None:
    """What programs have taken of it."""
    memory = health.memory
    return None if memory is None else share(memory.total - memory.available, memory.total)


def cpu_percent(health: Health) -> float | None:
    """Over all cores."""
    cores = health.cpu_percent
    return sum(cores) / len(cores) if cores else None


@dataclass(frozen=True)
class Ranked:
    """A device and what is wrong with it, the worst first."""

    device: Device
    concerns: tuple[Concern, ...]


class Ranking:
    """All devices, the worst first, then by name. Only what changed is looked at again."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, float, Ranked]] = {}

    def worst_first(self, fleet: Fleet, now_s: float) -> list[Ranked]:
        ranked = [self._ranked(device, now_s) for device in list(fleet.devices.values())]
        if len(self._known) > len(ranked):  # some were taken away
            self._known = {each.device.name: self._known[each.device.name] for each in ranked}
        ranked.sort(key=_rank)
        return ranked

    def _ranked(self, device: Device, now_s: float) -> Ranked:
        known = self._known.get(device.name)
        if known is not None and known[2].device is device:
            version, looked_s, ranked = known
            if version == device.version and 0 <= now_s - looked_s < AGES_S:
                return ranked
        ranked = Ranked(device, tuple(concerns(device, now_s)))
        self._known[device.name] = (device.version, now_s, ranked)
        return ranked


def _rank(ranked: Ranked) -> tuple[int, str]:
    return (-ranked.concerns[0].weight if ranked.concerns else 0, ranked.device.name)
