"""The last word of each device of a batch: loaded, changed, and stored again."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, select

from fleet.moments import Moment
from fleet.registry.naming import in_turns, short
from fleet.registry.rows import Values, put
from fleet.registry.tables import RETAINED, WORD
from fleet.registry.words import Heard
from wire.messages import LARGEST, Presence, Telemetry, parse, to_json
from wire.troubles import Refused

TOGETHER_S = 1.0  # records of one boot that are not further apart were cut at the same moment
MOST_LOST = 1 << 53  # records: a device may claim any number, and of every spool anew


class _Word(Struct):
    """Of one device; spool, seq, boot, uptime_s: of its newest telemetry."""

    heard_s: float = 0.0
    is_removed: bool = False
    spool: str | None = None
    seq: int | None = None
    boot: str | None = None
    uptime_s: float | None = None
    reached_s: float | None = None
    clock_off_s: float | None = None
    lost: int = 0
    telemetry: bytes | None = None  # None: as it is in the table
    is_heard: bool = False


class _Retained(Struct):
    is_online: bool | None = None
    since_s: float | None = None
    boot: str | None = None
    presence: bytes | None = None
    state: bytes | None = None
    is_heard: bool = False


_COLUMNS = ("heard_s", "is_removed", "spool", "seq", "boot", "uptime_s", "reached_s",
            "clock_off_s", "lost")  # fmt: skip
_KEPT = ("is_online", "since_s", "boot", "presence", "state")


class LastWords:
    """Of one transaction."""

    def __init__(self, connection: Connection, batch: int) -> None:
        self._connection = connection
        self._batch = batch
        self._words: dict[int, _Word] = {}
        self._retained: dict[int, _Retained] = {}

    def load(self, devices: Collection[int]) -> None:
        self._words = {device: _Word() for device in devices}
        columns = [WORD.c[name] for name in _COLUMNS]
        for some in in_turns(list(devices)):
            query = select(WORD.c.device, *columns).where(WORD.c.device.in_(some))
            for device, *row in self._connection.execute(query):
                self._words[device] = _Word(*row)

    def heard(self, device: int, at_s: float) -> None:
        word = self._words[device]
        word.heard_s, word.is_heard, word.is_removed = at_s, True, False

    def lost(self, device: int, more: int) -> None:
        word = self._words[device]
        word.lost = max(0, min(MOST_LOST, word.lost + more))

    def telemetry(self, device: int, record: Telemetry, moment: Moment, heard: Heard) -> None:
        word = self._words[device]
        if word.spool is not None and not self._is_newer(device, word, record, moment):
            return
        payload = heard.payload
        after_s = record.uptime_s - (word.uptime_s or 0.0)
        if word.boot == short(record.boot) and 0 <= after_s <= TOGETHER_S:
            payload = self._with_the_rest(device, word, record, payload)
        word.spool, word.seq = record.spool, record.seq
        word.boot, word.uptime_s = short(record.boot), record.uptime_s
        word.reached_s, word.clock_off_s = moment.at_s, moment.clock_off_s
        word.telemetry = payload

    def presence(self, device: int, presence: Presence, heard: Heard) -> None:
        self.heard(device, heard.at_s)
        kept = self._kept(device)
        if kept.is_online != presence.online:
            is_seen = kept.is_online is not None or not heard.is_retained
            kept.since_s = heard.at_s if is_seen else None
        kept.is_online, kept.boot = presence.online, short(presence.boot)
        kept.presence, kept.is_heard = heard.payload, True

    def state(self, device: int, heard: Heard) -> None:
        self.heard(device, heard.at_s)
        kept = self._kept(device)
        kept.state, kept.is_heard = heard.payload, True

    def taken_away(self, device: int, heard: Heard) -> None:
        """A retained message: an operator removed the device."""
        kept = self._kept(device)
        kept.is_heard = True
        word = self._words[device]
        word.heard_s, word.is_heard = heard.at_s, True
        if heard.kind == "state":
            kept.state = None
        else:
            kept.is_online = kept.since_s = kept.boot = kept.presence = None
            word.is_removed = True

    def store(self) -> None:
        with_telemetry: list[Values] = []
        others: list[Values] = []
        for device, word in self._words.items():
            if word.is_heard:
                row: Values = {"device": device, "changed": self._batch}
                row |= {name: getattr(word, name) for name in _COLUMNS}
                if word.telemetry is None:
                    others.append(row)
                else:
                    with_telemetry.append(row | {"telemetry": word.telemetry})
        put(self._connection, WORD, with_telemetry)
        put(self._connection, WORD, others)
        kept = [
            {"device": device} | {name: getattr(each, name) for name in _KEPT}
            for device, each in self._retained.items()
            if each.is_heard
        ]
        put(self._connection, RETAINED, kept)

    def _kept(self, device: int) -> _Retained:
        if device not in self._retained:
            columns = [RETAINED.c[name] for name in _KEPT]
            query = select(*columns).where(RETAINED.c.device == device)
            row = self._connection.execute(query).first()
            self._retained[device] = _Retained() if row is None else _Retained(*row)
        return self._retained[device]

    def _is_newer(self, device: int, word: _Word, record: Telemetry, moment: Moment) -> bool:
        """Of two records of different spools, numbers say nothing."""
        if record.spool == word.spool:
            return word.seq is None or record.seq > word.seq
        boot = short(record.boot)
        if boot == word.boot:
            return word.uptime_s is None or record.uptime_s > word.uptime_s
        present = self._kept(device).boot
        if present is not None and present in (boot, word.boot):
            return boot == present
        return word.reached_s is None or moment.at_s > word.reached_s

    def _with_the_rest(self, device: int, word: _Word, record: Telemetry, payload: bytes) -> bytes:
        """With the pipelines that are in the record of the same moment."""
        before = word.telemetry
        if before is None:
            query = select(WORD.c.telemetry).where(WORD.c.device == device)
            before = self._connection.execute(query).scalar()
        if before is None:
            return payload
        try:
            rest = parse(bytes(before), Telemetry).pipelines
            pipelines = {**rest, **record.pipelines}
            told = to_json(msgspec.structs.replace(record, pipelines=pipelines))
        # written by another version of us; whole numbers of hundreds of digits
        except (Refused, OverflowError, RecursionError):
            return payload
        return told if len(told) <= LARGEST else payload  # else nobody could read it
