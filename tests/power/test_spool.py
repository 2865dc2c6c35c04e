"""A spool after a power cut at any moment: what was kept is there, and no number comes twice."""

from __future__ import annotations

import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest

from agent.clock import SystemClock
from agent.keeping import Keeping
from tests.power.cuts import Cut, check_complete, cuts, laid, scratch, told
from tests.power.recorder import STRACE, Recording, record
from tests.power.spool_life import TABLE, opened
from tests.rounds import rounds

pytestmark = [
    pytest.mark.skipif(STRACE is None, reason="needs strace: run scripts/setup"),
    pytest.mark.slow,
    pytest.mark.timeout(rounds(120)),
]
LIFE = [sys.executable, "-m", "tests.power.spool_life"]


@contextmanager
def opened_later(folder: Path) -> Iterator[Keeping]:
    """After a boot."""
    with patch("agent.keeping.boot_id", lambda: secrets.token_hex(8)):
        keeping = Keeping(folder, TABLE, SystemClock())
    try:
        yield keeping
    finally:
        keeping.close()


def test_power_cut_at_any_moment() -> None:
    with scratch() as place:
        (place / "spool").mkdir()
        recording = record([*LIFE, str(place / "spool")], place / "spool", place)
        check_complete(recording, place / "spool")
    every = list(cuts(recording, "", rounds(1)))
    assert len(every) > 500
    for cut in every[:: max(1, 24 // rounds(1))]:
        with told(cut), laid(cut.tree) as folder, opened_later(folder) as keeping:
            assert keeping.fault is None
            check_records(keeping, cut)


def check_records(keeping: Keeping, cut: Cut) -> None:
    words = [mark.split() for mark in cut.marks]
    given = {(word[1], int(word[2])) for word in words if word[0] == "kept"}
    floors: dict[str, int] = {}
    for _, spool, seq in (word for word in words if word[0] == "asked"):
        floors[spool] = max(floors.get(spool, 0), int(seq))
    there = {(r.spool, r.seq) for name in keeping.ids() for r in keeping.after(name, 0, 10_000)}
    missing = {key for key in given - there if key[1] > floors.get(key[0], 0)}
    assert not missing
    assert keeping.lost == 0
    noted = [int(word[1]) for word in words if word[0] == "noted"]
    if noted:
        assert int(keeping.note("ledger") or -1) in (noted[-1], noted[-1] + 1)
    (fresh,) = keeping.append([("event", b"{}")], {})
    assert (fresh.spool, fresh.seq) not in given | there


def test_a_log_that_a_cut_mending_left_is_not_the_new_files(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    keeping = opened(old)
    for n in range(9):
        keeping.append([("telemetry", b"old %d" % n)], {"ledger": b"old"})
    log = (old / "spool.db-wal").read_bytes()
    keeping.close()
    keeping = opened(new)
    keeping.append([("telemetry", b"new")], {"ledger": b"new"})
    keeping.close()
    (new / "spool.db").rename(new / "spool.db.new")
    (new / "spool.db-wal").write_bytes(log)  # the damaged file has another name, its log not yet
    with opened_later(new) as keeping:
        assert keeping.fault is None
        assert bodies(keeping) == {b"new"}
        assert keeping.note("ledger") == b"new"


@pytest.mark.parametrize("where", ["head", "page"])
def test_power_cut_while_a_damaged_file_is_mended(where: str) -> None:
    with scratch() as place:
        damaged(place / "spool", where)
        shutil.copytree(place / "spool", place / "whole")
        expected, lost = after_mending(place / "whole")
        assert expected or where == "head"
        recording = record([*LIFE, str(place / "spool"), "mend"], place / "spool", place)
        check_complete(recording, place / "spool")
        check_mending(recording, expected, lost)


def damaged(folder: Path, where: str) -> None:
    """A file with a log, as a kill leaves them, of which something rotted."""
    folder.mkdir()
    keeping = opened(folder)
    for n in range(30):
        keeping.append([("telemetry", b"%d" % n + bytes(2000))], {"ledger": b"book"})
    if where == "head":  # the log does not know it either
        keeping.close()
        keeping = opened(folder)
        for n in range(4):
            keeping.append((), {"ledger": b"%d" % n + bytes(3000)})
    kept = {name: (folder / name).read_bytes() for name in ("spool.db", "spool.db-wal")}
    keeping.close()
    assert len(kept["spool.db-wal"]) > 8192
    content = bytearray(kept["spool.db"])
    place = (5 * 4096, 6 * 4096) if where == "page" else (0, 100)
    content[slice(*place)] = b"\xff" * (place[1] - place[0])
    (folder / "spool.db").write_bytes(bytes(content))
    (folder / "spool.db-wal").write_bytes(kept["spool.db-wal"])


def after_mending(folder: Path) -> tuple[set[bytes], int]:
    with opened_later(folder) as keeping:
        return bodies(keeping), keeping.lost


def bodies(keeping: Keeping) -> set[bytes]:
    return {r.body for name in keeping.ids() for r in keeping.after(name, 0, 10_000)}


def check_mending(recording: Recording, expected: set[bytes], lost: int) -> None:
    count = 0
    for cut in list(cuts(recording, "", rounds(1)))[:: max(1, 6 // rounds(1))]:
        count += 1
        with told(cut), laid(cut.tree) as folder, opened_later(folder) as keeping:
            assert keeping.fault is None or "damaged" in keeping.fault
            assert bodies(keeping) == expected
            assert keeping.lost == lost
            assert not (folder / "spool.db.new").exists()
    assert count > 20
