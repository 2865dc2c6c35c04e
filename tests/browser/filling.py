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
from wire.messages import Event, Losses, Telemetry, Update, to_json

AT_ONCE = 500


class Store(Protocol):
    def write(self, heard: Sequence[Heard]) -> Written: ...


def fill(store: Store, fleet: Sequence[Known]) -> None:
    """The last word of every device."""
    heard: list[Heard] = []
    for known in fleet:
        assert known.presence is not None and known.state is not None
        heard.append(Heard(known.name, "presence", to_json(known.presence), known.heard_s))
        heard.append(Heard(known.name, "state", to_json(known.state), known.heard_s))
        if known.telemetry is not None:
            record = replace(
                known.telemetry, seq=100_000, oldest=100_000, time=known.reached_s or 0
            )
            heard.append(Heard(known.name, "telemetry", to_json(record), known.heard_s))
    write(store, heard)


def fill_past(store: Store, known: Known, now_s: float, hours: float, period_s: float) -> None:
    """Hours of telemetry of one device, with a hot spell, a gap, a new model and some events."""
    write(store, [*past(known, now_s, hours, period_s), *happenings(known, now_s)])


def write(store: Store, heard: Sequence[Heard]) -> None:
    for first in range(0, len(heard), AT_ONCE):
        store.write(heard[first : first + AT_ONCE])


def past(known: Known, now_s: float, hours: float, period_s: float) -> Iterator[Heard]:
    chance = random.Random(known.name)
    record = known.telemetry
    assert record is not None
    many = int(hours * 3600 / period_s)
    for number in range(many):
        at_s = now_s - (many - number) * period_s
        ago_h = (now_s - at_s) / 3600
        if 0.30 < ago_h < 0.42:
            continue  # it was off
        yield Heard(
            known.name,
            "telemetry",
            to_json(_record(record, at_s, now_s, number, period_s, chance)),
            at_s,
        )


def _record(
    record: Telemetry,
    at_s: float,
    now_s: float,
    number: int,
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
        record, seq=number + 1, oldest=1, time=at_s, window_s=period_s, uptime_s=at_s - now_s + 1e6,
        pipelines={"lane": lane}, health=health,
    )  # fmt: skip


def happenings(known: Known, now_s: float) -> Iterator[Heard]:
    assert known.telemetry is not None
    spool, boot = known.telemetry.spool, known.telemetry.boot

    def one(
        number: int, ago_s: float, kind: str, subject: str, text: str, update: Update | None = None
    ) -> Heard:
        at_s = now_s - ago_s
        event = Event(
            spool, 50_000 + number, 1, boot, at_s, 1e6 - ago_s, kind,  # type: ignore[arg-type]
            subject, "lane", text, update,
        )  # fmt: skip
        return Heard(known.name, "event", to_json(event), at_s)

    def step(number: int, ago_s: float, phase: str) -> Heard:
        update = Update(phase, "digits", "8", DIGESTS["8"], 4, now_s - ago_s)  # type: ignore[arg-type]
        return one(number, ago_s, "update", "model", f"digits 8: {phase}", update)

    yield one(1, 2700, "fault", "power", "the board is slowed down: soft_temperature_limit")
    yield one(2, 1980, "recovered", "power", "the board runs at full speed again")
    yield one(3, 1500, "fault", "camera", "/dev/video0 went away: plug it in again")
    yield one(4, 1080, "recovered", "camera", "/dev/video0 is back")
    yield step(5, 780, "fetching")
    yield step(6, 745, "staged")
    yield step(7, 740, "trial")
    yield step(8, 440, "good")
    yield one(9, 120, "note", "config", "telemetry every 10 s for 5 minutes")
