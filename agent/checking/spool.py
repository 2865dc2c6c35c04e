"""What waits in the spool, and for how long: read beside a running agent, without its locks."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

from agent.faults import said_in
from agent.keeping import IN_MEMORY
from agent.recorder import FAULTS_BOOK
from agent.spool.file import DAMAGED, PAGE_BYTES, Books, number_of, read_books
from agent.spool.place import FILE
from wire.config import TelemetryTable
from wire.finding import Finding

LONG_S = 900.0  # one record a minute, and a broker away for a while: no reason to look
FULL_SHARE = 0.5
TRIES = 3  # the agent may be writing
RESTART = "sudo systemctl restart vedette-agent"
REGISTRY = "sudo systemctl restart vedette-serve"


class Waits(Struct, frozen=True):
    """As of the last time that the agent tidied its file. oldest_s: how long agents have run since
    the oldest record was written, None where none waits. used: bytes."""

    records: int
    lost: int
    oldest_s: float | None
    used: int


def look_at_spool(state: Path, table: TelemetryTable, run: Path) -> Iterator[Finding]:
    """run: the folder where a running agent keeps what it said; the file knows nothing of what is
    in its memory."""
    path = state / FILE
    if (fault := _fault(run)) is not None:
        waits = _read(path) if path.is_file() else None
        records = "" if waits is None else f"{waits.records} records wait in the file: "
        yield Finding("spool", "warning", "", f"{records}{fault}")  # the disk's own part mends it
        return
    if not path.is_file():
        yield Finding("spool", "ok", "", "nothing was kept here yet")
        return
    waits = _read(path)
    if waits is None:
        says = "it cannot be read now: damaged, or in the midst of a write; the agent mends it"
        yield Finding("spool", "warning", "", says, RESTART)
        return
    share = waits.used / (table.spool_mib << 20)
    is_late = waits.oldest_s is not None and waits.oldest_s > LONG_S
    says = f"{waits.records} records wait" + (
        f", the oldest for {waits.oldest_s / 3600:.1f} h" if waits.oldest_s and is_late else ""
    )
    says += f", {share:.0%} of {table.spool_mib} MiB" if share >= 0.01 else ""
    if is_late or share > FULL_SHARE:
        says += f": it grows, because the {table.acknowledged_by} acknowledges none"
        if table.acknowledged_by == "registry":
            yield Finding("spool", "warning", "", says, REGISTRY, "operator")
        else:
            yield Finding("spool", "warning", "", says, RESTART)
    else:
        yield Finding("spool", "ok", "", says)
    if waits.lost:
        says = f"{waits.lost} records were dropped for want of room or of time since it was made"
        yield Finding("spool", "ok", "lost", says)


def _fault(run: Path) -> str | None:
    """What the agent said last of records that it cannot write."""
    try:
        book = (run / FAULTS_BOOK).read_bytes()
    except OSError:
        return None
    said = (one.text for one in said_in(book) if one.subject == "spool")
    return next((text for text in said if IN_MEMORY in text), None)


def _read(path: Path) -> Waits | None:
    for _ in range(TRIES):
        # neither waits for the agent's lock nor takes one; what is in the log only is not seen
        name = f"file:{quote(str(path))}?mode=ro&immutable=1"
        with contextlib.suppress(*DAMAGED):
            db = sqlite3.connect(name, uri=True)
            try:
                return _counted(db)
            finally:
                db.close()
    return None


def _counted(db: sqlite3.Connection) -> Waits | None:
    books: Books | None = read_books(db)
    if books is None:
        return Waits(0, 0, None, 0) if not number_of(db, "page_count") else None
    oldest = db.execute("SELECT at_s FROM record ORDER BY key LIMIT 1").fetchall()
    used = number_of(db, "page_count") - number_of(db, "freelist_count")
    age_s = books.ran_s - float(oldest[0][0]) if oldest else None
    return Waits(books.waiting, books.lost, age_s, used * PAGE_BYTES)
