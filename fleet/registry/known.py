"""The last word of devices, read."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, select

from fleet.registry.database import Database
from fleet.registry.tables import DEVICE, RETAINED, WORD
from fleet.registry.words import Changed, Known
from wire.messages import Message, Presence, State, Telemetry, parse
from wire.troubles import Refused

_QUERY = (
    select(
        WORD.c.changed, DEVICE.c.name, DEVICE.c.first_heard_s, WORD.c.heard_s, WORD.c.is_removed,
        WORD.c.reached_s, WORD.c.clock_off_s, WORD.c.lost, WORD.c.telemetry,
        RETAINED.c.since_s, RETAINED.c.presence, RETAINED.c.state,
    )
    .join(DEVICE, DEVICE.c.id == WORD.c.device)
    .join(RETAINED, RETAINED.c.device == WORD.c.device, isouter=True)
)  # fmt: skip


class _Row(Struct, array_like=True):
    changed: int
    name: str
    first_heard_s: float
    heard_s: float
    is_removed: bool
    reached_s: float | None
    clock_off_s: float | None
    lost: int
    telemetry: bytes | None
    since_s: float | None
    presence: bytes | None
    state: bytes | None


def changed(database: Database, since: int, most: int) -> Changed:
    """Whole batches only, so that a mark says all."""
    later = WORD.c.changed > since
    with database.reading() as connection:
        beyond = select(WORD.c.changed).where(later).order_by(WORD.c.changed).offset(most).limit(1)
        upto = connection.execute(beyond).scalar()
        if upto is not None:
            later &= WORD.c.changed <= upto
        rows = _rows(connection, later)
    mark = rows[-1].changed if rows else since
    return Changed(mark, tuple(map(_known, rows)), has_more=upto is not None)


def device(database: Database, name: str) -> Known | None:
    with database.reading() as connection:
        found = connection.execute(_QUERY.where(DEVICE.c.name == name)).first()
    return None if found is None else _known(_row(found))


def _rows(connection: Connection, condition: ColumnElement[bool]) -> list[_Row]:
    query = _QUERY.where(condition).order_by(WORD.c.changed)
    return [_row(row) for row in connection.execute(query)]


def _row(columns: Sequence[object]) -> _Row:
    return msgspec.convert(tuple(columns), _Row)


def _known(row: _Row) -> Known:
    return Known(
        name=row.name,
        first_heard_s=row.first_heard_s,
        heard_s=row.heard_s,
        online_since_s=row.since_s,
        presence=_read(row.presence, Presence),
        state=_read(row.state, State),
        telemetry=_read(row.telemetry, Telemetry),
        reached_s=row.reached_s,
        clock_off_s=row.clock_off_s or 0.0,
        lost=row.lost,
        is_removed=bool(row.is_removed),
    )


def _read(payload: bytes | None, kind: type[Message]) -> Message | None:
    """What an older or newer version of us could read, and this one cannot, is not known."""
    if payload is None:
        return None
    try:
        return parse(bytes(payload), kind)
    except Refused:
        return None
