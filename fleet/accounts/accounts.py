"""Accounts: people with a role, their sessions and tokens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec
from sqlalchemy import Connection, Engine, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from fleet.accounts import passwords
from fleet.accounts.sessions import Sessions
from fleet.accounts.tables import ACCOUNT, SESSION, TOKEN, open_engine
from fleet.accounts.trail import Trail
from fleet.accounts.tries import Tries
from fleet.accounts.words import Entry, Opened, Outcome, Person, Role, SignedIn
from fleet.registry.engine import changing, looking
from wire.names import Name
from wire.troubles import Refused, Unavailable

FIRST = "operator"


class WrongPassword(Refused):
    """No such account, or not its password: which of both is not said."""


class TooManyTries(Unavailable):
    """wait_s: until the next one is looked at."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many wrong passwords: try again in {max(1, round(wait_s / 60))} min")
        self.wait_s = wait_s


def open_accounts(url: str, clock: Callable[[], float] = time.time) -> Accounts:
    """Those in the database at an address. Raises Refused, Unavailable."""
    return Accounts(open_engine(url), clock)


class Accounts:
    """Of one database. Any thread. clock: Unix seconds. Everything raises Unavailable while the
    database is not there."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock
        self._tries = Tries(time.monotonic)
        self._trying = threading.Lock()  # many tries at once must not pass before one is counted
        self.sessions = Sessions(engine, clock)
        self.trail = Trail(engine, clock)

    def close(self) -> None:
        self._engine.dispose()

    def audit(self, who: str, what: str, subject: str, outcome: Outcome, address: str) -> None:
        """Add to the trail. what: a few words, like "deploy"; subject: to what or whom."""
        self.trail.add(who, what, subject, outcome, address)

    def entries(self, most: int = 100, before: int | None = None) -> tuple[Entry, ...]:
        """Of the trail, the newest first."""
        return self.trail.read(most, before)

    def add(self, name: str, password: str, role: Role) -> None:
        """Raises Refused: the name is taken or none, or the password too weak."""
        _check_name(name)
        passwords.check(password, name)
        row = {"name": name, "role": role, "made_s": self._clock()}
        row |= {"password": passwords.hashed(password)}
        try:
            with changing(self._engine) as connection:
                connection.execute(insert(ACCOUNT).values(row))
        except IntegrityError:
            raise Refused(f"{name}: there is an account of this name") from None

    def add_first(self) -> tuple[str, str] | None:
        """Where no account is an operator's, one: its name and its password."""
        with looking(self._engine) as connection:
            found = connection.execute(select(ACCOUNT.c.name, ACCOUNT.c.role)).all()
        if any(row.role == "operator" for row in found):
            return None
        taken = {row.name for row in found}
        numbered = (f"{FIRST}-{number}" for number in range(2, len(taken) + 3))
        name = next(each for each in (FIRST, *numbered) if each not in taken)
        password = passwords.made_up()
        self.add(name, password, "operator")
        return name, password

    def people(self) -> tuple[Person, ...]:
        """By name."""
        tokens = (
            select(TOKEN.c.account, func.count().label("tokens"))
            .where(TOKEN.c.until_s > self._clock())
            .group_by(TOKEN.c.account)
            .subquery()
        )
        wanted = (
            select(
                ACCOUNT.c.name,
                ACCOUNT.c.role,
                ACCOUNT.c.made_s,
                ACCOUNT.c.signed_in_s,
                func.coalesce(tokens.c.tokens, 0).label("tokens"),
            )
            .outerjoin(tokens, tokens.c.account == ACCOUNT.c.name)
            .order_by(ACCOUNT.c.name)
        )
        with looking(self._engine) as connection:
            return tuple(Person(**row._mapping) for row in connection.execute(wanted))

    def set_password(self, name: str, password: str) -> None:
        """Ends the account's sessions and tokens. Raises Refused."""
        passwords.check(password, name)
        hashed = passwords.hashed(password)
        with changing(self._engine) as connection:
            changed = connection.execute(
                update(ACCOUNT).where(ACCOUNT.c.name == name).values(password=hashed)
            )
            _check_found(name, changed.rowcount)
            _end_all(connection, name)

    def set_role(self, name: str, role: Role) -> None:
        """Ends the account's sessions and tokens. Raises Refused: nobody would be operator any
        more."""
        with changing(self._engine) as connection:
            if role != "operator":
                _check_is_not_last(connection, name)
            changed = connection.execute(
                update(ACCOUNT).where(ACCOUNT.c.name == name).values(role=role)
            )
            _check_found(name, changed.rowcount)
            _end_all(connection, name)

    def remove(self, name: str) -> None:
        """With its sessions and tokens; what it did stays in the trail. Raises Refused."""
        with changing(self._engine) as connection:
            _check_is_not_last(connection, name)
            _end_all(connection, name)
            gone = connection.execute(delete(ACCOUNT).where(ACCOUNT.c.name == name))
            _check_found(name, gone.rowcount)

    def check_password(self, name: str, password: str, address: str) -> None:
        """Raises WrongPassword, TooManyTries. Slow on purpose."""
        stored = self._stored(name)
        with self._trying:
            wait_s = self._tries.wait_s(name, address)
            if wait_s > 0:
                raise TooManyTries(wait_s)
            is_right = passwords.is_right(stored, password)
            if is_right:
                self._tries.succeeded(name, address)
            else:
                self._tries.failed(name, address)
        if not is_right:
            self.audit(name, "sign in", "", "refused", address)
            raise WrongPassword("this name and this password do not belong together")

    def _stored(self, name: str) -> str | None:
        """The hash of a password. What is no name is no account's, and no business of SQL."""
        if not is_name(name):
            return None
        with looking(self._engine) as connection:
            wanted = select(ACCOUNT.c.password).where(ACCOUNT.c.name == name)
            stored: str | None = connection.execute(wanted).scalar()
        return stored

    def sign_in(self, name: str, password: str, address: str) -> Opened:
        """Opens a session. Raises WrongPassword, TooManyTries."""
        self.check_password(name, password, address)
        self.audit(name, "sign in", "", "done", address)
        with changing(self._engine) as connection:
            connection.execute(
                update(ACCOUNT).where(ACCOUNT.c.name == name).values(signed_in_s=self._clock())
            )
        return self.sessions.open(name, address)

    def add_token(self, name: str, days: float) -> Opened:
        """A token by which a program reads what the account may read. Raises Refused."""
        opened = Opened(f"vedette_{passwords.secret()}", self._clock() + days * 86400.0)
        row = {
            "secret": passwords.digest(opened.secret),
            "account": name,
            "made_s": self._clock(),
            "until_s": opened.until_s,
        }
        with changing(self._engine) as connection:
            found = connection.execute(select(ACCOUNT.c.name).where(ACCOUNT.c.name == name))
            _check_found(name, len(found.all()))
            connection.execute(insert(TOKEN).values(row))
        return opened

    def end_tokens(self, name: str) -> int:
        """How many there were."""
        with changing(self._engine) as connection:
            return connection.execute(delete(TOKEN).where(TOKEN.c.account == name)).rowcount

    def token_holder(self, secret: str) -> SignedIn | None:
        """Whose token this is. A token only reads."""
        wanted = (
            select(TOKEN.c.account, TOKEN.c.until_s)
            .join(ACCOUNT, ACCOUNT.c.name == TOKEN.c.account)
            .where(TOKEN.c.secret == passwords.digest(secret), TOKEN.c.until_s > self._clock())
        )
        with looking(self._engine) as connection:
            row = connection.execute(wanted).one_or_none()
        return None if row is None else SignedIn(row.account, "viewer", "token", row.until_s)


def is_name(text: str) -> bool:
    """Whether an account may be called so."""
    try:
        msgspec.convert(text, Name)
    except msgspec.ValidationError:
        return False
    return True


def _check_name(name: str) -> None:
    if not is_name(name):
        raise Refused("an account's name has 1 to 64 of A-Z, a-z, 0-9, _ and -")


def _check_found(name: str, rows: int) -> None:
    if not rows:
        raise Refused(f"there is no account {name!r}")


def _check_is_not_last(connection: Connection, name: str) -> None:
    operators = connection.execute(select(ACCOUNT.c.name).where(ACCOUNT.c.role == "operator"))
    if [row.name for row in operators] == [name]:
        raise Refused(f"{name} is the only operator: make another one first")


def _end_all(connection: Connection, name: str) -> None:
    for table in (SESSION, TOKEN):
        connection.execute(delete(table).where(table.c.account == name))
