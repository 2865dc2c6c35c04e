"""How much room a registry takes, and that it takes no more than it may."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import text

from fleet.registry.registry import Registry, open_registry
from fleet.registry.space import used_bytes
from fleet.registry.words import Scope, Span, Terms
from tests.fleet_talk import NOW_S, Talker
from wire.troubles import Refused, Unavailable

HOURS, DEVICES = 8, 8


def fill(registry: Registry, from_s: float, hours: int) -> None:
    talkers = [Talker(f"d{number}", spool=f"s{int(from_s)}") for number in range(DEVICES)]
    for minute in range(60 * hours):
        at_s = from_s + 60 * minute
        registry.write([each.telemetry(at_s) for each in talkers])


def roll(registry: Registry, now_s: float) -> None:
    while registry.roll_up(now_s + 200):
        pass


def expire(registry: Registry, now_s: float, terms: Terms) -> None:
    while not registry.expire(now_s, terms).is_done:
        pass


@pytest.mark.slow
@pytest.mark.timeout(400)  # 10 s of a processor that others use, too
def test_the_oldest_goes_first_and_room_is_used_again(tmp_path: Path) -> None:
    registry = open_registry(f"sqlite:///{tmp_path}/registry.db")
    end_s = NOW_S + 3600 * HOURS
    try:
        fill(registry, NOW_S, HOURS)
        roll(registry, end_s)
        whole = registry.sizes()
        terms = Terms(keep_bytes=whole.bytes // 2)

        expire(registry, end_s, terms)
        assert used_bytes(registry.database) <= terms.keep_bytes
        rows = {each.name: each for each in registry.sizes().tables}
        assert 0 < rows["fine"].rows < 60 * HOURS * DEVICES
        oldest_s = rows["fine"].oldest_s
        assert oldest_s is not None and oldest_s > NOW_S
        assert rows["tens"].rows == 6 * HOURS * DEVICES
        span = Span(NOW_S - 5, end_s)
        latency = registry.latency(span, Scope(devices=["d3"]))
        assert latency.queue.count == 30 * 60 * HOURS  # all of it, from longer stretches
        newest = registry.windows("d3", "lane", Span(end_s - 1800, end_s))
        assert len(newest) == 30
        for hour in range(HOURS):
            fill(registry, end_s + 3600 * hour, 1)
            roll(registry, end_s + 3600 * (hour + 1))
            expire(registry, end_s + 3600 * (hour + 1), terms)
        assert registry.sizes().bytes <= 1.1 * whole.bytes
    finally:
        registry.close()


def test_what_is_no_database_is_refused_in_words(tmp_path: Path) -> None:
    for url in ("", "x", "mysql://h/x", "sqlite://", "sqlite:///:memory:", "http://x"):
        with pytest.raises(Refused, match="sqlite:////PATH"):
            open_registry(url)
    with pytest.raises(Unavailable, match="does its folder exist"):
        open_registry(f"sqlite:///{tmp_path}/nowhere/registry.db")
    (tmp_path / "text.db").write_text("this is no database, and longer than a page's head" * 100)
    with pytest.raises(Unavailable, match="not a database"):
        open_registry(f"sqlite:///{tmp_path}/text.db")


def test_a_server_that_is_not_there_is_said() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        open_registry("postgresql://nobody@127.0.0.1:1/x")


def test_tables_of_a_newer_program_are_refused(tmp_path: Path) -> None:
    registry = open_registry(f"sqlite:///{tmp_path}/registry.db")
    with registry.database.writing() as (connection, _):
        connection.execute(text("UPDATE registry_schema SET version = 99"))
    registry.close()
    with pytest.raises(Refused, match="run the newer vedette"):
        open_registry(f"sqlite:///{tmp_path}/registry.db")


def test_a_damaged_file_is_said_and_not_worked_with(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    registry = open_registry(f"sqlite:///{path}")
    fill_some = [Talker(f"d{number}").telemetry(NOW_S) for number in range(50)]
    registry.write(fill_some)
    registry.close()
    content = bytearray(path.read_bytes())
    for place in range(4096, len(content), 512):
        content[place : place + 200] = b"\xa5" * 200
    path.write_bytes(content)
    with pytest.raises(Unavailable, match=r"the database is damaged: .*stop vedette"):
        registry = open_registry(f"sqlite:///{path}")
        try:
            registry.write(fill_some)
            registry.changed(0)
        finally:
            registry.close()


def test_its_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Whatever the umask of who makes it: sessions and hashes of passwords are in it."""
    before = os.umask(0o022)
    try:
        registry = open_registry(f"sqlite:///{tmp_path}/registry.db")
        registry.write([Talker("d").telemetry(NOW_S)])
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        registry.close()
    finally:
        os.umask(before)
    assert "registry.db" in modes
    assert set(modes.values()) == {0o600}
