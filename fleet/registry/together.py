"""All devices together over time: parts that batches bring become minutes, and longer with age."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, func, select

from fleet.registry.database import Database
from fleet.registry.packed import merged_by
from fleet.registry.rows import Values, add, added_up
from fleet.registry.tables import COUNTED, HOUR_S, MINUTE_S, PART, SLOT_S, TOGETHER

AT_ONCE = 4000  # rows
# which become how long after how many seconds
AGES = (
    (PART, MINUTE_S, 180.0),
    (MINUTE_S, SLOT_S, 2 * 86400.0),
    (SLOT_S, HOUR_S, 30 * 86400.0),
)


def compact(database: Database, now_s: float) -> bool:
    """Merge some rows that are old enough. Whether there may be more."""
    has_more = False
    for narrow, wide, age_s in AGES:
        has_more |= _widen(database, narrow, wide, now_s - age_s)
    return has_more


def _widen(database: Database, narrow: int, wide: int, before_s: float) -> bool:
    table = TOGETHER.c
    # nothing begins before `before_s` and ends after it
    old = (table.width_s == narrow) & (table.at_s < int(before_s // wide) * wide)
    columns = (table.id, table.at_s, table.pipeline, table.release)
    query = select(*columns, *(table[name] for name in COUNTED))
    with database.reading() as connection:
        if not connection.execute(select(func.count()).where(old).select_from(TOGETHER)).scalar():
            return False
    with database.writing() as (connection, _):
        rows = connection.execute(query.where(old).order_by(table.at_s).limit(AT_ONCE)).all()
        starts = {row.at_s // wide * wide for row in rows}
        if not starts:
            return False
        there = (table.width_s == wide) & table.at_s.between(min(starts), max(starts))
        whole = [row for row in connection.execute(query.where(there)) if row.at_s in starts]
        groups: dict[tuple[int, int, int], list[tuple[float | bytes, ...]]] = {}
        for _, at_s, pipeline, release, *counted in (*rows, *whole):
            key = (at_s // wide * wide, pipeline, release)
            groups.setdefault(key, []).append(tuple(counted))
        stages = merged_by(
            [counted[-1] for many in groups.values() for counted in many],  # type: ignore[misc]
            [number for number, many in enumerate(groups.values()) for _ in many],
            len(groups),
        )
        made: list[Values] = []
        for ((at_s, pipeline, release), many), merged in zip(groups.items(), stages, strict=True):
            row: Values = {"at_s": at_s, "width_s": wide}
            row |= {"pipeline": pipeline, "release": release}
            added = added_up([counted[:-1] for counted in many])  # type: ignore[misc]
            made.append(row | dict(zip(COUNTED, (*added, merged), strict=True)))
        gone = [{"row": row.id} for row in (*rows, *whole)]
        connection.execute(delete(TOGETHER).where(table.id == bindparam("row")), gone)
        add(connection, TOGETHER, made)
    return len(rows) == AT_ONCE
