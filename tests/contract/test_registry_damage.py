"""A database that is damaged, wherever: one line says so and what to do, and nothing is removed."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from fleet.accounts.accounts import Accounts, open_accounts
from fleet.alerts.book import AlertBook, open_book
from fleet.alerts.ledger import Change, Trouble
from fleet.registry.registry import Registry, open_registry
from fleet.registry.words import EventQuery, Scope, Span, UpdateQuery
from tests.fleet_talk import NOW_S, Talker
from wire.troubles import Refused, Unavailable

PAGE = 4096
SPANS = (Span(NOW_S - 100, NOW_S + 4000), Span(NOW_S - 3 * 86_400, NOW_S + 4 * 86_400))
NAMES = ("d0", "d1", "d2")
HOT = Trouble("hot", "door", "91 C hot")
TEXTS = (b"trial", b"lane", b"went away", b"digits", b"olga", b"91 C", b"CREATE", b"d1")
Act = Callable[[], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database with something of everything."""
    path = tmp_path_factory.mktemp("whole") / "registry.db"
    url = f"sqlite:///{path}"
    with ExitStack() as stack:
        registry = stack.enter_context(closing(open_registry(url)))
        accounts = stack.enter_context(closing(open_accounts(url)))
        book = stack.enter_context(closing(open_book(url)))
        talkers = [Talker(name, frames=3) for name in NAMES]
        for minute in range(15):
            at_s = NOW_S + 60 * minute
            talkers[minute % 3].seq += minute % 2  # gaps
            registry.write([each.telemetry(at_s) for each in talkers])
            registry.write([each.presence(at_s, True) for each in talkers])
            registry.write(
                [talkers[0].event(at_s, "it went away"), talkers[1].phase(at_s, "trial")]
            )
        while registry.roll_up(NOW_S + 9000):
            pass
        accounts.add("olga", "three blind mice", "operator")
        accounts.sessions.open("olga", "192.0.2.1")
        accounts.audit("olga", "deploy", "door", "done", "192.0.2.1")
        book.save([Change("raised", HOT, 1.0, 2.0)], [])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


def damaged(whole: bytes, chance: random.Random) -> bytes:
    """The same with a bit, a text, a few bytes, a page or its end changed."""
    content = bytearray(whole)
    place = chance.randrange(len(content))
    page = place // PAGE * PAGE
    kind = chance.choice(("bits", "bytes", "text", "page", "zeros", "end"))
    if kind == "bits":
        for _ in range(chance.choice((1, 20, 300))):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif kind == "bytes":
        content[place : place + 30] = chance.randbytes(len(content[place : place + 30]))
    elif kind == "text":
        found = whole.find(chance.choice(TEXTS), place)
        content[max(0, found) + 1] = chance.randrange(128, 256)
    elif kind == "page":
        content[page : page + PAGE] = chance.randbytes(PAGE)
    elif kind == "zeros":
        content[page : page + PAGE] = bytes(PAGE)
    else:
        del content[max(PAGE, place) :]
    return bytes(content)


def of_registry(registry: Registry) -> Iterator[Act]:
    talkers = [Talker(name, spool="5b009", frames=2) for name in NAMES]
    yield lambda: registry.changed(0)
    for span in SPANS:
        for name in NAMES:
            yield lambda name=name: registry.device(name)
            yield lambda name=name, span=span: registry.windows(name, "lane", span)
            yield lambda name=name, span=span: registry.vitals(name, span)
            yield lambda name=name, span=span: registry.gaps(name, span)
        for scope in (Scope(), Scope(devices=NAMES)):
            yield lambda span=span, scope=scope: registry.latency(span, scope)
            yield lambda span=span, scope=scope: registry.series(span, scope)
    yield lambda: registry.events(EventQuery(text="a"))
    yield lambda: registry.events(EventQuery(device="d0", most=2))
    yield lambda: registry.updates(UpdateQuery())
    yield registry.sizes
    yield registry.services
    yield lambda: registry.take_lease("keeper", "one", NOW_S, 3.0)
    yield lambda: registry.write([each.telemetry(NOW_S + 3700) for each in talkers])
    yield lambda: registry.write([each.phase(NOW_S + 3700, "good") for each in talkers])
    yield lambda: registry.roll_up(NOW_S + 20_000)
    yield lambda: registry.expire(NOW_S + 8 * 86_400)
    yield lambda: registry.forget("d2")


def of_accounts(accounts: Accounts) -> Iterator[Act]:
    yield accounts.people
    yield accounts.entries
    yield lambda: accounts.sessions.of("olga")
    yield lambda: accounts.sessions.holder("nobody")
    yield lambda: accounts.sessions.open("olga", "192.0.2.1")
    yield lambda: accounts.audit("olga", "deploy", "door", "done", "192.0.2.1")
    yield lambda: accounts.set_role("olga", "operator")


def of_book(book: AlertBook) -> Iterator[Act]:
    yield book.standing
    yield book.history
    yield lambda: book.changes(0)
    yield lambda: book.told("somebody")
    yield lambda: book.save([Change("worse", HOT, 1.0, 3.0)], [])
    yield lambda: book.hold("one", 1.0, 5.0)


def troubles_of(url: str) -> list[str]:
    """Do all that can be done. What is no trouble is a bug, and comes out."""
    said: list[str] = []

    def guarded(act: Act) -> object:
        try:
            return act()
        except (Unavailable, Refused) as trouble:
            said.append(str(trouble))
            return None

    def all_of(reopen: Callable[[str], object], acts: Callable[..., Iterator[Act]]) -> None:
        opened = guarded(lambda: reopen(url))
        if opened is not None:
            with closing(opened):  # type: ignore[type-var]  # all of them can be closed
                for act in acts(opened):
                    guarded(act)

    all_of(open_registry, of_registry)
    all_of(open_accounts, of_accounts)
    all_of(open_book, of_book)
    return said


def check(whole: bytes, tmp_path: Path, seed: int, rounds: int) -> None:
    chance = random.Random(seed)
    is_said = 0
    for turn in range(rounds):
        path = tmp_path / f"{turn}.db"
        path.write_bytes(damaged(whole, chance))
        said = troubles_of(f"sqlite:///{path}")
        assert path.stat().st_size > 0, "nobody removes it"
        assert all("\n" not in each for each in said)
        of_damage = [each for each in said if "damaged" in each]
        assert all("stop vedette, keep the file" in each for each in of_damage)
        is_said += bool(of_damage)
        for left in tmp_path.glob(f"{turn}.db*"):
            left.unlink()
    assert is_said >= rounds // 3


def test_damage_anywhere_is_one_line_that_says_what_to_do(whole: bytes, tmp_path: Path) -> None:
    check(whole, tmp_path, 5, 12)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_damage_at_very_many_places(whole: bytes, tmp_path: Path) -> None:
    check(whole, tmp_path, 2, 150)


def test_what_is_whole_is_not_called_damaged(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "whole.db"
    path.write_bytes(whole)
    assert troubles_of(f"sqlite:///{path}") == []


def test_a_bug_is_not_called_damage(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "whole.db"
    path.write_bytes(whole)
    registry = open_registry(f"sqlite:///{path}")
    with closing(registry), pytest.raises(ZeroDivisionError), registry.database.reading():
        print(1 / 0)


def test_what_is_whole_in_it_is_still_read(whole: bytes, tmp_path: Path) -> None:
    """One row is torn: who asks for it is told so, and for all others it is as before."""
    path = tmp_path / "torn.db"
    path.write_bytes(whole)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE fine SET stages = x'00ff' WHERE device = 1")
    registry = open_registry(f"sqlite:///{path}")
    with closing(registry):
        with pytest.raises(Unavailable, match="torn"):
            registry.windows("d0", "lane", SPANS[0])
        assert len(registry.windows("d1", "lane", SPANS[0])) == 15
        assert registry.write([Talker("d0", spool="5b009").telemetry(NOW_S + 3700)]).stored == 1
