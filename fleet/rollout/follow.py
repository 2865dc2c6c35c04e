"""Watching devices take a version: a line for each change, and how it ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from msgspec import Struct

from fleet.asking import Note
from fleet.devices import Device, Fleet
from fleet.rollout.rollout import Goal, Progress, Stand, progress_of
from fleet.wording import plural

STEP_S = 0.25
MOST_LINES = 20  # devices; of more only how many are how far, and each that failed
SUMMARY_S = 2.0
AGAIN_S = 60.0  # a device that waits as long for the same says so again

GoalOf = Callable[[Device], Goal | None]  # None: the device is not concerned


@dataclass(frozen=True)
class Outcome:
    """How every device that is concerned stands at the end. is_late: some were still waited for."""

    devices: tuple[Progress, ...]
    is_late: bool = False

    @property
    def failed(self) -> tuple[Progress, ...]:
        return tuple(one for one in self.devices if one.stand == "failed")

    @property
    def is_well(self) -> bool:
        return not self.is_late and not self.failed


class DeviceLine(Struct, frozen=True):
    """One device in `--json`."""

    stand: Stand
    phase: str | None
    percent: int | None
    online: bool
    runs: str
    reason: str | None


def as_lines(devices: Iterable[Progress]) -> dict[str, DeviceLine]:
    return {
        one.device: DeviceLine(
            one.stand, one.phase, one.percent, one.is_there, one.runs, one.reason
        )
        for one in devices
    }


def look(fleet: Fleet, goal_of: GoalOf, now_s: float) -> tuple[Progress, ...]:
    """How far each device is that is concerned, by name. now_s: Unix time."""
    found = []
    for device in sorted(fleet.devices.values(), key=lambda each: each.name):
        goal = goal_of(device)
        if goal is not None:
            found.append(progress_of(device, goal, now_s))
    return tuple(found)


def follow(
    fleet: Fleet,
    step: Callable[[float], None],
    goal_of: GoalOf,
    awaited: Callable[[Progress], bool],
    timeout_s: float,
    note: Note,
) -> Outcome:
    """Until every device that is awaited said how it ended. step: lets messages in, for so long.

    awaited: whether a device that has not ended yet is waited for.
    """
    teller = Teller(note)
    until_s = time.monotonic() + timeout_s
    while True:
        devices = look(fleet, goal_of, time.time())
        teller.tell(devices, time.monotonic())
        left_s = until_s - time.monotonic()
        if not any(awaited(one) and not one.is_over for one in devices):
            return Outcome(devices)
        if left_s <= 0:
            return Outcome(devices, is_late=True)
        step(min(STEP_S, left_s))


class Teller:
    """Says what changed, and again what does not for long. Times are of time.monotonic()."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._told: dict[str, tuple[float, str]] = {}
        self._summary: tuple[float, str] = (0.0, "")

    def tell(self, devices: tuple[Progress, ...], now_s: float) -> None:
        is_few = len(devices) <= MOST_LINES
        for one in devices:
            words = one.words
            told_s, told = self._told.get(one.device, (now_s, ""))
            is_long = one.is_there and not one.is_over and now_s - told_s >= AGAIN_S
            if told == words and not is_long:
                continue
            self._told[one.device] = (now_s, words)
            if is_few or one.stand == "failed":
                self._note(f"{one.device}: {words}")
        if not is_few and now_s - self._summary[0] >= SUMMARY_S:
            line = summary(devices)
            if line != self._summary[1]:
                self._note(line)
            self._summary = (now_s, line)


def summary(devices: Iterable[Progress]) -> str:
    """`12 good, 1 failed, 3 on their way, 2 waiting, 4 offline, of 22 devices`."""
    words = {"good": "good", "failed": "failed", "busy": "on their way", "waiting": "waiting"}
    counts: Counter[str] = Counter()
    for one in devices:
        is_away = not one.is_there and not one.is_over
        counts["offline" if is_away else words[one.stand]] += 1
    parts = [f"{counts[word]} {word}" for word in (*words.values(), "offline") if counts[word]]
    return f"{', '.join(parts) or 'none'}, of {plural(counts.total(), 'device')}"
