"""Accounts: who may sign in, how long a session lasts, and what is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from fleet.accounts import passwords
from fleet.accounts.accounts import Accounts, TooManyTries, WrongPassword, open_accounts
from fleet.accounts.sessions import IDLE_S, LONGEST_S, MOST
from fleet.accounts.tries import MOST_HERE, MOST_KNOWN, MOST_OF_ADDRESS, WINDOW_S, Tries, network
from fleet.accounts.words import may
from wire.troubles import Refused, Unavailable

GOOD = "three blind mice"
HOME = "192.0.2.7"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(tmp_path: Path, clock: Clock) -> Iterator[Accounts]:
    with closing(open_accounts(f"sqlite:///{tmp_path / 'a.db'}", clock)) as opened:
        opened.add("olga", GOOD, "operator")
        yield opened


def test_a_password_opens_a_session(accounts: Accounts) -> None:
    opened = accounts.sign_in("olga", GOOD, HOME)
    holder = accounts.sessions.holder(opened.secret)
    assert holder is not None
    assert (holder.name, holder.role, holder.means) == ("olga", "operator", "session")
    assert accounts.sessions.holder(opened.secret + "x") is None
    assert accounts.sessions.holder("") is None


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("olga", "three blind mouse"),
        ("olga", ""),
        ("olga", GOOD + " "),
        ("olga", GOOD * 100),
        ("Olga", GOOD),
        ("nobody", GOOD),
        ("", GOOD),
        ("olga\0", GOOD),
        ("olga' OR '1'='1", GOOD),
        ("olga", "\ud800"),
    ],
)
def test_anything_else_does_not(accounts: Accounts, name: str, password: str) -> None:
    with pytest.raises(WrongPassword):
        accounts.sign_in(name, password, HOME)
    assert accounts.entries()[0].outcome == "refused"
    assert accounts.entries()[0].who == name.replace("\0", "\\x00")


def test_neither_passwords_nor_secrets_are_stored(accounts: Accounts, tmp_path: Path) -> None:
    session = accounts.sign_in("olga", GOOD, HOME)
    token = accounts.add_token("olga", 1)
    accounts.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"$argon2id$v=19$m=19456,t=2,p=1$" in stored
    for secret in (GOOD, session.secret, token.secret):
        assert secret.encode() not in stored


def test_a_session_ends_when_it_is_not_used(accounts: Accounts, clock: Clock) -> None:
    secret = accounts.sign_in("olga", GOOD, HOME).secret
    for _ in range(3):  # each use begins the time anew
        clock.now_s += IDLE_S - 1
        assert accounts.sessions.holder(secret) is not None
    clock.now_s += IDLE_S + 1
    assert accounts.sessions.holder(secret) is None
    assert accounts.sessions.of("olga") == ()


def test_a_session_ends_however_much_it_is_used(accounts: Accounts, clock: Clock) -> None:
    secret = accounts.sign_in("olga", GOOD, HOME).secret
    end_s = clock.now_s + LONGEST_S
    while clock.now_s + IDLE_S / 2 < end_s:
        clock.now_s += IDLE_S / 2
        assert accounts.sessions.holder(secret) is not None
    clock.now_s = end_s + 1
    assert accounts.sessions.holder(secret) is None


def test_sessions_are_ended(accounts: Accounts) -> None:
    first, second, third = (accounts.sign_in("olga", GOOD, HOME).secret for _ in range(3))
    accounts.sessions.end(first)
    assert accounts.sessions.holder(first) is None
    assert accounts.sessions.end_others("olga", third) == 1
    assert accounts.sessions.holder(second) is None
    assert accounts.sessions.holder(third) is not None


def test_the_oldest_of_too_many_sessions_ends(accounts: Accounts) -> None:
    secrets = [accounts.sessions.open("olga", HOME).secret for _ in range(MOST + 2)]
    alive = [accounts.sessions.holder(secret) is not None for secret in secrets]
    assert alive == [False, False] + [True] * MOST


def test_a_new_password_ends_what_was_opened_by_the_old_one(accounts: Accounts) -> None:
    session = accounts.sign_in("olga", GOOD, HOME).secret
    token = accounts.add_token("olga", 1).secret
    accounts.set_password("olga", "four calling birds")
    assert accounts.sessions.holder(session) is None
    assert accounts.token_holder(token) is None
    with pytest.raises(WrongPassword):
        accounts.sign_in("olga", GOOD, HOME)
    accounts.sign_in("olga", "four calling birds", HOME)


def test_a_role_is_taken_away_at_once(accounts: Accounts) -> None:
    accounts.add("otto", GOOD, "operator")
    session = accounts.sign_in("olga", GOOD, HOME).secret
    accounts.set_role("olga", "viewer")
    assert accounts.sessions.holder(session) is None
    again = accounts.sessions.holder(accounts.sign_in("olga", GOOD, HOME).secret)
    assert again is not None
    assert again.role == "viewer"


def test_there_is_always_an_operator(accounts: Accounts) -> None:
    accounts.add("vera", GOOD, "viewer")
    for deed in (lambda: accounts.remove("olga"), lambda: accounts.set_role("olga", "viewer")):
        with pytest.raises(Refused, match="the only operator"):
            deed()
    accounts.set_role("vera", "operator")
    accounts.remove("olga")
    assert [person.name for person in accounts.people()] == ["vera"]


def test_who_is_removed_is_out(accounts: Accounts) -> None:
    accounts.add("vera", GOOD, "viewer")
    session = accounts.sign_in("vera", GOOD, HOME).secret
    token = accounts.add_token("vera", 1).secret
    accounts.remove("vera")
    assert accounts.sessions.holder(session) is None
    assert accounts.token_holder(token) is None
    with pytest.raises(Refused, match="no account 'vera'"):
        accounts.set_password("vera", GOOD)


def test_a_token_reads_until_its_end(accounts: Accounts, clock: Clock) -> None:
    token = accounts.add_token("olga", 2)
    holder = accounts.token_holder(token.secret)
    assert holder is not None
    assert (holder.role, holder.means) == ("viewer", "token")  # an operator's token, too
    assert accounts.sessions.holder(token.secret) is None
    assert accounts.people()[0].tokens == 1
    clock.now_s = token.until_s + 1
    assert accounts.token_holder(token.secret) is None
    assert accounts.people()[0].tokens == 0
    assert accounts.end_tokens("olga") == 1


@pytest.mark.parametrize(
    ("name", "password", "why"),
    [
        ("olga", GOOD, "there is an account"),
        ("o lga", GOOD, "1 to 64 of"),
        ("<b>", GOOD, "1 to 64 of"),
        ("otto", "short", "10 to 256"),
        ("otto", "x" * 257, "10 to 256"),
        ("otto", "aaaaaaaaaaaaaa", "again and again"),
        ("longishname", "longishname1", "not made of"),
    ],
)
def test_what_nobody_should_be_called_or_sign_in_with(
    accounts: Accounts, name: str, password: str, why: str
) -> None:
    with pytest.raises(Refused, match=why):
        accounts.add(name, password, "viewer")


def test_the_first_start_makes_an_operator_once(tmp_path: Path) -> None:
    with closing(open_accounts(f"sqlite:///{tmp_path / 'a.db'}")) as accounts:
        first = accounts.add_first()
        assert first is not None
        name, password = first
        accounts.sign_in(name, password, HOME)
        assert accounts.add_first() is None
        assert accounts.people()[0].role == "operator"


def test_made_up_passwords_are_good_ones() -> None:
    made = {passwords.made_up() for _ in range(50)}
    assert len(made) == 50
    for password in made:
        passwords.check(password, "operator")


def test_too_many_wrong_passwords(accounts: Accounts) -> None:
    for _ in range(MOST_HERE):
        with pytest.raises(WrongPassword):
            accounts.sign_in("olga", "a wrong password", HOME)
    with pytest.raises(TooManyTries) as trouble:
        accounts.sign_in("olga", GOOD, HOME)  # the right one does not help now
    assert WINDOW_S - 60 < trouble.value.wait_s <= WINDOW_S
    accounts.sign_in("olga", GOOD, "198.51.100.1")  # she is not locked out elsewhere


def test_many_tries_at_once_are_no_way_around(accounts: Accounts) -> None:
    def guess(number: int) -> type[Exception]:
        try:
            accounts.sign_in("olga", f"a wrong password {number}", HOME)
        except (WrongPassword, TooManyTries) as trouble:
            return type(trouble)
        raise AssertionError("it was right")

    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(guess, range(12)))
    assert found.count(WrongPassword) == MOST_HERE
    assert found.count(TooManyTries) == 12 - MOST_HERE


def test_tries_by_address_over_many_names() -> None:
    now_s = [100.0]
    tries = Tries(lambda: now_s[0])
    for number in range(MOST_OF_ADDRESS):
        assert tries.wait_s(f"name{number}", HOME) == 0
        tries.failed(f"name{number}", HOME)
    assert tries.wait_s("another", HOME) == WINDOW_S
    assert tries.wait_s("another", "192.0.2.8") == 0
    now_s[0] += WINDOW_S + 1
    assert tries.wait_s("another", HOME) == 0


def test_tries_of_one_account_from_many_addresses() -> None:
    tries = Tries(lambda: 100.0)
    for number in range(50):
        tries.failed("olga", f"198.51.100.{number}")
    assert tries.wait_s("olga", HOME) > 0
    assert tries.wait_s("otto", HOME) == 0


def test_tries_take_no_more_memory_than_they_may() -> None:
    tries = Tries(lambda: 100.0)
    for number in range(MOST_KNOWN):
        tries.failed(f"n{number}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(tries._failed) <= MOST_KNOWN


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("no address", "no address"),
    ],
)
def test_who_counts_as_one(address: str, counted: str) -> None:
    assert network(address) == counted


def test_the_trail_says_who_did_what(accounts: Accounts, clock: Clock) -> None:
    accounts.audit("olga", "deploy", "digits 2\n\x1b[31mred", "done", HOME)
    clock.now_s += 5
    accounts.audit("vera", "restart", "door", "failed", HOME)
    newest, before = accounts.entries(most=2)
    assert (newest.who, newest.what, newest.subject, newest.outcome) == (
        "vera", "restart", "door", "failed",
    )  # fmt: skip
    assert newest.at_s - before.at_s == 5
    assert before.subject == "digits 2\\n\\x1b[31mred"
    assert accounts.entries(before=newest.number) == (before,)
    assert accounts.trail.read(who="olga") == (before,)


def test_an_operator_may_what_a_viewer_may() -> None:
    assert may("operator", "viewer")
    assert not may("viewer", "operator")


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y", "sqlite://", "postgresql+what://x"])
def test_what_is_no_database(url: str) -> None:
    with pytest.raises(Refused, match="--database"):
        open_accounts(url)


def test_a_database_that_is_not_there() -> None:
    with pytest.raises(Unavailable):
        open_accounts("sqlite:////no/such/folder/a.db")
    with pytest.raises(Unavailable, match="does not answer"):
        open_accounts("postgresql://nobody@127.0.0.1:9/none")


def test_tables_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    open_accounts(f"sqlite:///{path}").close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE account_schema SET version = 9")
    with pytest.raises(Refused, match="run the newer vedette"):
        open_accounts(f"sqlite:///{path}")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"something else " * 1000)
    with pytest.raises(Unavailable, match="damaged"):
        open_accounts(f"sqlite:///{tmp_path / 'a.db'}")
