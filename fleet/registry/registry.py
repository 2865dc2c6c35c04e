"""The registry of a fleet in a database: written in batches, read in many ways."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence

import msgspec

from fleet.devices import Device
from fleet.moments import Moments
from fleet.registry.words import (
    NO_STAGES,
    Changed,
    EventPage,
    EventQuery,
    EventRow,
    Expired,
    Floor,
    Gap,
    Heard,
    Known,
    PhaseStep,
    Scope,
    Sizes,
    Span,
    Stretch,
    Terms,
    UpdateLife,
    UpdateQuery,
    Vital,
    Written,
)
from wire.histogram import merge
from wire.messages import Event, Losses, Presence, StageCounts, State, Telemetry, Window, parse
from wire.troubles import Refused

STAGES = ("queue", "preprocess", "inference", "postprocess", "end_to_end")


def open_registry(url: str) -> Registry:
    """sqlite:////path/file.db or postgresql://... Raises Refused for another, Unavailable."""
    if not url.startswith("sqlite:///"):
        raise Refused(f"{url}: a database is sqlite:////path/file.db or postgresql://...")
    return Registry(url.removeprefix("sqlite:///"))


class Registry:
    """One database. Any thread."""

    def __init__(self, path: str) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(
            "CREATE TABLE IF NOT EXISTS record (id INTEGER PRIMARY KEY, device TEXT, kind TEXT,"
            " heard_s REAL, made_s REAL, off_s REAL, spool TEXT, seq INTEGER, payload BLOB,"
            " UNIQUE (device, spool, seq));"
            "CREATE TABLE IF NOT EXISTS last (device TEXT PRIMARY KEY, changed INTEGER,"
            " known BLOB);"
        )
        self._moments: dict[str, Moments] = {}

    def write(self, heard: Sequence[Heard]) -> Written:
        """Store a batch durably, each record once. Raises Unavailable: nothing of it is stored."""
        stored = duplicates = refused = 0
        floors: dict[tuple[str, str], int] = {}
        with self._lock, self._db:
            mark = self._db.execute("SELECT coalesce(max(changed), 0) + 1 FROM last").fetchone()[0]
            for each in heard:
                before = self.device(each.device) or Known(each.device, each.at_s, each.at_s)
                try:
                    after, fate = self._take(before, each, floors)
                except Refused:
                    refused += 1
                    continue
                stored += fate == "stored"
                duplicates += fate == "duplicate"
                after = msgspec.structs.replace(after, heard_s=each.at_s)
                self._db.execute(
                    "INSERT OR REPLACE INTO last VALUES (?, ?, ?)",
                    (each.device, mark, msgspec.msgpack.encode(after)),
                )
        acks = tuple(Floor(device, spool, seq) for (device, spool), seq in floors.items())
        return Written(acks, stored, duplicates, refused)

    def _take(
        self, before: Known, each: Heard, floors: dict[tuple[str, str], int]
    ) -> tuple[Known, str]:
        replace = msgspec.structs.replace
        if each.kind == "presence":
            if not each.payload:
                return replace(before, presence=None, state=None, is_removed=True), "said"
            presence = parse(each.payload, Presence)
            is_new = before.presence is None or before.presence.online != presence.online
            since_s = each.at_s if is_new else before.online_since_s
            return replace(
                before, presence=presence, online_since_s=since_s, is_removed=False
            ), "said"
        if each.kind == "state":
            return replace(before, state=parse(each.payload, State) if each.payload else None), ""
        record: Telemetry | Event
        record = (
            parse(each.payload, Telemetry)
            if each.kind == "telemetry"
            else parse(each.payload, Event)
        )
        moment = self._moments.setdefault(each.device, Moments()).place(record, each.at_s)
        key = (each.device, record.spool)
        floors[key] = max(record.seq, floors.get(key, 0))
        row = (each.device, each.kind, each.at_s, moment.at_s, moment.clock_off_s, *key[1:],
               record.seq, each.payload)  # fmt: skip
        done = self._db.execute(
            "INSERT OR IGNORE INTO record (device, kind, heard_s, made_s, off_s, spool, seq,"
            " payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row,
        )  # fmt: skip
        if not done.rowcount:
            return before, "duplicate"
        if isinstance(record, Telemetry) and (
            before.reached_s is None or moment.at_s >= before.reached_s
        ):
            before = replace(
                before, telemetry=record, reached_s=moment.at_s, clock_off_s=moment.clock_off_s
            )
        return before, "stored"

    def changed(self, since: int, most: int = 2000) -> Changed:
        """Devices of which something came after the mark `since`; 0: all."""
        with self._lock:
            rows = self._db.execute(
                "SELECT changed, known FROM last WHERE changed > ? ORDER BY changed", (since,)
            ).fetchall()
        known = tuple(msgspec.msgpack.decode(row[1], type=Known) for row in rows)
        return Changed(rows[-1][0] if rows else since, known)

    def device(self, name: str) -> Known | None:
        with self._lock:
            row = self._db.execute("SELECT known FROM last WHERE device = ?", (name,)).fetchone()
        return None if row is None else msgspec.msgpack.decode(row[0], type=Known)

    def windows(
        self, device: str, pipeline: str, span: Span, most: int = 400
    ) -> tuple[Stretch, ...]:
        """The oldest first; merged so that there are at most `most`."""
        found = self._windows(span, Scope(devices=(device,), pipeline=pipeline))
        return tuple(_stretch(at_s, [window]) for at_s, window in found)[-most:]

    def vitals(self, device: str, span: Span, most: int = 400) -> tuple[Vital, ...]:
        """The oldest first."""
        known = Device(device)
        found = []
        for at_s, record in self._records(span, (device,)):
            known.records = [record]
            health = record.health
            memory, disk, cores = health.memory, health.disk, health.cpu_percent
            found.append(
                Vital(
                    at_s,
                    max((health.temperatures_c or {}).values(), default=None),
                    sum(cores) / len(cores) if cores else None,
                    100 * (1 - memory.available / memory.total) if memory else None,
                    100 * (1 - disk.free / disk.total) if disk else None,
                    health.throttle.now if health.throttle else (),
                )
            )
        return tuple(found[-most:])

    def latency(self, span: Span, scope: Scope = Scope()) -> StageCounts:  # noqa: B008 - frozen
        """All histograms of the scope merged."""
        return _together([window for _, window in self._windows(span, scope)])

    def series(
        self,
        span: Span,
        scope: Scope = Scope(),  # noqa: B008 - frozen
        most: int = 200,
    ) -> tuple[Stretch, ...]:
        """The fleet over time: for each model and version one after the other, the oldest first."""
        width_s = max(60.0, (span.to_s - span.from_s) / most)
        groups: dict[tuple[float, str, str], list[Window]] = {}
        for at_s, window in self._windows(span, scope):
            groups.setdefault((at_s // width_s * width_s, window.model, window.version), []).append(
                window
            )
        return tuple(
            msgspec.structs.replace(_stretch(key[0], each), seconds=width_s)
            for key, each in sorted(groups.items())
        )

    def events(self, query: EventQuery) -> EventPage:
        found: list[EventRow] = []
        with self._lock:
            rows = self._db.execute(
                "SELECT id, device, made_s, heard_s, payload FROM record WHERE kind = 'event'"
                " ORDER BY id DESC"
            ).fetchall()
        for identity, device, made_s, heard_s, payload in rows:
            row = EventRow(identity, device, made_s, heard_s, parse(payload, Event))
            if _asked(row, query):
                found.append(row)
        page = tuple(found[: query.most])
        return EventPage(page, page[-1].id if len(found) > query.most else None)

    def updates(self, query: UpdateQuery) -> tuple[UpdateLife, ...]:
        lives: dict[tuple[str, str, str, str, int], UpdateLife] = {}
        for row in reversed(self.events(EventQuery(kind="update", most=10000)).events):
            update = row.event.update
            if update is None:
                continue
            pipeline = row.event.pipeline or ""
            key = (row.device, pipeline, update.model, update.version, update.deployment)
            step = PhaseStep(update.phase, row.at_s, update.percent, update.reason)
            old = lives.get(key)
            lives[key] = UpdateLife(
                row.device, pipeline, update.model, update.version, update.digest,
                update.deployment, update.phase, old.began_s if old else row.at_s, row.at_s,
                (*(old.steps if old else ()), step),
            )  # fmt: skip
        found = [life for life in lives.values() if query.device in (None, life.device)]
        return tuple(sorted(found, key=lambda life: -life.changed_s)[: query.most])

    def gaps(self, device: str, span: Span) -> tuple[Gap, ...]:
        return ()

    def sizes(self) -> Sizes:
        return Sizes(0, 0, ())

    def roll_up(self) -> int:
        """Merge what is new into longer stretches. Returns how many windows that were."""
        return 0

    def expire(self, now_s: float, terms: Terms = Terms()) -> Expired:  # noqa: B008 - frozen
        return Expired(0, is_done=True)

    def forget(self, device: str) -> None:
        """Remove everything of a device."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM record WHERE device = ?", (device,))
            self._db.execute("DELETE FROM last WHERE device = ?", (device,))

    def close(self) -> None:
        self._db.close()

    def _records(self, span: Span, devices: Sequence[str] | None) -> list[tuple[float, Telemetry]]:
        with self._lock:
            rows = self._db.execute(
                "SELECT device, made_s, payload FROM record WHERE kind = 'telemetry'"
                " AND made_s >= ? AND made_s < ? ORDER BY made_s", (span.from_s, span.to_s),
            ).fetchall()  # fmt: skip
        return [
            (made_s, parse(payload, Telemetry))
            for device, made_s, payload in rows
            if devices is None or device in devices
        ]

    def _windows(self, span: Span, scope: Scope) -> list[tuple[float, Window]]:
        return [
            (at_s - window.seconds, window)
            for at_s, record in self._records(span, scope.devices)
            for name, window in record.pipelines.items()
            if scope.pipeline in (None, name)
            and scope.model in (None, window.model)
            and scope.version in (None, window.version)
        ]


def _asked(row: EventRow, query: EventQuery) -> bool:
    event, span = row.event, query.span
    return (
        query.device in (None, row.device)
        and query.kind in (None, event.kind)
        and query.subject in (None, event.subject)
        and (query.text is None or query.text.lower() in event.text.lower())
        and (span is None or span.from_s <= row.at_s < span.to_s)
        and (query.before_id is None or row.id < query.before_id)
        and (query.after_id is None or row.id > query.after_id)
    )


def _together(windows: Sequence[Window]) -> StageCounts:
    if not windows:
        return NO_STAGES
    return StageCounts(*(merge(getattr(w.stages, stage) for w in windows) for stage in STAGES))


def _stretch(start_s: float, windows: Sequence[Window]) -> Stretch:
    seconds = sum(window.seconds for window in windows)
    frames = sum(window.frames for window in windows)
    last = windows[-1]
    return Stretch(
        start_s, seconds, last.model, last.version, frames, frames / seconds if seconds >= 1 else
        None, last.losses if len(windows) == 1 else Losses(), _together(windows), last.restarts,
    )  # fmt: skip
