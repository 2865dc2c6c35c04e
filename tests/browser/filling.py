"""Fills a registry with a made-up fleet: its last words, and the past of some devices."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec.structs import replace

from fleet.registry.words import Heard, Known, Written
from tests.browser.made_up import DIGESTS, stages
from wire.health import Throttle
from wire.messages import (
    Event,
    EventKind,
    Losses,
    Telemetry,
    Update,
    UpdatePhase,
    to_json,
)

AT_ONCE = 500


class Store(Protocol):
    def write(self, heard: Sequence[Heard]) -> Written: ...


class Telling:
    """What a made-up fleet says, as its devices would number it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._newest: dict[str, int] = {}

    def say(self, known: Known, record: Telemetry | Event, at_s: float) -> Heard:
        """A record with the next number of the device's spool."""
        seq = self._newest[known.name] = self._newest.get(known.name, 0) + 1
        kind = "telemetry" if isinstance(record, Telemetry) else "event"
        return Heard(known.name, kind, to_json(replace(record, seq=seq, oldest=seq)), at_s)

    def fill(self, fleet: Sequence[Known]) -> None:
        """The last word of every device."""
        heard: list[Heard] = []
        for known in fleet:
            assert known.presence is not None and known.state is not None
            heard.append(Heard(known.name, "presence", to_json(known.presence), known.heard_s))
            heard.append(Heard(known.name, "state", to_json(known.state), known.heard_s))
            if known.telemetry is not None:
                record = replace(known.telemetry, time=known.reached_s or known.heard_s)
                heard.append(self.say(known, record, known.heard_s))
        self.write(heard)

    def fill_past(self, known: Known, now_s: float, hours: float, period_s: float) -> None:
        """Hours of telemetry of one device, with a hot spell, a gap, a new model and events. Before
        its last word."""
        records = [*past(known, now_s, hours, period_s), *happenings(known, now_s)]
        self.write([self.say(known, record, at_s) for at_s, record in records])

    def write(self, heard: Sequence[Heard]) -> None:
        for first in range(0, len(heard), AT_ONCE):
            self._store.write(heard[first : first + AT_ONCE])


Told = tuple[float, Telemetry | Event]


def past(known: Known, now_s: float, hours: float, period_s: float) -> Iterator[Told]:
    chance = random.Random(known.name)
    record = known.telemetry
    assert record is not None
    many = int(hours * 3600 / period_s)
    for number in range(many):
        at_s = now_s - (many - number) * period_s
        if 0.30 < (now_s - at_s) / 3600 < 0.42:
            continue  # it was off
        yield at_s, _record(record, at_s, now_s, period_s, chance)


def _record(
    record: Telemetry,
    at_s: float,
    now_s: float,
    period_s: float,
    chance: random.Random,
) -> Telemetry:
    ago_h = (now_s - at_s) / 3600
    heat = 58 + 6 * math.sin(at_s / 5000) + chance.uniform(-1, 1)
    is_hot = 0.55 < ago_h < 0.75
    if is_hot:
        heat = 83 + chance.uniform(0, 3)
    version = "7" if ago_h > 0.2 else "8"
    speed = (1.5 if is_hot else 1.0) * (1.0 if version == "7" else 0.85)
    fps = 30 if not is_hot else 23
    frames = int(fps * period_s) - chance.randrange(3)
    lane = replace(
        record.pipelines["lane"],
        version=version,
        digest=DIGESTS[version],
        seconds=period_s,
        frames=frames,
        fps=frames / period_s,
        losses=Losses(
            int(30 * period_s) - frames, chance.randrange(2), int(chance.random() < 0.05), 0
        ),
        stages=stages(min(frames, 600), speed, chance),
        throttled=("soft_temperature_limit",) if is_hot else (),
    )
    health = replace(
        record.health,
        temperatures_c={"cpu-thermal": heat},
        throttle=Throttle(("soft_temperature_limit",) if is_hot else (), ()),
    )
    return replace(
        record, time=at_s, window_s=period_s, uptime_s=at_s - now_s + 1e6,
        pipelines={"lane": lane}, health=health,
    )  # fmt: skip


def happenings(known: Known, now_s: float) -> Iterator[Told]:
    assert known.telemetry is not None
    spool, boot = known.telemetry.spool, known.telemetry.boot

    def one(
        ago_s: float, kind: EventKind, subject: str, text: str, update: Update | None = None
    ) -> Told:
        at_s = now_s - ago_s
        return at_s, Event(
            spool, 0, 0, boot, at_s, 1e6 - ago_s, kind, subject, "lane", text, update
        )

    def step(ago_s: float, phase: UpdatePhase) -> Told:
        update = Update(phase, "digits", "8", DIGESTS["8"], 4, now_s - ago_s)
        return one(ago_s, "update", "model", f"digits 8: {phase}", update)

    yield one(2700, "fault", "power", "the board is slowed down: soft_temperature_limit")
    yield one(1980, "recovered", "power", "the board runs at full speed again")
    yield one(1500, "fault", "camera", "/dev/video0 went away: plug it in again")
    yield one(1080, "recovered", "camera", "/dev/video0 is back")
    yield step(780, "fetching")
    yield step(745, "staged")
    yield step(740, "trial")
    yield step(440, "good")
    yield one(120, "note", "config", "telemetry every 10 s for 5 minutes")
