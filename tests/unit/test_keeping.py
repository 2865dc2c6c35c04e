"""Keeping goes on whatever the disk does, and no record ever has two numbers."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import agent.keeping
from agent.keeping import MEMORY_BYTES, RETRY_S, TOLD_S, UNWRITTEN_S, Keeping
from agent.spool.change import Record
from wire.config import TelemetryTable
from wire.troubles import Unavailable

MIB = 1 << 20


@dataclass
class HandClock:
    up_s: float = 1000.0
    ahead_s: float = 1.8e9

    def uptime_s(self) -> float:
        return self.up_s

    def wall_s(self) -> float:
        return self.up_s + self.ahead_s


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def opened(folder: Path, clock: HandClock, mib: int = 1, days: float = 30.0) -> Keeping:
    return Keeping(folder, TelemetryTable(spool_mib=mib, spool_days=days), clock)


def filled(keeping: Keeping, *bodies: bytes) -> list[Record]:
    return keeping.append([("telemetry", body) for body in bodies], {})


def all_of(keeping: Keeping) -> list[Record]:
    return [r for name in keeping.ids() for r in keeping.after(name, 0, 100_000)]


def retried(keeping: Keeping, clock: HandClock) -> None:
    clock.up_s += RETRY_S
    keeping.tick()


def test_a_restart_finds_everything(tmp_path: Path, clock: HandClock) -> None:
    keeping = opened(tmp_path, clock)
    records = keeping.append([("telemetry", b"one"), ("event", b"two")], {"ledger": b"book"})
    identity, name = keeping.identity, keeping.ids()[-1]
    keeping.acknowledge(name, 1)
    keeping.close()
    assert keeping.waiting == 1  # still to be asked for
    again = opened(tmp_path, clock)
    assert all_of(again) == records[1:]
    assert (again.identity, again.fault, again.waiting, again.lost) == (identity, None, 1, 0)
    assert (again.oldest(name), again.newest(name)) == (2, 2)
    assert again.note("ledger") == b"book"
    again.close()


def test_a_second_agent_is_told_so(tmp_path: Path, clock: HandClock) -> None:
    keeping = opened(tmp_path, clock)
    with pytest.raises(Unavailable, match="another agent uses this folder: stop it"):
        opened(tmp_path, clock)
    keeping.close()
    opened(tmp_path, clock).close()


def test_a_second_process_is_told_so(tmp_path: Path, clock: HandClock) -> None:
    keeping = opened(tmp_path, clock)
    code = (
        "from pathlib import Path; import sys; from agent.keeping import Keeping;"
        "from agent.clock import SystemClock; from wire.config import TelemetryTable;"
        "Keeping(Path(sys.argv[1]), TelemetryTable(), SystemClock())"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert told.returncode == 1
    assert "another agent uses this folder" in told.stderr
    keeping.close()


def test_a_missing_folder_is_memory_until_it_is_there(tmp_path: Path, clock: HandClock) -> None:
    folder = tmp_path / "state"
    keeping = opened(folder, clock)
    records = keeping.append([("telemetry", b"one"), ("event", b"two")], {"ledger": b"book"})
    assert keeping.fault is not None and str(folder) in keeping.fault
    assert (all_of(keeping), keeping.waiting, keeping.note("ledger")) == (records, 2, b"book")
    identity = keeping.identity
    folder.mkdir()
    keeping.tick()
    assert keeping.fault is not None  # not every second
    retried(keeping, clock)
    assert keeping.fault is None
    assert all_of(keeping) == records
    later = filled(keeping, b"three")
    assert later[0].spool != records[0].spool
    keeping.close()
    again = opened(folder, clock)
    assert all_of(again) == records + later
    assert (again.identity, again.note("ledger"), again.lost) == (identity, b"book", 0)
    again.close()


def test_memory_that_comes_back_keeps_what_was_acknowledged_away(
    tmp_path: Path, clock: HandClock
) -> None:
    folder = tmp_path / "state"
    keeping = opened(folder, clock)
    records = filled(keeping, *[b"%d" % n for n in range(10)])
    keeping.acknowledge(records[0].spool, 3)
    keeping.forget(records[0].spool, 7)
    keeping.discard(records[0].spool, 9)
    folder.mkdir()
    retried(keeping, clock)
    left = [r for r in records if r.seq in (4, 5, 6, 8, 10)]
    assert all_of(keeping) == left
    assert (keeping.waiting, keeping.lost) == (5, 1)
    assert keeping.newest(records[0].spool) == 10
    keeping.close()


@pytest.mark.slow
def test_memory_is_bounded_and_its_losses_are_counted(tmp_path: Path, clock: HandClock) -> None:
    folder = tmp_path / "state"
    keeping = opened(folder, clock, mib=8)
    records = [filled(keeping, b"%d" % n + bytes(10_000))[0] for n in range(600)]
    kept = all_of(keeping)
    assert sum(len(r.body) for r in kept) < MEMORY_BYTES
    assert kept == records[-len(kept) :]
    assert keeping.lost == 600 - len(kept) > 0
    folder.mkdir()
    retried(keeping, clock)
    assert (keeping.fault, all_of(keeping), keeping.lost) == (None, kept, 600 - len(kept))
    keeping.close()
    again = opened(folder, clock, mib=8)
    assert again.lost == 600 - len(kept)
    again.close()


def test_the_file_is_taken_away(tmp_path: Path, clock: HandClock) -> None:
    keeping = opened(tmp_path, clock)
    filled(keeping, b"one", b"two")
    (tmp_path / "spool.db").unlink()
    keeping.tick()
    assert keeping.fault is not None and "taken away" in keeping.fault
    later = filled(keeping, b"three")
    retried(keeping, clock)
    assert (keeping.fault, all_of(keeping), keeping.lost) == (None, later, 2)
    keeping.close()
    again = opened(tmp_path, clock)
    assert (all_of(again), again.lost) == (later, 2)
    again.close()


def test_the_folder_goes_and_comes_back(tmp_path: Path, clock: HandClock) -> None:
    """As when a disk is unplugged: the records on it are only out of reach."""
    folder = tmp_path / "state"
    folder.mkdir()
    keeping = opened(folder, clock)
    first = filled(keeping, b"one", b"two")
    folder.rename(tmp_path / "elsewhere")
    keeping.tick()
    second = filled(keeping, b"three")
    retried(keeping, clock)
    assert keeping.fault is not None
    assert all_of(keeping) == second
    (tmp_path / "elsewhere").rename(folder)
    retried(keeping, clock)
    third = filled(keeping, b"four")
    assert all_of(keeping) == first + second + third
    assert (keeping.fault, keeping.lost) == (None, 0)
    keeping.close()


@pytest.mark.parametrize("mode", [0o500, 0o600, 0o000])
def test_a_folder_that_may_not_be_used(nobody: None, clock: HandClock, mode: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keeping = opened(folder, clock)
        first = filled(keeping, b"one")
        keeping.close()
        folder.chmod(mode)
        keeping = opened(folder, clock)
        second = filled(keeping, b"two")
        assert keeping.fault is not None and name in keeping.fault
        retried(keeping, clock)
        assert keeping.fault is not None
        folder.chmod(0o700)
        retried(keeping, clock)
        assert (keeping.fault, all_of(keeping)) == (None, first + second)
        keeping.close()


@pytest.mark.parametrize("mode", [0o400, 0o000])
def test_a_file_that_may_not_be_used(nobody: None, clock: HandClock, mode: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keeping = opened(folder, clock)
        first = filled(keeping, b"one")
        keeping.close()
        (folder / "spool.db").chmod(mode)
        keeping = opened(folder, clock)
        second = filled(keeping, b"two")
        assert keeping.fault is not None and name in keeping.fault
        (folder / "spool.db").chmod(0o600)
        retried(keeping, clock)
        assert (keeping.fault, all_of(keeping)) == (None, first + second)
        keeping.close()
        assert os.listdir(folder) == ["spool.db"]


def test_a_file_that_may_not_grow(tmp_path: Path, clock: HandClock) -> None:
    """The log takes what the file cannot, but not without end."""
    keeping = opened(tmp_path, clock, mib=4)
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, hard))
    try:
        records = []
        while keeping.fault is None:
            records += filled(keeping, b"%d" % len(records) + bytes(3000))
            assert len(records) < 2000
        size = sum(path.stat().st_size for path in tmp_path.iterdir())
        records += filled(keeping, b"more")
        assert all_of(keeping) == records
        retried(keeping, clock)
        assert keeping.fault is not None
        assert all_of(keeping)[-1] == records[-1]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert size < 1_400_000
    retried(keeping, clock)
    assert (keeping.fault, all_of(keeping), keeping.lost) == (None, records, 0)
    keeping.close()
    again = opened(tmp_path, clock, mib=4)
    assert all_of(again) == records
    again.close()


def test_an_acknowledgement_is_written_down_with_the_next_record_or_after_a_while(
    tmp_path: Path, clock: HandClock
) -> None:
    keeping = opened(tmp_path, clock)
    filled(keeping, b"one", b"two", b"three")
    keeping.tick()
    log = tmp_path / "spool.db-wal"
    before = log.stat().st_mtime_ns
    keeping.acknowledge(keeping.ids()[-1], 2)
    clock.up_s += UNWRITTEN_S - 1
    keeping.tick()
    assert log.stat().st_mtime_ns == before
    clock.up_s += 1
    keeping.tick()
    assert log.stat().st_mtime_ns > before
    survivor = tmp_path / "copy"
    survivor.mkdir()
    for name in ("spool.db", "spool.db-wal"):
        shutil.copy(tmp_path / name, survivor / name)  # what a kill would have left
    again = opened(survivor, clock)
    assert [r.seq for r in all_of(again)] == [3]
    again.close()
    keeping.close()


def test_the_wall_clock_means_nothing(tmp_path: Path, clock: HandClock) -> None:
    keeping = opened(tmp_path, clock, days=1.0)
    filled(keeping, b"one")
    for ahead_s in (-1e9, 4e9, 0.0):
        clock.ahead_s = ahead_s
        clock.up_s += 1.0
        keeping.tick()
        filled(keeping, b"more")
    assert (keeping.waiting, keeping.lost) == (4, 0)
    clock.up_s += 86_401.0
    filled(keeping, b"last")
    assert (keeping.waiting, keeping.lost) == (1, 4)
    keeping.close()


def test_a_lower_limit_shrinks_the_file(tmp_path: Path, clock: HandClock) -> None:
    keeping = opened(tmp_path, clock, mib=8)
    entries = [b"%d" % n + bytes(4000) for n in range(1000)]
    records = [r for n in range(0, 1000, 20) for r in filled(keeping, *entries[n : n + 20])]
    identity = keeping.identity
    keeping.close()
    smaller = opened(tmp_path, clock, mib=2)
    kept = all_of(smaller)
    assert kept == records[-len(kept) :]
    assert smaller.lost == 1000 - len(kept) > 0
    assert (smaller.identity, smaller.fault) == (identity, None)
    smaller.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2 * MIB
    larger = opened(tmp_path, clock, mib=8)
    assert (all_of(larger), larger.lost) == (kept, 1000 - len(kept))
    larger.close()


def test_a_mended_file_stays_a_fault_for_a_while(tmp_path: Path, clock: HandClock) -> None:
    (tmp_path / "spool.db").write_bytes(b"no database" * 1000)
    keeping = opened(tmp_path, clock)
    assert keeping.fault is not None
    assert "damaged" in keeping.fault and "0 records were saved" in keeping.fault
    records = filled(keeping, b"one")
    clock.up_s += TOLD_S
    keeping.tick()
    assert (keeping.fault, all_of(keeping)) == (None, records)
    keeping.close()
    assert sorted(os.listdir(tmp_path)) == ["spool.db", "spool.db.damaged-1"]


def test_another_boot_after_a_kill_has_other_numbers(
    tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping = opened(tmp_path, clock)
    (first,) = filled(keeping, b"one")
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("spool.db", "spool.db-wal"):
        shutil.copy(tmp_path / name, copy / name)
    keeping.close()
    monkeypatch.setattr(agent.keeping, "boot_id", lambda: "another")
    again = opened(copy, clock)
    (second,) = filled(again, b"two")
    assert (second.seq, again.ids()) == (1, [first.spool, second.spool])
    assert again.identity == keeping.identity
    again.close()
