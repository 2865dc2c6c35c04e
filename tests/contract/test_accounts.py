"""Accounts on both databases: what differs between them is what is asked of them here."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from fleet.accounts.accounts import Accounts, WrongPassword, open_accounts
from fleet.accounts.sessions import MOST
from tests.postgresql import Postgresql
from wire.troubles import Refused, Unavailable

GOOD = "three blind mice"


@pytest.fixture
def accounts(url: str) -> Iterator[Accounts]:
    with closing(open_accounts(url)) as opened:
        opened.add("olga", GOOD, "operator")
        yield opened


def test_a_life_of_an_account(accounts: Accounts, url: str) -> None:
    accounts.add("vera", GOOD, "viewer")
    with pytest.raises(Refused, match="there is an account"):
        accounts.add("vera", GOOD, "viewer")
    with pytest.raises(Refused, match="only operator"):
        accounts.remove("olga")
    for name in ("nobody", "olga\0", "o' OR '1'='1"):
        with pytest.raises(WrongPassword):
            accounts.sign_in(name, GOOD, "192.0.2.1")
    secret = accounts.sign_in("vera", GOOD, "192.0.2.2").secret
    token = accounts.add_token("vera", 1).secret
    with closing(open_accounts(url)) as another:  # process, or the same one later
        assert [(each.name, each.role, each.tokens) for each in another.people()] == [
            ("olga", "operator", 0), ("vera", "viewer", 1),
        ]  # fmt: skip
        holder = another.sessions.holder(secret)
        assert holder is not None
        assert (holder.name, holder.role) == ("vera", "viewer")
        assert another.token_holder(token) is not None
        another.set_role("vera", "operator")
    assert accounts.sessions.holder(secret) is None
    assert accounts.token_holder(token) is None
    accounts.remove("olga")
    assert [each.name for each in accounts.people()] == ["vera"]


def test_sessions_and_the_trail(accounts: Accounts) -> None:
    secrets = [accounts.sessions.open("olga", "192.0.2.1").secret for _ in range(MOST + 1)]
    assert accounts.sessions.holder(secrets[0]) is None
    assert len(accounts.sessions.of("olga")) == MOST
    assert accounts.sessions.end_others("olga", secrets[-1]) == MOST - 1
    accounts.audit("olga", "deploy", "a\0b\nc", "done", "192.0.2.1")
    accounts.audit("olga", "deploy", "second", "failed", "192.0.2.1")
    newest, before = accounts.entries()
    assert (newest.subject, before.subject) == ("second", "a\\x00b\\nc")
    assert accounts.entries(before=newest.number) == (before,)


def test_many_open_a_new_database_at_once(url: str) -> None:
    troubles: list[BaseException] = []
    together = threading.Barrier(6)

    def begin() -> None:
        together.wait()
        try:
            open_accounts(url).close()
        except BaseException as error:
            troubles.append(error)

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []


def test_sessions_are_used_by_many_at_once(accounts: Accounts) -> None:
    secret = accounts.sessions.open("olga", "192.0.2.1").secret
    found: list[object] = []

    def use() -> None:
        for _ in range(20):
            found.append(accounts.sessions.holder(secret))
            accounts.audit("olga", "look", "", "done", "192.0.2.1")

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 160
    assert None not in found
    assert accounts.trail.count() == 160


def _ask_until_it_fails(accounts: Accounts, secret: str) -> None:
    """A killed server's processes for connections notice it a moment later."""
    end_s = time.monotonic() + 60
    while time.monotonic() < end_s:
        accounts.sessions.holder(secret)
        time.sleep(0.02)


def test_a_server_that_goes_and_comes() -> None:
    with Postgresql() as server:
        url = server.fresh("accounts")
        with closing(open_accounts(url)) as accounts:
            accounts.add("olga", GOOD, "operator")
            secret = accounts.sessions.open("olga", "192.0.2.1").secret
            server.kill()
            with pytest.raises(Unavailable, match="does not answer"):
                _ask_until_it_fails(accounts, secret)
            server.start()
            holder = accounts.sessions.holder(secret)
            assert holder is not None
            assert holder.name == "olga"
