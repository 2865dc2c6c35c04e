"""What is kept of a board's health: the figures that people look at, as small whole numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable

from msgspec import Struct

from fleet.registry.words import Vital
from wire.health import Health
from wire.messages import Telemetry

MOST = 32_767
MOST_BYTES = 1 << 62
# the firmware's words; what else a board may say is the last
THROTTLES = ("under_voltage", "frequency_capped", "throttled", "soft_temperature_limit", "other")


class Measured(Struct, frozen=True, array_like=True):
    """In tenths of degrees and of percents. throttled: bits of THROTTLES."""

    hottest: int | None
    cpu: int | None
    memory: int | None
    disk: int | None
    throttled: int


def measured(record: Telemetry) -> Measured:
    health = record.health
    cores = health.cpu_percent
    words = set(health.throttle.now) if health.throttle is not None else set()
    for window in record.pipelines.values():
        words.update(window.throttled or ())
    return Measured(
        _tenths(max((health.temperatures_c or {}).values(), default=None)),
        _tenths(sum(cores) / len(cores) if cores else None),
        _memory(health),
        _disk(health),
        bits_of(words),
    )


def _memory(health: Health) -> int | None:
    memory = health.memory
    return None if memory is None else _share(memory.total - memory.available, memory.total)


def _disk(health: Health) -> int | None:
    disk = health.disk
    return None if disk is None else _share(disk.total - disk.free, disk.total)


def vital(start_s: float, row: Measured) -> Vital:
    hottest, cpu, memory, disk = (
        None if tenths is None else tenths / 10
        for tenths in (row.hottest, row.cpu, row.memory, row.disk)
    )
    return Vital(start_s, hottest, cpu, memory, disk, words_of(row.throttled))


def worst(rows: Iterable[Measured]) -> Measured:
    """Of each figure; at least one row."""
    many = list(rows)

    def highest(values: Iterable[int | None]) -> int | None:
        return max((value for value in values if value is not None), default=None)

    throttled = 0
    for row in many:
        throttled |= row.throttled
    return Measured(
        highest(row.hottest for row in many),
        highest(row.cpu for row in many),
        highest(row.memory for row in many),
        highest(row.disk for row in many),
        throttled,
    )


def bits_of(words: Iterable[str]) -> int:
    bits = 0
    for word in words:
        place = THROTTLES.index(word) if word in THROTTLES else len(THROTTLES) - 1
        bits |= 1 << place
    return bits


def words_of(bits: int) -> tuple[str, ...]:
    return tuple(word for place, word in enumerate(THROTTLES) if bits >> place & 1)


def _share(part: int, whole: int) -> int | None:
    return _tenths(100 * part / whole) if 0 < whole < MOST_BYTES > abs(part) else None


def _tenths(value: float | None) -> int | None:
    if value is None or not math.isfinite(value):
        return None
    return max(-MOST, min(MOST, round(10 * value)))
