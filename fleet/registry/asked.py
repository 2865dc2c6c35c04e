"""Events, updates and gaps, read."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, false, func, select, true, tuple_

from fleet.registry.database import Database
from fleet.registry.happened import steps_from_bytes
from fleet.registry.spools import from_row
from fleet.registry.tables import DEVICE, EVENT, LIFE, SPOOL
from fleet.registry.words import (
    EventPage,
    EventQuery,
    EventRow,
    Gap,
    Span,
    UpdateLife,
    UpdateQuery,
)
from wire.messages import Event

OPEN = ("fetching", "staged", "checking", "trial")
LIFE_COLUMNS = (
    "pipeline", "model", "version", "digest", "deployment", "phase", "began_s", "changed_s",
    "steps",
)  # fmt: skip
MOST = 10_000  # rows in one answer

_event = msgspec.json.Decoder(Event)
Conditions = list[ColumnElement[bool]]


def events(database: Database, query: EventQuery) -> EventPage:
    """By the time at which they happened, the newest first; those after an id as they came."""
    most = max(1, min(MOST, query.most))
    columns = (EVENT.c.id, DEVICE.c.name, EVENT.c.at_s, EVENT.c.heard_s, EVENT.c.payload)
    by_time = [EVENT.c.at_s.desc()] if query.after_id is None else []
    wanted = (
        select(*columns)
        .join(DEVICE, DEVICE.c.id == EVENT.c.device)
        .order_by(*by_time, EVENT.c.id.desc())
        .limit(most + 1)
    )
    with database.reading() as connection:
        newest = connection.execute(select(func.max(EVENT.c.id))).scalar()
        conditions = [*_event_conditions(query), *_before(connection, query.before_id)]
        rows = connection.execute(wanted.where(and_(true(), *conditions))).all()
        found = tuple(
            EventRow(number, name, at_s, heard_s, _event.decode(payload))
            for number, name, at_s, heard_s, payload in rows[:most]
        )
    return EventPage(found, found[-1].id if len(rows) > most else None, newest or 0)


def _before(connection: Connection, before_id: int | None) -> Conditions:
    """What follows an event in the order of time. If that one is gone by now, what follows the one
    that came before it."""
    if before_id is None:
        return []
    near = select(EVENT.c.at_s).where(EVENT.c.id <= before_id).order_by(EVENT.c.id.desc()).limit(1)
    at_s = connection.execute(near).scalar()
    if at_s is None:
        return [false()]
    return [tuple_(EVENT.c.at_s, EVENT.c.id) < (at_s, before_id)]


def _event_conditions(query: EventQuery) -> Conditions:
    found: Conditions = []
    if query.device is not None:
        found.append(EVENT.c.device == _number_of(query.device))
    if query.kind is not None:
        found.append(EVENT.c.kind == query.kind)
    if query.subject is not None:
        found.append(EVENT.c.subject == query.subject)
    if query.text:
        text = query.text.replace("\0", "")
        found.append(
            EVENT.c.text.icontains(text, autoescape=True)
            | DEVICE.c.name.icontains(text, autoescape=True)
        )
    if query.span is not None:
        found += _within(EVENT.c.at_s, query.span)
    if query.after_id is not None:
        found.append(EVENT.c.id > query.after_id)
    return found


def updates(database: Database, query: UpdateQuery) -> tuple[UpdateLife, ...]:
    """That changed last, first."""
    names = ("pipeline", "model", "version", "deployment")
    conditions: Conditions = [
        LIFE.c[name] == value for name in names if (value := getattr(query, name)) is not None
    ]
    if query.device is not None:
        conditions.append(LIFE.c.device == _number_of(query.device))
    if query.is_open is not None:
        is_open = LIFE.c.phase.in_(OPEN)
        conditions.append(is_open if query.is_open else ~is_open)
    if query.span is not None:
        conditions += _within(LIFE.c.changed_s, query.span)
    columns = [LIFE.c[name] for name in LIFE_COLUMNS]
    wanted = (
        select(DEVICE.c.name, *columns)
        .join(DEVICE, DEVICE.c.id == LIFE.c.device)
        .where(and_(true(), *conditions))
        .order_by(LIFE.c.changed_s.desc(), LIFE.c.id.desc())
        .limit(max(1, min(MOST, query.most)))
    )
    with database.reading() as connection:
        return tuple(_life(row) for row in connection.execute(wanted))


def _life(row: Sequence[object]) -> UpdateLife:
    device, *values, steps = row
    assert isinstance(steps, bytes)
    told = dict(zip(LIFE_COLUMNS, (*values, steps_from_bytes(steps)), strict=True))
    return msgspec.convert({"device": device, **told}, UpdateLife)


def gaps(database: Database, device: str, span: Span) -> tuple[Gap, ...]:
    """That were seen within the span, the oldest first."""
    columns = (SPOOL.c.spool, SPOOL.c.floor, SPOOL.c.began, SPOOL.c.beyond, SPOOL.c.open)
    wanted = select(*columns).where(SPOOL.c.device == _number_of(device), SPOOL.c.lost > 0)
    with database.reading() as connection:
        rows = connection.execute(wanted).all()
        found = [gap for name, *row in rows for gap in from_row(*row).gaps(name)]
    return tuple(
        sorted(
            (gap for gap in found if span.from_s <= gap.at_s < span.to_s),
            key=lambda gap: (gap.at_s, gap.first),
        )
    )


def _number_of(device: str) -> ColumnElement[int]:
    return select(DEVICE.c.id).where(DEVICE.c.name == device).scalar_subquery()


def _within(column: ColumnElement[float], span: Span) -> Conditions:
    return [column >= span.from_s, column < span.to_s]
