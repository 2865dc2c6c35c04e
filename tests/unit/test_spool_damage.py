"""A damaged spool file never gives a wrong record, never a number twice, and is begun anew."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import agent.keeping
from agent.keeping import Keeping
from agent.spool.change import Record
from tests.unit.test_keeping import HandClock, all_of, filled, opened

COUNT = 120
Damage = Callable[[Path, random.Random], None]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Record]]:
    """A folder as a kill leaves it: file and log."""
    folder = tmp_path_factory.mktemp("healthy")
    keeping = opened(folder, HandClock())
    records = []
    for n in range(COUNT):
        body = b"%d" % n + b"." * (n % 7 * 900)
        records += keeping.append([("telemetry", body)], {"ledger": b"book %d" % n})
    copy = tmp_path_factory.mktemp("killed")
    for name in ("spool.db", "spool.db-wal"):
        shutil.copy(folder / name, copy / name)
    keeping.close()
    return copy, records


def flipped(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 3, 50))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def cut_short(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size))


def zeroed(path: Path, chance: random.Random) -> None:
    """A page of zeros, as a flash card gives for a block that it lost."""
    page = chance.randrange(path.stat().st_size // 4096)
    with open(path, "r+b") as file:
        file.seek(page * 4096)
        file.write(bytes(4096))


def swapped(path: Path, chance: random.Random) -> None:
    """One page in the place of another."""
    pages = path.stat().st_size // 4096
    content = path.read_bytes()
    one, other = chance.randrange(pages), chance.randrange(pages)
    with open(path, "r+b") as file:
        file.seek(one * 4096)
        file.write(content[other * 4096 :][:4096])


def garbage(path: Path, chance: random.Random) -> None:
    path.write_bytes(chance.randbytes(chance.randrange(1, 100_000)))


def look_at(keeping: Keeping, records: list[Record], is_log: bool) -> None:
    """Everything that must hold after any damage. A log that is cut off cannot know what it had:
    its numbers must not be given again all the same."""
    said = keeping.fault or ""
    originals = {(r.spool, r.seq): r for r in records}
    kept = all_of(keeping)
    for record in kept:
        assert originals[record.spool, record.seq] == record
    assert [(r.spool, r.seq) for r in kept] == sorted((r.spool, r.seq) for r in kept)
    assert keeping.waiting == len(kept)
    if not is_log and "nobody knows" not in said:
        assert keeping.lost + len(kept) == len(records)
    fresh = filled(keeping, b"fresh", b"air")
    assert len(fresh) == 2
    assert not {(r.spool, r.seq) for r in fresh} & set(originals)
    assert all_of(keeping) == kept + fresh


@pytest.mark.parametrize("damage", [flipped, cut_short, zeroed, swapped, garbage])
@pytest.mark.parametrize("name", ["spool.db", "spool.db-wal"])
def test_damage_at_rest(
    healthy: tuple[Path, list[Record]],
    tmp_path: Path,
    name: str,
    damage: Damage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was the power that went: a log that rots in one boot, under a running kernel, does not
    belong to what is promised."""
    monkeypatch.setattr(agent.keeping, "boot_id", lambda: "another")
    source, records = healthy
    for seed in range(12):
        folder = tmp_path / f"{seed}"
        shutil.copytree(source, folder)
        damage(folder / name, random.Random(seed))
        keeping = opened(folder, HandClock())
        try:
            look_at(keeping, records, name.endswith("-wal"))
        finally:
            keeping.close()
        again = opened(folder, HandClock())
        assert "damaged" not in (again.fault or "")
        assert all_of(again)[-1].body == b"air"
        again.close()


def test_a_folder_in_the_file_s_place(tmp_path: Path) -> None:
    (tmp_path / "spool.db").mkdir()
    (tmp_path / "spool.db" / "content").write_bytes(b"x")
    keeping = opened(tmp_path, HandClock())
    assert keeping.fault is not None and "it is a folder" in keeping.fault
    assert [r.seq for r in filled(keeping, b"one")] == [1]
    keeping.close()
    assert (tmp_path / "spool.db.damaged-1" / "content").exists()


def test_only_so_many_damaged_files_are_kept(tmp_path: Path) -> None:
    for n in range(5):
        (tmp_path / "spool.db").write_bytes(b"garbage %d" % n * 1000)
        opened(tmp_path, HandClock()).close()
    assert sorted(os.listdir(tmp_path)) == [
        "spool.db", "spool.db.damaged-1", "spool.db.damaged-2",
    ]  # fmt: skip
    assert (tmp_path / "spool.db.damaged-1").read_bytes().startswith(b"garbage 4")
    assert (tmp_path / "spool.db.damaged-2").read_bytes().startswith(b"garbage 3")


def test_identity_and_losses_outlive_damage(
    healthy: tuple[Path, list[Record]], tmp_path: Path
) -> None:
    """Damage in the middle of the records: the rest is saved, and what is missing is counted."""
    source, _ = healthy
    folder = tmp_path / "state"
    shutil.copytree(source, folder)
    keeping = opened(folder, HandClock())
    identity = keeping.identity
    keeping.close()
    with open(folder / "spool.db", "r+b") as file:
        for page in (20, 21, 30):
            file.seek(page * 4096)
            file.write(b"\xff" * 4096)
    keeping = opened(folder, HandClock())
    kept = all_of(keeping)
    assert 0 < len(kept) < COUNT
    assert keeping.identity == identity
    assert keeping.lost == COUNT - len(kept)
    assert keeping.fault is not None and f"{len(kept)} records were saved" in keeping.fault
    assert keeping.note("ledger") == b"book %d" % (COUNT - 1)
    keeping.close()


@pytest.mark.slow
def test_damage_under_a_running_agent(tmp_path: Path) -> None:
    """The file rots while it is open, and more of it than the cache holds must be read again."""
    keeping, clock = opened(tmp_path, HandClock(), mib=8), HandClock()
    records = [filled(keeping, b"%d" % n + bytes(8000))[0] for n in range(400)]
    name = records[0].spool
    path = tmp_path / "spool.db"
    with open(path, "r+b") as file:
        for page in range(1, path.stat().st_size // 4096, 9):
            file.seek(page * 4096)
            file.write(os.urandom(4096))
    seen = [r for start in range(0, 400, 40) for r in keeping.after(name, start, 40)]
    originals = {(r.spool, r.seq): r for r in records}
    assert all(originals[r.spool, r.seq] == r for r in seen)
    fresh = [filled(keeping, b"fresh")[0] for _ in range(300)]
    assert not {(r.spool, r.seq) for r in fresh} & set(originals)
    kept = all_of(keeping)
    assert keeping.fault is not None and "damaged" in keeping.fault
    assert kept[-len(fresh) :] == fresh
    assert keeping.lost + keeping.waiting == len(records) + len(fresh)
    clock.up_s += 100.0
    keeping.close()


def test_one_rotten_record_is_lost_alone(tmp_path: Path) -> None:
    keeping = opened(tmp_path, HandClock())
    records = [filled(keeping, b"record %d." % n * 100)[0] for n in range(20)]
    keeping.close()
    path = tmp_path / "spool.db"
    path.write_bytes(path.read_bytes().replace(b"record 7.", b"rekord 7.", 1))
    keeping = opened(tmp_path, HandClock())
    assert all_of(keeping) == records[:7] + records[8:]
    assert (keeping.waiting, keeping.lost, keeping.fault) == (19, 1, None)
    keeping.close()


def test_a_crash_between_the_old_file_and_the_new_one_is_finished(tmp_path: Path) -> None:
    keeping = opened(tmp_path, HandClock())
    records = filled(keeping, b"one", b"two")
    keeping.close()
    (tmp_path / "spool.db").rename(tmp_path / "spool.db.new")  # the old one was already put aside
    keeping = opened(tmp_path, HandClock())
    assert all_of(keeping) == records
    keeping.close()
    assert os.listdir(tmp_path) == ["spool.db"]


def test_records_that_the_books_do_not_know(tmp_path: Path) -> None:
    """Books older than the records would give their numbers again."""
    keeping = opened(tmp_path, HandClock())
    records = filled(keeping, b"one", b"two")
    keeping.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "spool.db")) as db:
        db.execute("INSERT INTO record SELECT key + 1, kind, at_s, crc, body FROM record WHERE key"
                   " = (SELECT max(key) FROM record)")  # fmt: skip
        db.commit()
    keeping = opened(tmp_path, HandClock())
    assert keeping.fault is not None and "its books do not know" in keeping.fault
    assert all_of(keeping) == records
    keeping.close()
