"""What is kept of alerts in the database: troubles that were told, all changes, and whom we
told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from fleet.alerts.ledger import Change, Standing, Trouble, Turn
from fleet.alerts.terms import AlertKind
from fleet.registry.engine import changing, looking, open_engine
from fleet.registry.versions import Build, bring_up

MOST_CHANGES = 100_000  # that are kept; then the oldest go
MOST_READ = 20_000  # at a time, for one message
TIDY_EVERY = 1000
MOST_LEASES = 10  # a lease that lasts longer is from before the clock was set back

METADATA = MetaData()
VERSIONS = Table("alert_schema", METADATA, Column("version", Integer, primary_key=True))
STANDING = Table(
    "alert",
    METADATA,
    Column("kind", String(16), primary_key=True),
    Column("subject", String(64), primary_key=True),
    Column("words", Text, nullable=False),
    Column("mark", Text, nullable=False),
    Column("groups", Text, nullable=False),
    Column("began_s", Float(53), nullable=False),
    Column("told_s", Float(53), nullable=False),
)
CHANGE = Table(
    "alert_change",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("turn", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("words", Text, nullable=False),
    Column("groups", Text, nullable=False),
    Column("began_s", Float(53), nullable=False),
    Column("at_s", Float(53), nullable=False),
)
# told: the newest change that the target knows of
TARGET = Table(
    "alert_target",
    METADATA,
    Column("target", String(64), primary_key=True),
    Column("told", Integer, nullable=False),
    Column("told_s", Float(53)),
    Column("tried_s", Float(53)),
    Column("tries", Integer, nullable=False),
    Column("why", Text),
)
# a message was begun whose newest change is upto; gone when it is known how that went
SENDING = Table(
    "alert_sending",
    METADATA,
    Column("target", String(64), primary_key=True),
    Column("upto", Integer, nullable=False),
)
LEASE = Table(
    "alert_lease",
    METADATA,
    Column("one", Integer, primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until_s", Float(53), nullable=False),
)


@dataclass(frozen=True)
class Kept:
    """A change and its number, by which they are in order."""

    number: int
    change: Change


@dataclass(frozen=True)
class Told:
    """How far a target is. told: the newest change that it knows of; told_s: when it last got a
    message. tries: that failed since, the last at tried_s; why. sending: the newest change of a
    message that was begun, and nobody knows whether it arrived."""

    told: int
    told_s: float | None = None
    tried_s: float | None = None
    tries: int = 0
    why: str | None = None
    sending: int | None = None


def open_book(url: str) -> AlertBook:
    """In the database at an address. Raises Refused, Unavailable."""
    engine = open_engine(url)
    try:
        return AlertBook(engine)
    except BaseException:
        engine.dispose()
        raise


def _add_sending(connection: Connection) -> None:
    SENDING.create(connection, checkfirst=True)


BUILD = Build("the alerts", VERSIONS, METADATA.create_all, (_add_sending,))


class AlertBook:
    """Of one database. Any thread. Everything raises Unavailable while it is not there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        bring_up(engine, BUILD)

    def close(self) -> None:
        self._engine.dispose()

    def standing(self) -> tuple[Standing, ...]:
        """What was told and is not over, the newest first."""
        wanted = select(STANDING).order_by(STANDING.c.began_s.desc())
        with looking(self._engine) as connection:
            return tuple(_standing(row) for row in connection.execute(wanted))

    def save(self, changes: Sequence[Change], forgotten: Iterable[tuple[AlertKind, str]]) -> None:
        """Write down what happened, all or nothing. forgotten: of devices that are no more."""
        last = {change.trouble.key: change for change in changes}
        gone = [{"k": kind, "s": subject} for kind, subject in {*last, *forgotten}]
        standing = [_told_row(change) for change in last.values() if change.turn != "over"]
        with changing(self._engine) as connection:
            if changes:
                connection.execute(insert(CHANGE), [_row(change) for change in changes])
                _tidy(connection, len(changes))
            if gone:
                connection.execute(ENDED, gone)
            if standing:
                connection.execute(insert(STANDING), standing)

    def changes(self, after: int, most: int = MOST_READ) -> tuple[Kept, ...]:
        """Those with a higher number, the oldest first."""
        wanted = select(CHANGE).where(CHANGE.c.number > after).order_by(CHANGE.c.number).limit(most)
        with looking(self._engine) as connection:
            return tuple(_kept(row) for row in connection.execute(wanted))

    def history(self, most: int = 100, before: int | None = None) -> tuple[Kept, ...]:
        """The newest first. before: only those with a lower number."""
        wanted = select(CHANGE).order_by(CHANGE.c.number.desc()).limit(min(most, 1000))
        if before is not None:
            wanted = wanted.where(CHANGE.c.number < before)
        with looking(self._engine) as connection:
            return tuple(_kept(row) for row in connection.execute(wanted))

    def told(self, target: str) -> Told:
        """How far a target is. One that is new begins now: it is not told what was before."""
        wanted = select(TARGET).where(TARGET.c.target == target)
        begun = select(SENDING.c.upto).where(SENDING.c.target == target)
        with changing(self._engine) as connection:
            row = connection.execute(wanted).one_or_none()
            if row is not None:
                upto = connection.execute(begun).scalar()
                return Told(row.told, row.told_s, row.tried_s, row.tries, row.why, upto)
            newest = connection.execute(select(func.max(CHANGE.c.number))).scalar() or 0
            connection.execute(insert(TARGET).values(target=target, told=newest, tries=0))
            return Told(newest)

    def tell(self, target: str, told: Told) -> None:
        """Write down how far a target is."""
        values = {
            "told": told.told,
            "told_s": told.told_s,
            "tried_s": told.tried_s,
            "tries": told.tries,
            "why": told.why,
        }
        with changing(self._engine) as connection:
            connection.execute(update(TARGET).where(TARGET.c.target == target).values(values))
            _note_sending(connection, target, told.sending)

    def begin(self, target: str, upto: int) -> None:
        """Write down that a message is sent now whose newest change is `upto`: `tell` says later
        how that went. Who dies meanwhile leaves this behind."""
        with changing(self._engine) as connection:
            _note_sending(connection, target, upto)

    def hold(self, holder: str, now_s: float, for_s: float) -> bool:
        """Whether this process is the one that alerts: of several only one is, as long as it says
        so again in time."""
        over = (LEASE.c.until_s < now_s) | (LEASE.c.until_s > now_s + MOST_LEASES * for_s)
        mine = (LEASE.c.holder == holder) | over
        values = {"holder": holder, "until_s": now_s + for_s}
        try:
            with changing(self._engine) as connection:
                if connection.execute(update(LEASE).where(mine).values(values)).rowcount:
                    return True
                if connection.execute(select(LEASE.c.one)).scalar() is not None:
                    return False
                connection.execute(insert(LEASE).values({"one": 1, **values}))
                return True
        except IntegrityError:  # another one was first
            return False

    def let_go(self, holder: str) -> None:
        with changing(self._engine) as connection:
            connection.execute(delete(LEASE).where(LEASE.c.holder == holder))


ENDED = delete(STANDING).where(
    STANDING.c.kind == bindparam("k"), STANDING.c.subject == bindparam("s")
)


def _note_sending(connection: Connection, target: str, upto: int | None) -> None:
    connection.execute(delete(SENDING).where(SENDING.c.target == target))
    if upto is not None:
        connection.execute(insert(SENDING).values(target=target, upto=upto))


def _row(change: Change) -> dict[str, object]:
    trouble = change.trouble
    return {
        "turn": change.turn,
        "kind": trouble.kind,
        "subject": trouble.subject,
        "words": trouble.words,
        "groups": json.dumps(trouble.groups),
        "began_s": change.began_s,
        "at_s": change.at_s,
    }


def _told_row(change: Change) -> dict[str, object]:
    row = _row(change)
    del row["turn"]
    return {**row, "mark": change.trouble.mark, "told_s": row.pop("at_s")}


def _tidy(connection: Connection, added: int) -> None:
    """Now and then the oldest go."""
    newest = connection.execute(select(func.max(CHANGE.c.number))).scalar_one()
    if newest // TIDY_EVERY != (newest - added) // TIDY_EVERY:
        connection.execute(delete(CHANGE).where(CHANGE.c.number <= newest - MOST_CHANGES))


def _trouble(row: Row[tuple[object, ...]], mark: str) -> Trouble:
    return Trouble(
        msgspec.convert(row.kind, AlertKind),
        row.subject,
        row.words,
        mark,
        msgspec.json.decode(row.groups, type=tuple[str, ...]),
    )


def _standing(row: Row[tuple[object, ...]]) -> Standing:
    return Standing(_trouble(row, row.mark), row.began_s, row.told_s, told_mark=row.mark)


def _kept(row: Row[tuple[object, ...]]) -> Kept:
    turn: Turn = msgspec.convert(row.turn, Turn)
    return Kept(row.number, Change(turn, _trouble(row, ""), row.began_s, row.at_s))
