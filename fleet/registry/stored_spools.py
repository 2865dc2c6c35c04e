"""The spools of which records are in a batch: loaded, asked, and stored again."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, delete, select, tuple_

from fleet.registry.naming import in_turns
from fleet.registry.rows import Values, put
from fleet.registry.spools import Spool, from_row, new_spool, to_row
from fleet.registry.tables import SPOOL
from fleet.registry.words import Floor

MOST_OF_ONE = 64  # spools of one device; then the one that was not heard for longest goes

Key = tuple[int, str]


class StoredSpools:
    """Of one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[Key, Spool] = {}
        self._of: dict[int, dict[str, float]] = {}  # when each spool of a device was heard
        self._heard: dict[Key, float] = {}  # in this batch
        self._gone: list[Key] = []

    def load(self, devices: Collection[int]) -> None:
        columns = (SPOOL.c.device, SPOOL.c.spool, SPOOL.c.heard_s, SPOOL.c.floor, SPOOL.c.began,
                   SPOOL.c.beyond, SPOOL.c.open)  # fmt: skip
        for some in in_turns(list(devices)):
            for row in self._connection.execute(select(*columns).where(SPOOL.c.device.in_(some))):
                device, spool, heard_s, floor, began, beyond, open_ = row
                self._known[device, spool] = from_row(floor, began, beyond, open_)
                self._of.setdefault(device, {})[spool] = heard_s

    def take(self, device: int, spool: str, seq: int, oldest: int, at_s: float) -> tuple[bool, int]:
        """Whether the record is new, and how many more are known to be lost. Raises Refused."""
        key = (device, spool)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = new_spool(min(oldest, seq), at_s)
            self._forget_one(device)
        self._of.setdefault(device, {})[spool] = at_s
        self._heard[key] = at_s
        before = known.lost if known.open else 0
        is_new = known.take(seq, oldest, at_s)
        return is_new, (known.lost if known.open else 0) - before

    def floors(self, names: Mapping[int, str]) -> tuple[Floor, ...]:
        """What may be acknowledged when all is committed."""
        return tuple(
            Floor(names[device], spool, self._known[device, spool].floor)
            for device, spool in self._heard
            if self._known[device, spool].floor >= 0
        )

    def store(self) -> None:
        rows: list[Values] = []
        for key, heard_s in self._heard.items():
            spool = self._known[key]
            floor, began, beyond, open_ = to_row(spool)
            rows.append(
                {
                    "device": key[0], "spool": key[1], "floor": floor, "began": began,
                    "beyond": beyond, "open": open_, "lost": spool.lost, "heard_s": heard_s,
                }
            )  # fmt: skip
        for some in self._gone:
            self._connection.execute(
                delete(SPOOL).where(tuple_(SPOOL.c.device, SPOOL.c.spool).in_([some]))
            )
        put(self._connection, SPOOL, rows)

    def _forget_one(self, device: int) -> None:
        spools = self._of.get(device, {})
        if len(spools) < MOST_OF_ONE:
            return
        oldest = min(spools, key=spools.__getitem__)
        del spools[oldest], self._known[device, oldest]
        self._heard.pop((device, oldest), None)
        self._gone.append((device, oldest))
