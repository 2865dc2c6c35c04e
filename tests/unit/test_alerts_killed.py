"""A server that is killed while it sends an alert: nothing is lost, what comes again says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from fleet.accounts.tables import open_engine
from fleet.alerts.alerts import LEASE_S
from fleet.alerts.book import AlertBook
from fleet.alerts.bulletin import AGAIN
from fleet.alerts.sending import identity
from fleet.alerts.terms import Target
from tests.alert_inbox import Inbox
from tests.laws.sources import ROOT
from tests.telling import NOW_S
from tests.unit.test_alerts_kept import alerts, walk

WORDS = "door: newest record is"
PATIENCE_S = 120.0
# the process that is killed: it looks at a door that is silent, and tells it
CHILD = """
import sys
from fleet.accounts.tables import open_engine
from tests.unit.test_alerts_kept import alerts, walk
told = alerts(open_engine(sys.argv[1]), sys.argv[2])
print("begins", flush=True)
walk(told, 600, "door")
"""


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    yield made
    made.close()


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'fleet.db'}"


@pytest.fixture
def engine(address: str) -> Iterator[Engine]:
    made = open_engine(address)
    yield made
    made.dispose()


def send_and_die(inbox: Inbox, address: str, after: bool) -> None:
    """Another process tells of the door, and is killed: before any of it came, or after all did."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, address, inbox.url], cwd=ROOT, stdout=subprocess.PIPE
    ) as child:

        def kill() -> None:
            os.kill(child.pid, signal.SIGKILL)
            child.wait(PATIENCE_S)

        if after:
            inbox.after = kill
        else:
            inbox.before = kill
            inbox.status = 500  # what did not come whole is not taken
        assert child.wait(PATIENCE_S) == -signal.SIGKILL
    inbox.before = inbox.after = lambda: None
    inbox.status = 200


@pytest.mark.slow
@pytest.mark.parametrize("after", [True, False], ids=["it came", "it did not come"])
def test_who_follows_sends_it_once_more_and_says_so(
    engine: Engine, address: str, inbox: Inbox, after: bool
) -> None:
    send_and_die(inbox, address, after)
    came = [f"[yard] {WORDS} 84 min old"] if after else []
    assert inbox.titles == came
    now_s = NOW_S + 600 + LEASE_S
    second = alerts(engine, inbox.url)
    now_s = walk(second, 300, "door", from_s=now_s)
    assert inbox.titles == [*came, f"[yard] perhaps again: {WORDS} 84 min old"]
    assert inbox.taken[-1]["message"].endswith(AGAIN)
    second.close()
    third = alerts(engine, inbox.url)
    walk(third, 300, "door", from_s=now_s)
    assert len(inbox.taken) == len(came) + 1, "not for ever"
    third.close()


@pytest.mark.slow
def test_what_is_new_is_told_apart_from_what_comes_again(
    engine: Engine, address: str, inbox: Inbox
) -> None:
    send_and_die(inbox, address, after=True)
    second = alerts(engine, inbox.url)
    inbox.status = 500  # that it fails now does not tell whether it arrived then
    now_s = walk(second, 90, "door", "yard", from_s=NOW_S + 600 + LEASE_S)
    inbox.status = 200
    walk(second, 600, "door", "yard", from_s=now_s)
    again, fresh = inbox.titles[1:]
    assert again == f"[yard] perhaps again: {WORDS} 84 min old"
    assert fresh.startswith("[yard] yard: newest record is")
    assert "door" not in fresh
    second.close()


def test_what_was_begun_and_is_too_old_to_be_kept_holds_nothing_up(
    engine: Engine, inbox: Inbox
) -> None:
    told, name = alerts(engine, inbox.url), identity(Target(url=inbox.url))
    told.step([], [], NOW_S)
    AlertBook(engine).begin(name, 0)
    walk(told, 90, "door")
    assert inbox.titles == [f"[yard] {WORDS} 84 min old"]
    told.close()


def test_a_book_of_before_learns_to_note_it(engine: Engine, inbox: Inbox) -> None:
    AlertBook(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE alert_sending"))
        connection.execute(text("UPDATE alert_schema SET version = 1"))
    told = alerts(engine, inbox.url)
    walk(told, 90, "door")
    assert len(inbox.taken) == 1
    told.close()
