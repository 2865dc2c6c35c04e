"""Tables of an older version become today's with all that is in them, and newer ones are refused.

registry_v1 has a database as version 1 of the tables made it, with something of everything.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Inspector, inspect, text

from fleet.accounts.accounts import open_accounts
from fleet.accounts.tables import BUILD as ACCOUNTS
from fleet.alerts.book import BUILD as ALERTS
from fleet.alerts.book import open_book
from fleet.registry.engine import changing, open_engine
from fleet.registry.registry import Registry, open_registry
from fleet.registry.schema import BUILD as REGISTRY
from fleet.registry.tables import METADATA
from fleet.registry.versions import Build
from fleet.registry.words import EventQuery, Scope, UpdateQuery
from tests.fleet_talk import NOW_S, Talker
from tests.registries import HOUR, Open, roll
from wire.happenings import Passage, Places
from wire.troubles import Refused, Unavailable

FIRST = Path(__file__).parent / "registry_v1"
AFTER_2038_S = 2.0**31 + 3600


@pytest.fixture
def old(url: str) -> str:
    """A database as version 1 made it."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.executescript((FIRST / "sqlite.sql").read_text())
        return url
    engine = open_engine(url)
    with changing(engine) as connection:
        connection.exec_driver_sql((FIRST / "postgresql.sql").read_text())
    engine.dispose()
    return url


def check(registry: Registry) -> None:
    """Everything that was there is there, and in the order of time."""
    page = registry.events(EventQuery())
    texts = [row.event.text for row in page.events]
    assert texts == ["digits 2: trial", "second", "first", "late"]
    assert {known.name for known in registry.changed(0).devices} == {"door", "gate"}
    for names in (None, ["door", "gate"]):
        assert registry.latency(HOUR, Scope(devices=names)).end_to_end.count == 4
    (life,) = registry.updates(UpdateQuery())
    assert (life.device, life.phase) == ("door", "trial")


def test_version_one_becomes_todays_with_all_that_is_in_it(old: str, again: Open) -> None:
    registry = again()
    check(registry)
    gate = Talker("gate", seq=20)
    gate.places = Places(passed=(Passage("line", "gate", "in", 3),))
    assert registry.write([gate.event(NOW_S + 9, "new"), gate.telemetry(NOW_S + 9)]).stored == 2
    assert [each.count for each in registry.passed(HOUR)] == [3]
    roll(registry)
    check_again = again()
    assert [row.event.text for row in check_again.events(EventQuery(most=2)).events] == [
        "new", "digits 2: trial",
    ]  # fmt: skip
    with closing(open_accounts(old)) as accounts, closing(open_book(old)) as book:
        assert [each.name for each in accounts.people()] == ["olga"]
        assert [entry.what for entry in accounts.entries()] == ["deploy"]
        assert [one.trouble.subject for one in book.standing()] == ["door"]


def test_it_goes_on_after_2038(old: str, again: Open) -> None:
    registry = again()
    assert registry.write([Talker("gate", seq=20).telemetry(AFTER_2038_S)]).stored == 1


def test_a_database_has_one_identity_for_ever(old: str, again: Open, tmp_path: Path) -> None:
    first = again().identity
    assert again().identity == first
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "two")]
    with closing(open_registry(urls[0])) as one, closing(open_registry(urls[1])) as two:
        assert len({first, one.identity, two.identity}) == 3
        made = one.identity
    with closing(open_registry(urls[0])) as one:
        assert one.identity == made


def _shape(found: Inspector) -> dict[str, object]:
    return {
        name: (
            sorted(column["name"] for column in found.get_columns(name)),
            sorted(
                (index["name"], *index["column_names"])
                for index in found.get_indexes(name)
                if "duplicates_constraint" not in index
            ),
        )
        for name in METADATA.tables
    }


def test_it_ends_as_what_is_made_anew(old: str, again: Open, tmp_path: Path) -> None:
    registry = again()
    with closing(open_registry(f"sqlite:///{tmp_path}/new.db")) as new:
        made = _shape(inspect(new.database.engine))
    assert _shape(inspect(registry.database.engine)) == made


def test_of_many_that_begin_at_once_one_does_it(old: str, again: Open) -> None:
    troubles: list[BaseException] = []
    together = threading.Barrier(4)

    def begin() -> None:
        together.wait()
        try:
            check(again())
        except BaseException as error:
            troubles.append(error)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []


def test_what_breaks_in_the_middle_leaves_the_old_tables(
    old: str, again: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise Unavailable("the disk is full")

    name, versions, make, steps = REGISTRY.name, REGISTRY.versions, REGISTRY.make, REGISTRY.steps
    with monkeypatch.context() as patched:
        half = Build(name, versions, make, (*steps, broken))
        patched.setattr("fleet.registry.database.BUILD", half)
        with pytest.raises(Unavailable, match="disk is full"):
            again()
    engine = open_engine(old)
    with changing(engine) as connection:
        assert connection.execute(text("SELECT version FROM registry_schema")).scalar() == 1
        assert "event_at" in {each["name"] for each in inspect(connection).get_indexes("event")}
    engine.dispose()
    check(again())


@pytest.mark.parametrize(
    ("build", "reopen"), [(REGISTRY, open_registry), (ACCOUNTS, open_accounts), (ALERTS, open_book)]
)
def test_what_a_newer_program_made_is_refused(url: str, build: Build, reopen: object) -> None:
    assert callable(reopen)
    reopen(url).close()
    engine = open_engine(url)
    with changing(engine) as connection:
        connection.execute(text(f"UPDATE {build.versions.name} SET version = 99"))  # noqa: S608 - our own names
    engine.dispose()
    words = f"{build.name} in this database: version 99, .* knows {build.version}: run the newer"
    with pytest.raises(Refused, match=words):
        reopen(url)
