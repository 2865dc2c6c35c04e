"""What the registry takes in and how quickly it answers: with a broker and devices on two cores."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from fleet.registry.packed import merged, pack
from fleet.registry.registry import Registry, open_registry
from fleet.registry.rows import Values, add
from fleet.registry.tables import COUNTED, DEVICE, FINE, SLOT_S, TENS, TOGETHER, TURN
from fleet.registry.words import Scope, Span
from tests.budget.bill import at_most
from tests.fleet_talk import NOW_S, Talker, stages
from tests.ingest_load import DatabaseKind, taken

pytestmark = [pytest.mark.budget, pytest.mark.slow, pytest.mark.timeout(900)]

DEVICES, RATE, SECONDS = 20_000, 2000.0, 30.0
MANY = 10_000
NOT_THERE = 1e9


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_2000_records_a_second_and_none_lost(tmp_path: Path, kind: DatabaseKind) -> None:
    tries = iter(range(100))

    def slowest_s() -> float:
        """The 99th of 100 acknowledgements, of those that all came."""
        found = taken(tmp_path / str(next(tries)), kind, RATE, SECONDS, DEVICES)
        assert sum(found.stored) <= found.sent, "something was stored twice"
        is_all = found.missing == 0 and found.per_s >= 0.99 * RATE
        return found.ack_s[1] if is_all else NOT_THERE

    at_most(5.0, slowest_s)


def test_latency_over_ten_thousand_devices_and_an_hour(tmp_path: Path) -> None:
    registry = open_registry(f"sqlite:///{tmp_path}/registry.db")
    try:
        names = fill(registry)
        span = Span(NOW_S, NOW_S + 3600)
        assert registry.latency(span).end_to_end.count == 60 * MANY * 300
        at_most(0.5, timed(lambda: registry.latency(span)))
        for some in (names, names[: MANY * 9 // 10], names[1::2], names[: MANY // 10]):
            scope = Scope(devices=some)
            assert registry.latency(span, scope).end_to_end.count == 60 * len(some) * 300
            at_most(0.5, timed(lambda scope=scope: registry.latency(span, scope)))
    finally:
        registry.close()


def timed(act: Callable[[], object]) -> Callable[[], float]:
    """Processor seconds: on one thread, and all of it from memory, that is how long it takes."""

    def seconds() -> float:
        began_s = time.process_time()
        act()
        return time.process_time() - began_s

    return seconds


def fill(registry: Registry) -> list[str]:
    """An hour of so many devices as it lies in the tables: ten minutes, and the newest windows."""
    names = [f"d{number}" for number in range(MANY)]
    registry.write([Talker(name).state(NOW_S) for name in names])
    registry.write([Talker("d0").telemetry(NOW_S - 86_400)])  # names its pipeline and its model
    chance = random.Random(3)
    shapes = [pack(stages(chance, 300)) for _ in range(50)]
    tens = [merged([shape] * 10) for shape in shapes]  # a window each minute
    slots = [int(NOW_S // SLOT_S) + number for number in range(6)]
    with registry.database.writing() as (connection, turn):
        numbers = [row.id for row in connection.execute(DEVICE.select())]
        for slot in slots:
            rows = [_row({"slot": slot, "device": number}, tens[number % 50]) for number in numbers]
            if slot < slots[-1]:
                add(connection, TENS, rows)
                continue
            fine: list[Values] = [
                {"id": turn.fine_id + 1 + place, "made_s": slot * SLOT_S + 300.0, **row}
                for place, row in enumerate(rows)
            ]
            add(connection, FINE, fine)
            connection.execute(
                update(TURN).values(fine_id=turn.fine_id + MANY, rolled=turn.fine_id)
            )
        together = merged(shapes * (MANY // 10 // len(shapes)))  # a tenth of the devices
        minutes: list[Values] = [
            _row({"at_s": int(NOW_S) + 60 * (number // 10), "width_s": 60}, together)
            for number in range(600)
        ]
        add(connection, TOGETHER, minutes)
    return names


def _row(place: Values, shape: bytes) -> Values:
    counted = (600.0, 300, 0, 0, 0, 0, 0, shape)
    return place | {"pipeline": 1, "release": 1} | dict(zip(COUNTED, counted, strict=True))
