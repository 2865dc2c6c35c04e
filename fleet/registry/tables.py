"""The tables of the registry. Times are Unix seconds; a slot is a number of ten-minute stretches.

Rows that come in thousands are few bytes: names are numbers, histograms are packed. What is looked
up by time is ordered by slot first: so new rows go to one place of an index, and old ones leave it
at one place.
"""

from __future__ import annotations

import secrets

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

SLOT_S = 600
HOUR_SLOTS = 6
HOUR_S = 3600
PART, MINUTE_S = 1, 60


def new_identity() -> str:
    """Of a database, at random."""
    return secrets.token_hex(8)


METADATA = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")
_Seconds = Float(53)

# identity: made at random, once, and never changed: ingesters of one database know each other by it
SCHEMA = Table(
    "registry_schema",
    METADATA,
    Column("version", Integer, primary_key=True),
    Column("identity", String(32), default=new_identity),
)
# one row: who writes holds it. batch: that was written last. fine_id, event_id: given last.
# rolled: fine rows up to this id are in `tens`. hour_slot, vital_slot: what is before it is in
# `hour`, and in the vitals of ten minutes and of hours. tens_whole, hour_whole: from this slot on,
# nothing was taken out of `tens` and `hour`: with what is not rolled up yet, their sum over all
# devices is what `together` has.
TURN = Table(
    "turn",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("batch", BigInteger, nullable=False),
    Column("fine_id", BigInteger, nullable=False),
    Column("event_id", BigInteger, nullable=False),
    Column("rolled", BigInteger, nullable=False),
    Column("hour_slot", Integer, nullable=False),
    Column("vital_slot", Integer, nullable=False),
    Column("tens_whole", Integer, nullable=False),
    Column("hour_whole", Integer, nullable=False),
)
LEASE = Table(
    "lease",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until_s", _Seconds, nullable=False),
)
# who works on this database, and how that goes
SERVICE = Table(
    "service",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), primary_key=True),
    Column("at_s", _Seconds, nullable=False),
    Column("status", Text, nullable=False),
    Column("trouble", Text),
)
DEVICE = Table(
    "device",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("first_heard_s", _Seconds, nullable=False),
)
PIPELINE = Table(
    "pipeline",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
)
RELEASE = Table(
    "release",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("model", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Index("release_name", "model", "version", unique=True),
)
# the last word of each device; spool, seq, boot, uptime_s: of the newest telemetry
WORD = Table(
    "word",
    METADATA,
    Column("device", _Id, primary_key=True, autoincrement=False),
    Column("changed", BigInteger, nullable=False, index=True),
    Column("heard_s", _Seconds, nullable=False),
    Column("is_removed", Boolean, nullable=False),
    Column("spool", Text),
    Column("seq", BigInteger),
    Column("boot", Text),
    Column("uptime_s", _Seconds),
    Column("reached_s", _Seconds),
    Column("clock_off_s", _Seconds),
    Column("lost", BigInteger, nullable=False),
    Column("telemetry", LargeBinary),
)
# what is retained at the broker; boot: of presence
RETAINED = Table(
    "retained",
    METADATA,
    Column("device", _Id, primary_key=True, autoincrement=False),
    Column("is_online", Boolean),
    Column("since_s", _Seconds),
    Column("boot", Text),
    Column("presence", LargeBinary),
    Column("state", LargeBinary),
)
SPOOL = Table(
    "spool",
    METADATA,
    Column("device", _Id, primary_key=True, autoincrement=False),
    Column("spool", String(64), primary_key=True),
    Column("floor", BigInteger, nullable=False),
    Column("began", BigInteger, nullable=False),
    Column("beyond", LargeBinary, nullable=False),
    Column("open", LargeBinary, nullable=False),
    Column("lost", BigInteger, nullable=False),
    Column("heard_s", _Seconds, nullable=False, index=True),
    sqlite_with_rowid=False,
)


def _counted() -> list[Column[object]]:
    return [
        Column("seconds", _Seconds, nullable=False),
        Column("frames", BigInteger, nullable=False),
        Column("skipped", BigInteger, nullable=False),
        Column("driver", BigInteger, nullable=False),
        Column("decode", BigInteger, nullable=False),
        Column("refused", BigInteger, nullable=False),
        Column("restarts", BigInteger, nullable=False),
        Column("stages", LargeBinary, nullable=False),
    ]


# one window of one pipeline
FINE = Table(
    "fine",
    METADATA,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("slot", Integer, nullable=False),
    Column("device", Integer, nullable=False),
    Column("pipeline", Integer, nullable=False),
    Column("release", Integer, nullable=False),
    Column("made_s", _Seconds, nullable=False),
    *_counted(),
    Index("fine_slot", "slot", "device"),
)


def _rolled(name: str) -> Table:
    return Table(
        name,
        METADATA,
        Column("slot", Integer, primary_key=True, autoincrement=False),
        Column("device", Integer, primary_key=True, autoincrement=False),
        Column("pipeline", Integer, primary_key=True, autoincrement=False),
        Column("release", Integer, primary_key=True, autoincrement=False),
        *_counted(),
        sqlite_with_rowid=False,
    )


TENS = _rolled("tens")
HOUR = _rolled("hour")  # slot: of its first ten minutes
# all devices together, from at_s on for width_s; seconds: that their pipelines counted. width_s:
# PART: a part of a minute's, as a batch brought it
TOGETHER = Table(
    "together",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("at_s", BigInteger, nullable=False),
    Column("width_s", Integer, nullable=False),
    Column("pipeline", Integer, nullable=False),
    Column("release", Integer, nullable=False),
    *_counted(),
    Index("together_at", "width_s", "at_s"),
)


# what tracks did in zones and at lines; slot: of an hour's first ten minutes
PASSED = Table(
    "passed",
    METADATA,
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("device", Integer, primary_key=True, autoincrement=False),
    Column("pipeline", Integer, primary_key=True, autoincrement=False),
    Column("sums", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)


def _measured() -> list[Column[object]]:
    """In tenths; the worst. throttled: bits."""
    return [
        Column("hottest", SmallInteger),
        Column("cpu", SmallInteger),
        Column("memory", SmallInteger),
        Column("disk", SmallInteger),
        Column("throttled", SmallInteger, nullable=False),
    ]


VITAL = Table(
    "vital",
    METADATA,
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("device", Integer, primary_key=True, autoincrement=False),
    Column("made_s", _Seconds, primary_key=True),
    *_measured(),
    sqlite_with_rowid=False,
)


def _worst(name: str) -> Table:
    return Table(
        name,
        METADATA,
        Column("slot", Integer, primary_key=True, autoincrement=False),
        Column("device", Integer, primary_key=True, autoincrement=False),
        *_measured(),
        sqlite_with_rowid=False,
    )


VITAL_TENS = _worst("vital_tens")
VITAL_HOUR = _worst("vital_hour")
EVENT = Table(
    "event",
    METADATA,
    Column("id", _Id, primary_key=True, autoincrement=False),
    Column("device", Integer, nullable=False),
    Column("at_s", _Seconds, nullable=False),
    Column("heard_s", _Seconds, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("pipeline", Text),
    Column("text", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Index("event_device_time", "device", "at_s", "id"),
    Index("event_time", "at_s", "id"),
)
# what became of a model on a device
LIFE = Table(
    "life",
    METADATA,
    Column("id", _Id, primary_key=True),
    Column("device", Integer, nullable=False),
    Column("pipeline", String(64), nullable=False),
    Column("model", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("deployment", BigInteger, nullable=False),
    Column("digest", Text),
    Column("phase", String(16), nullable=False),
    Column("began_s", _Seconds, nullable=False),
    Column("changed_s", _Seconds, nullable=False, index=True),
    Column("steps", LargeBinary, nullable=False),
    Index("life_of", "device", "pipeline", "model", "version", "deployment", unique=True),
)
COUNTED = ("seconds", "frames", "skipped", "driver", "decode", "refused", "restarts", "stages")
MEASURED = ("hottest", "cpu", "memory", "disk", "throttled")
