"""A registry for tests: stores every record durably, then says so. In this process or its own."""

from __future__ import annotations

import argparse
import contextlib
import queue
import signal
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from wire import topics
from wire.link import Connected, Link, LinkEvent, Post, Received
from wire.messages import Ack, Event, Telemetry, parse, to_json
from wire.troubles import Refused

BATCH = 100  # messages that are stored by one transaction
TURN_S = 0.2

_TABLES = """
CREATE TABLE IF NOT EXISTS record (
    device TEXT, spool TEXT, seq INTEGER, kind TEXT, message BLOB, copies INTEGER,
    contradicted INTEGER, PRIMARY KEY (device, spool, seq)
);
CREATE TABLE IF NOT EXISTS floor (
    device TEXT, spool TEXT, seq INTEGER, PRIMARY KEY (device, spool)
);
"""
_FIND = "SELECT message FROM record WHERE device = ? AND spool = ? AND seq = ?"
_AGAIN = """
UPDATE record SET copies = copies + 1, contradicted = contradicted + ?
WHERE device = ? AND spool = ? AND seq = ?
"""
_RAISE = """
INSERT INTO floor VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)
"""


@dataclass(frozen=True)
class Row:
    """A stored record. message: as it came first, but oldest is 0. copies: how often it came.
    contradicted: how often other content came under its number."""

    device: str
    spool: str
    seq: int
    kind: str
    message: bytes
    copies: int
    contradicted: int


class Registry:
    """A database and a link. `start` and `stop` run it on a thread; or `open` it, then `turn`."""

    def __init__(self, path: Path, make_link: Callable[[Post], Link], fleet: str = "home") -> None:
        """path: an SQLite file, made if it is missing. A later Registry goes on with it."""
        self.path = path
        self.refused = 0  # messages that are no records
        self.connected = threading.Event()
        self._fleet = fleet
        self._events: queue.Queue[LinkEvent] = queue.Queue()
        self._link = make_link(self._post)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="registry")
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA journal_mode = WAL").fetchall()
            db.executescript(_TABLES)

    def start(self) -> None:
        """Connect, and store what comes until `stop`."""
        self.open()
        self._thread.start()

    def open(self) -> None:
        """Connect; `turn` then stores what came."""
        for kind in ("telemetry", "event"):
            self._link.subscribe(topics.from_devices(self._fleet, kind))
        self._link.open()

    def stop(self) -> None:
        """End. What came and is not yet stored is forgotten, as a death would: it was not acked."""
        self._stopping.set()
        self._link.close()
        if self._thread.ident is not None:
            self._thread.join()

    def turn(self, timeout_s: float = 0.0) -> bool:
        """Store what came, then acknowledge it. Whether anything came."""
        events = self._waiting(timeout_s)
        heard = [event for event in events if isinstance(event, Received)]
        with contextlib.closing(sqlite3.connect(self.path)) as db, db:
            db.execute("PRAGMA synchronous = FULL")
            keys = dict.fromkeys(key for event in heard if (key := self._store(db, event)))
            acks = [(device, _raised(db, device, spool)) for device, spool in keys]
        for device, ack in acks:
            self._link.publish(topics.ack(self._fleet, device), to_json(ack))
        return bool(events)

    def rows(self) -> list[Row]:
        """Everything stored, in order. Also after `stop`."""
        return rows_of(self.path)

    def duplicates(self) -> int:
        """How many messages came that were stored already."""
        return sum(row.copies - 1 for row in self.rows())

    def _post(self, event: LinkEvent) -> None:
        if isinstance(event, Connected):
            self.connected.set()
        self._events.put(event)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.turn(TURN_S)

    def _waiting(self, timeout_s: float) -> list[LinkEvent]:
        events: list[LinkEvent] = []
        with contextlib.suppress(queue.Empty):
            events.append(self._events.get(block=timeout_s > 0, timeout=timeout_s or None))
            while len(events) < BATCH:
                events.append(self._events.get_nowait())
        return events

    def _store(self, db: sqlite3.Connection, event: Received) -> tuple[str, str] | None:
        """Device and spool, None if it is no record. A record that is here already is counted."""
        told = topics.told(event.topic)
        if told is None:
            return None
        try:
            record = parse(event.payload, Telemetry if told.kind == "telemetry" else Event)
        except Refused:
            self.refused += 1
            return None
        message = to_json(replace(record, oldest=0))
        key = (told.device, record.spool, record.seq)
        found = db.execute(_FIND, key).fetchall()
        if found:
            db.execute(_AGAIN, (int(found[0][0] != message), *key))
        else:
            row = (*key, told.kind, message, 1, 0)
            db.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        oldest = min(record.oldest, record.seq)
        db.execute(_RAISE, (*key[:2], oldest - 1))
        return key[:2]


def rows_of(path: Path) -> list[Row]:
    """What a registry has stored in its file, also when its process was killed."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT * FROM record ORDER BY device, spool, seq").fetchall()
    return [Row(*row) for row in found]


def _raised(db: sqlite3.Connection, device: str, spool: str) -> Ack:
    """Up to where nothing is missing that can still come."""
    key = (device, spool)
    (floor,) = db.execute("SELECT seq FROM floor WHERE device = ? AND spool = ?", key).fetchone()
    query = "SELECT seq FROM record WHERE device = ? AND spool = ? AND seq > ? ORDER BY seq"
    for (seq,) in db.execute(query, (*key, floor)):
        if seq != floor + 1:
            break
        floor = seq
    db.execute("UPDATE floor SET seq = ? WHERE device = ? AND spool = ?", (floor, *key))
    return Ack(spool, max(0, floor))


def main() -> None:
    """Run until SIGTERM. Prints "connected" when records can come."""
    from wire.config import Broker
    from wire.mqtt.mqtt import MqttLink

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of the broker, as in vedette.toml")
    parser.add_argument("path", type=Path, help="the SQLite file")
    parser.add_argument("--fleet", default="home")
    parser.add_argument("--client-id", default="registry")
    chosen = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    broker = Broker(url=chosen.url)
    registry = Registry(
        chosen.path, lambda post: MqttLink(broker, chosen.client_id, post), chosen.fleet
    )
    registry.start()
    threading.Thread(target=_announce, args=(registry,), daemon=True).start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    registry.stop()


def _announce(registry: Registry) -> None:
    registry.connected.wait()
    print("connected", flush=True)


if __name__ == "__main__":
    main()
