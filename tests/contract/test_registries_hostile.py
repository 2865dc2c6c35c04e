"""Whatever a device says, a registry stores it or refuses it, and goes on: it never fails."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from fleet.registry.last_words import MOST_LOST
from fleet.registry.registry import Registry
from fleet.registry.words import EventQuery, Heard, HeardKind, Scope, Span, UpdateQuery
from tests.fleet_talk import NOW_S, Talker
from wire.happenings import Passage, Places

HUGE = [0, -1, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63), 1e308, -1e308, 5e-324, 1.5]
TEXTS = [
    "",
    "\0",
    "a\0b",
    "\ud800",
    "é" * 3000,
    "'; DROP TABLE fine;--",
    "%_\\",
    "\u202e",
    "x" * 70,
]
ODD = [*HUGE, *TEXTS, None, True, [], {}, [[]], {"a": 1}]
ROUNDS, MUTATED = 40, 25


def mutated(payload: bytes, chance: random.Random) -> bytes:
    """The same JSON with one or two values changed for odd ones."""
    told = json.loads(payload)
    for _ in range(chance.randint(1, 2)):
        _change(told, chance)
    return json.dumps(told).encode()


def _change(told: object, chance: random.Random) -> None:
    places = list(told.keys() if isinstance(told, dict) else range(len(told)))  # type: ignore[arg-type]
    if not places:
        return
    place = chance.choice(places)
    inner = told[place]  # type: ignore[index]
    if isinstance(inner, dict | list) and inner and chance.random() < 0.8:
        _change(inner, chance)
    else:
        told[place] = chance.choice(ODD)  # type: ignore[index]


def test_nothing_that_is_said_makes_it_fail(registry: Registry) -> None:
    chance = random.Random(11)
    door = Talker("door", places=Places({"porch": 2}, (Passage("line", "gate", "in", 3, "dog"),)))
    sayings: list[tuple[HeardKind, Callable[[], bytes]]] = [
        ("telemetry", lambda: door.telemetry(NOW_S).payload),
        ("event", lambda: door.phase(NOW_S, "trial").payload),
        ("event", lambda: door.event(NOW_S, "so", "fault").payload),
        ("presence", lambda: door.presence(NOW_S, True).payload),
        ("state", lambda: door.state(NOW_S).payload),
    ]
    stored = refused = 0
    for turn in range(ROUNDS):
        batch = []
        for _ in range(MUTATED):
            kind, say = chance.choice(sayings)
            batch.append(Heard(f"d{turn % 7}", kind, mutated(say(), chance), NOW_S + turn))
        written = registry.write(batch)
        stored += written.stored
        refused += written.refused
    assert stored > ROUNDS and refused > ROUNDS
    mark, has_more = 0, True
    while has_more:
        some = registry.changed(mark)
        mark, has_more = some.mark, some.has_more
    while registry.roll_up(NOW_S + 40 * 86_400):
        pass
    for span in (Span(NOW_S - 400 * 86_400, NOW_S + 86_400), Span(NOW_S - 600, NOW_S + 600)):
        for name in ("d0", "d1", "d2"):
            registry.windows(name, "lane", span)
            registry.vitals(name, span)
            registry.gaps(name, span)
            assert registry.latency(span, Scope(devices=[name])).queue.count >= 0
        registry.series(span)
        registry.passed(span)
    registry.events(EventQuery(text="%\0'"))
    registry.updates(UpdateQuery())
    registry.sizes()
    assert registry.write([door.telemetry(NOW_S + 999)]).stored == 1


def test_names_without_end_have_an_end(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.registry.naming.MOST_DEVICES", 5)
    monkeypatch.setattr("fleet.registry.naming.MOST_PIPELINES", 3)
    monkeypatch.setattr("fleet.registry.naming.MOST_RELEASES", 4)
    written = registry.write([Talker(f"d{n}").telemetry(NOW_S) for n in range(9)])
    assert (written.stored, written.refused) == (5, 4)
    assert written.why is not None and "too many devices" in written.why
    many = Talker("d1", spool="5b777", pipelines=[f"p{n}" for n in range(6)])
    assert registry.write([many.telemetry(NOW_S + 10)]).stored == 1
    known = registry.windows("d1", "p1", Span(NOW_S, NOW_S + 60))
    assert len(known) == 1 and registry.windows("d1", "p5", Span(NOW_S, NOW_S + 60)) == ()
    for number in range(9):
        many.version = f"v{number}"
        registry.write([many.telemetry(NOW_S + 20 + number)])
    told = registry.series(Span(NOW_S, NOW_S + 60), Scope(devices=["d1"]))
    assert {each.model for each in told} == {"digits", "(others)"}


def test_spools_without_end_have_an_end(registry: Registry) -> None:
    for number in range(100):
        door = Talker("door", spool=f"s{number}")
        assert registry.write([door.telemetry(NOW_S + number)]).stored == 1
    last = Talker("door", spool="s99")
    assert registry.write([last.telemetry(NOW_S + 99)]).duplicates == 1


def test_lost_records_are_counted_up_to_an_end(registry: Registry) -> None:
    for number in range(3):
        door = Talker("door", spool=f"s{number}")
        registry.write([door.telemetry(NOW_S)])
        door.seq = 2**63 - 2
        assert registry.write([door.telemetry(NOW_S + 10)]).stored == 1
    known = registry.device("door")
    assert known is not None and known.lost == MOST_LOST
    assert registry.changed(0).devices == (known,)


def test_records_of_one_moment_do_not_grow_without_end(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.registry.last_words.LARGEST", 20_000)
    door = Talker("door")
    for number in range(20):
        door.pipelines = [f"p{number}-{part}" for part in range(3)]
        registry.write([door.telemetry(NOW_S + number / 2)])
    known = registry.device("door")
    assert known is not None and known.telemetry is not None
    assert set(door.pipelines) <= set(known.telemetry.pipelines)
    assert len(known.telemetry.pipelines) < 40
