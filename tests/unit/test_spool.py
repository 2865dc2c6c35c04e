"""The spool keeps order and numbers, stays within its bounds, and counts exactly what it loses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.spool.change import Limits, Record
from agent.spool.spool import Spool
from wire.troubles import Unavailable

MIB = 1 << 20
DAY_S = 86400.0


class Running:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where there is such a place: an fsync means the same there, and costs nothing."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh folder in it
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        yield Path(name)


@pytest.fixture
def clock() -> Running:
    return Running()


def opened(
    folder: Path,
    clock: Running,
    boot: str = "boot-1",
    most_bytes: int = MIB,
    most_age_s: float = 30 * DAY_S,
) -> Spool:
    limits = Limits(most_bytes, most_age_s)
    return Spool(folder / "spool.db", limits, clock, boot, "identity")


def filled(spool: Spool, *bodies: bytes) -> list[Record]:
    return [record for body in bodies for record in spool.append([("telemetry", body)], {})]


def all_of(spool: Spool) -> list[tuple[int, bytes]]:
    return [(r.seq, r.body) for name in spool.ids() for r in spool.after(name, 0, 100_000)]


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_records_come_back_in_order_after_a_restart(folder: Path, clock: Running) -> None:
    spool = opened(folder, clock)
    records = spool.append([("telemetry", b"one"), ("event", b"two")], {"ledger": b"book"})
    records += spool.append([("telemetry", b"three")], {})
    assert [(r.spool, r.seq, r.kind) for r in records] == [
        (spool.id, 1, "telemetry"), (spool.id, 2, "event"), (spool.id, 3, "telemetry"),
    ]  # fmt: skip
    name = spool.id
    spool.close()
    again = opened(folder, clock, "boot-2")
    assert (again.id, again.identity, again.waiting) == (name, "identity", 3)
    assert again.after(name, 0, 10) == records
    assert again.after(name, 1, 1) == records[1:2]
    assert (again.oldest(name), again.newest(name)) == (1, 3)
    assert again.note("ledger") == b"book"
    assert again.note("other") is None
    assert [r.seq for r in filled(again, b"four")] == [4]
    again.close()


def test_what_was_acknowledged_is_gone_at_once_and_for_good(folder: Path, clock: Running) -> None:
    spool = opened(folder, clock)
    filled(spool, *[b"%d" % n for n in range(1, 11)])
    assert spool.forget(spool.id, 5)
    assert not spool.forget(spool.id, 5)
    assert spool.acknowledge(spool.id, 6) == 5
    assert spool.acknowledge(spool.id, 6) == 0
    assert not spool.forget(spool.id, 6)
    assert spool.forget(spool.id, 8)
    assert spool.unwritten == 7
    for _ in range(2):
        assert [seq for seq, _ in all_of(spool)] == [7, 9, 10]
        assert (spool.waiting, spool.lost, spool.oldest(spool.id)) == (3, 0, 7)
        spool.tidy()
    assert spool.unwritten == 0
    spool.acknowledge(spool.id, 99)  # more than was ever given
    assert (spool.waiting, spool.oldest(spool.id), spool.newest(spool.id)) == (0, 11, 10)
    spool.close()
    again = opened(folder, clock)
    assert [r.seq for r in filled(again, b"next")] == [11]
    again.close()


def test_an_unknown_id_has_nothing(folder: Path, clock: Running) -> None:
    spool = opened(folder, clock)
    filled(spool, b"one")
    assert spool.newest("other") == 0
    assert spool.oldest("other") == 1
    assert spool.after("other", 0, 10) == []
    assert spool.acknowledge("other", 10) == 0
    assert not spool.forget("other", 1)
    spool.discard("other", 1)
    assert (spool.waiting, spool.lost) == (1, 0)
    spool.close()


def test_a_record_that_is_given_up_is_lost_once(folder: Path, clock: Running) -> None:
    spool = opened(folder, clock)
    filled(spool, b"one", b"two")
    spool.discard(spool.id, 1)
    spool.discard(spool.id, 1)
    assert (spool.waiting, spool.lost) == (1, 1)
    spool.close()
    again = opened(folder, clock)
    assert (again.waiting, again.lost) == (1, 1)
    again.close()


def test_an_append_is_whole_or_not_at_all(folder: Path, clock: Running) -> None:
    spool = opened(folder, clock)
    spool.append([("telemetry", b"one")], {"ledger": b"1"})
    wrong: dict[str, bytes] = {"ledger": b"2", "bad": "text"}  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        spool.append([("telemetry", b"two"), ("event", b"three")], wrong)
    assert all_of(spool) == [(1, b"one")]
    assert spool.note("ledger") == b"1"
    assert [r.seq for r in filled(spool, b"two")] == [2]
    spool.close()


def test_killed_in_the_same_boot_goes_on_under_the_same_id(folder: Path, clock: Running) -> None:
    spool = opened(folder, clock)
    filled(spool, b"one")
    name = spool.id
    spool.abandon()
    again = opened(folder, clock)
    assert [(r.spool, r.seq) for r in filled(again, b"two")] == [(name, 2)]
    again.close()


def test_after_a_power_cut_numbers_begin_anew_under_a_new_id(folder: Path, clock: Running) -> None:
    spool = opened(folder, clock)
    filled(spool, b"one", b"two")
    name = spool.id
    spool.abandon()
    again = opened(folder, clock, "boot-2")
    (third,) = filled(again, b"three")
    assert third.spool != name and third.seq == 1
    assert third.spool.startswith(again.identity)
    assert again.ids() == [name, third.spool]
    assert [r.body for r in again.after(name, 0, 10)] == [b"one", b"two"]
    assert (again.newest(name), again.newest(third.spool)) == (2, 1)
    again.acknowledge(name, 2)
    again.tidy()
    assert again.ids() == [third.spool]  # nothing waits under the old one
    again.close()


def test_power_cuts_without_records_make_no_ids(folder: Path, clock: Running) -> None:
    names = set()
    for boot in range(5):
        spool = opened(folder, clock, f"boot-{boot}")
        spool.tidy()
        names.add(spool.id)
        assert spool.ids() == [spool.id]
        spool.abandon()
    assert len(names) == 1


def test_the_word_that_a_file_is_open_is_not_in_the_log_alone(folder: Path, clock: Running) -> None:
    """A disk that forgets the log must not make numbers be given twice."""
    spool = opened(folder, clock)
    filled(spool, b"one")
    spool.close()
    spool = opened(folder, clock, "boot-2")
    given = filled(spool, b"two")
    left = folder / "left"
    left.mkdir()
    shutil.copy(folder / "spool.db", left)  # and not the log
    spool.close()
    again = opened(left, clock, "boot-3")
    assert again.newest(again.id) == 1  # so much is forgotten
    given += filled(again, b"three")
    assert len({(r.spool, r.seq) for r in given}) == 2
    again.close()


@pytest.mark.parametrize("size", [40, 700, 5000, 48_000])
@pytest.mark.parametrize("mib", [1, 3])
def test_the_oldest_go_when_there_is_no_room(
    folder: Path, clock: Running, size: int, mib: int
) -> None:
    spool = opened(folder, clock, most_bytes=mib * MIB)
    count = min(3 * mib * MIB // size, 4000)
    largest, batch = 0, 20 if size < 2000 else 1
    entries = [b"%d" % n + b"." * size for n in range(count // batch * batch)]
    for first in range(0, len(entries), batch):
        part = entries[first : first + batch]
        spool.append([("telemetry", body) for body in part], {"ledger": b"n" * 3000})
        largest = max(largest, bytes_of(folder))
    assert largest <= mib * MIB
    kept = all_of(spool)
    assert [body for _, body in kept] == entries[len(entries) - len(kept) :]
    assert spool.lost == len(entries) - len(kept)
    assert spool.waiting == len(kept)
    if spool.lost:
        assert sum(len(body) for _, body in kept) > 0.5 * mib * MIB
    spool.close()
    again = opened(folder, clock, most_bytes=mib * MIB)
    assert (again.lost, again.waiting) == (len(entries) - len(kept), len(kept))
    again.close()


def test_a_record_that_is_too_large_is_lost_alone(folder: Path, clock: Running) -> None:
    spool = opened(folder, clock)
    kept = spool.append(
        [("telemetry", b"one"), ("telemetry", bytes(MIB)), ("telemetry", b"three")], {}
    )
    assert [r.seq for r in kept] == [1, 3]
    assert (spool.lost, spool.waiting, spool.newest(spool.id)) == (1, 2, 3)
    assert [r.seq for r in filled(spool, b"four")] == [4]
    spool.close()


def test_room_that_was_acknowledged_is_used_again(folder: Path, clock: Running) -> None:
    spool = opened(folder, clock)
    for _ in range(2000):
        (record,) = filled(spool, bytes(5000))
        spool.acknowledge(spool.id, record.seq)
    assert spool.lost == 0
    assert bytes_of(folder) < 300_000
    spool.close()


@pytest.mark.parametrize("size", [40, 2200, 4000, 4100, 30_000])
@pytest.mark.parametrize("mib", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_much_that_goes_at_once_fits_too(folder: Path, clock: Running, size: int, mib: int) -> None:
    """Every freed page may pass through the log."""
    spool = opened(folder, clock, most_bytes=mib * MIB)
    batch = max(1, 20_000 // size)
    while spool.lost == 0 and spool.waiting < 20_000:
        spool.append([("telemetry", bytes(size))] * batch, {})
    waiting, newest = spool.waiting, spool.newest(spool.id)
    for seq in range(newest - waiting // 2, newest + 1, 2):
        assert spool.forget(spool.id, seq)
    spool.discard(spool.id, newest - 1)
    lost = spool.lost
    for last in (newest - waiting // 3, newest):
        spool.acknowledge(spool.id, last)
        spool.append([("event", bytes(30_000))], {})
        assert bytes_of(folder) <= mib * MIB
    assert (spool.waiting, spool.lost, len(all_of(spool))) == (2, lost, 2)
    spool.close()


def test_much_that_expires_at_once_fits_too(folder: Path, clock: Running) -> None:
    spool = opened(folder, clock, most_bytes=8 * MIB, most_age_s=100.0)
    for _ in range(150):
        spool.append([("telemetry", bytes(4000))] * 10, {})
    clock.now_s += 101.0
    for _ in range(100):
        spool.append([("event", b"fresh")], {})
        assert bytes_of(folder) <= 8 * MIB
    assert (spool.waiting, spool.lost) == (100, 1500)
    spool.close()


def test_age_is_running_time(folder: Path, clock: Running) -> None:
    spool = opened(folder, clock, most_age_s=100.0)
    filled(spool, b"old")
    clock.now_s += 60.0
    spool.close()  # a clock that starts at another moment, as after a reboot
    clock.now_s = 1e9
    spool = opened(folder, clock, most_age_s=100.0)
    filled(spool, b"new")
    assert (spool.waiting, spool.lost) == (2, 0)
    clock.now_s += 50.0
    spool.tidy()
    assert all_of(spool) == [(2, b"new")]
    assert spool.lost == 1
    clock.now_s -= 1000.0  # it never should
    spool.tidy()
    assert (spool.waiting, spool.lost) == (1, 1)
    spool.close()


def test_what_was_acknowledged_does_not_expire(folder: Path, clock: Running) -> None:
    spool = opened(folder, clock, most_age_s=100.0)
    filled(spool, b"old")
    spool.acknowledge(spool.id, 1)
    clock.now_s += 1000.0
    spool.tidy()
    assert spool.lost == 0
    spool.close()


def test_foreign_records_keep_their_numbers_and_come_before_what_follows(
    folder: Path, clock: Running
) -> None:
    memory = Spool(None, Limits(MIB, DAY_S), clock, "boot-1", "identity")
    foreign = filled(memory, b"a", b"b", b"c")
    memory.abandon()
    spool = opened(folder, clock)
    own = filled(spool, b"one")
    spool.adopt(foreign[:2], 3)
    spool.adopt(foreign[2:], 3)
    later = filled(spool, b"two")
    assert len({own[0].spool, foreign[0].spool, later[0].spool}) == 3
    assert spool.ids() == [own[0].spool, foreign[0].spool, later[0].spool]
    assert spool.after(foreign[0].spool, 0, 10) == foreign
    assert (spool.newest(foreign[0].spool), spool.waiting) == (3, 5)
    spool.take_over(7, {"ledger": b"book"})
    assert (spool.lost, spool.note("ledger")) == (7, b"book")
    spool.close()


def test_no_second_process_gets_in(folder: Path, clock: Running) -> None:
    spool = opened(folder, clock)
    filled(spool, b"one")
    with pytest.raises(Unavailable, match="another process"):
        opened(folder, clock)
    spool.close()


def test_closed_in_order_it_is_one_file(folder: Path, clock: Running) -> None:
    spool = opened(folder, clock)
    filled(spool, b"one")
    spool.close()
    assert os.listdir(folder) == ["spool.db"]


def test_every_append_is_synced(folder: Path, clock: Running) -> None:
    """That nothing is said to be kept before the disk has it can be seen at the system calls."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    code = (
        "import sys; from pathlib import Path; from agent.spool.spool import Spool;"
        "from agent.spool.change import Limits;"
        "spool = Spool(Path(sys.argv[1]), Limits(1 << 20, 1e6), lambda: 0.0, 'boot', 'identity');"
        "spool.tidy(); print('begin', flush=True);"
        "[(spool.append([('event', b'x')], {}), print('kept', flush=True)) for _ in range(5)]"
    )
    told = subprocess.run(
        [strace, "-e", "trace=fsync,fdatasync,write", sys.executable, "-c", code,
         str(folder / "spool.db")],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if "ptrace" in told.stderr and told.returncode:
        pytest.skip("may not trace")
    _, _, calls = told.stderr.partition('"begin')
    parts = calls.split('"kept')[:5]
    assert len(parts) == 5
    assert all("sync(" in part for part in parts), told.stderr
