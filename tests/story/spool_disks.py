"""What the spool does on a disk that is full or read-only: a real one, mounted by who starts this.

Needs a mount namespace of its own: `unshare --user --map-root-user --mount`. Exit code 0: all is as
it should be.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from agent.keeping import RETRY_S, Keeping
from agent.spool.change import Record
from wire.config import TelemetryTable


@dataclass
class HandClock:
    up_s: float = 1000.0

    def uptime_s(self) -> float:
        return self.up_s

    def wall_s(self) -> float:
        return self.up_s


def mount(folder: Path, *options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "none", str(folder)]
    subprocess.run(command, check=True)


def opened(folder: Path, clock: HandClock) -> Keeping:
    return Keeping(folder, TelemetryTable(spool_mib=4), clock)


def filled(keeping: Keeping, count: int, name: str) -> list[Record]:
    bodies = [f"{name} {n} ".encode() + b"." * 2000 for n in range(count)]
    return [
        r for body in bodies for r in keeping.append([("telemetry", body)], {"ledger": body[:20]})
    ]


def all_of(keeping: Keeping) -> list[Record]:
    return [r for name in keeping.ids() for r in keeping.after(name, 0, 100_000)]


def retried(keeping: Keeping, clock: HandClock) -> None:
    clock.up_s += RETRY_S
    keeping.tick()


def fill_disk(folder: Path) -> Path:
    """Everything that is left, to the last byte."""
    ballast = folder / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


def full(folder: Path) -> None:
    mount(folder, "size=2m")
    clock = HandClock()
    keeping = opened(folder, clock)
    first = filled(keeping, 20, "first")
    ballast = fill_disk(folder)
    # the log has some room left that it may write again; then there is none
    second: list[Record] = []
    while keeping.fault is None:
        second += filled(keeping, 1, "second")
        assert len(second) < 1000
    assert "the disk is full: make room" in keeping.fault
    second += filled(keeping, 30, "more")
    assert all_of(keeping) == first + second
    assert (keeping.waiting, keeping.lost) == (20 + len(second), 0)
    assert keeping.note("ledger") == second[-1].body[:20]
    keeping.acknowledge(first[0].spool, 10)  # what lies on a full disk can still be sent
    keeping.forget(second[-1].spool, second[-1].seq)
    left = first[10:] + second[:-1]
    assert all_of(keeping) == left
    for _ in range(3):
        retried(keeping, clock)
        assert keeping.fault is not None
        assert all_of(keeping) == left
    ballast.unlink()
    retried(keeping, clock)
    assert keeping.fault is None
    third = filled(keeping, 3, "third")
    assert all_of(keeping) == left + third
    keeping.close()
    again = opened(folder, clock)
    assert (all_of(again), again.lost, again.fault) == (left + third, 0, None)
    again.close()


def full_at_the_start(folder: Path) -> None:
    mount(folder, "size=2m")
    clock = HandClock()
    keeping = opened(folder, clock)
    first = filled(keeping, 5, "first")
    identity = keeping.identity
    keeping.close()
    ballast = fill_disk(folder)
    keeping = opened(folder, clock)
    assert keeping.fault is not None and "full" in keeping.fault
    assert (keeping.identity, all_of(keeping)) == (identity, first)
    second = filled(keeping, 5, "second")
    ballast.unlink()
    retried(keeping, clock)
    assert (keeping.fault, all_of(keeping)) == (None, first + second)
    keeping.close()


def full_and_empty(folder: Path) -> None:
    """There is not even room to make the file."""
    mount(folder, "size=64k")
    clock = HandClock()
    ballast = fill_disk(folder)
    keeping = opened(folder, clock)
    records = filled(keeping, 5, "first")
    assert keeping.fault is not None
    retried(keeping, clock)
    assert all_of(keeping) == records
    ballast.unlink()
    retried(keeping, clock)
    assert (keeping.fault, all_of(keeping), keeping.lost) == (None, records, 0)
    keeping.close()


def full_in_the_midst_of_the_way_back(folder: Path) -> None:
    """There is room for some of what is in memory, later for all."""
    mount(folder, "size=2m")
    clock = HandClock()
    keeping = opened(folder, clock)
    first = filled(keeping, 5, "first")
    ballast = fill_disk(folder)
    second: list[Record] = []
    while keeping.fault is None:
        second += filled(keeping, 1, "second")
    second += filled(keeping, 300, "more")
    size = ballast.stat().st_size
    for part in (0.8, 0.7):
        with open(ballast, "r+b") as file:
            file.truncate(int(size * part))
        retried(keeping, clock)
        assert keeping.fault is not None
        second += filled(keeping, 3, "later")
        assert all_of(keeping) == first + second
        assert keeping.waiting == len(first + second)
    ballast.unlink()
    retried(keeping, clock)
    assert (keeping.fault, all_of(keeping), keeping.lost) == (None, first + second, 0)
    keeping.close()
    again = opened(folder, clock)
    assert (all_of(again), again.waiting) == (first + second, len(first + second))
    again.close()


def read_only(folder: Path) -> None:
    """As the kernel does with a card that fails. A later start finds it like this."""
    mount(folder, "size=2m")
    clock = HandClock()
    keeping = opened(folder, clock)
    first = filled(keeping, 5, "first")
    keeping.close()
    mount(folder, "remount", "ro")
    keeping = opened(folder, clock)
    assert keeping.fault is not None
    second = filled(keeping, 5, "second")
    assert second == all_of(keeping)[-5:]
    retried(keeping, clock)
    assert keeping.fault is not None
    mount(folder, "remount", "rw")
    retried(keeping, clock)
    assert (keeping.fault, all_of(keeping), keeping.lost) == (None, first + second, 0)
    keeping.close()


def damaged_and_full(folder: Path) -> None:
    """There is no room to make the file anew: it stays where it is until there is."""
    mount(folder, "size=2m")
    clock = HandClock()
    keeping = opened(folder, clock)
    first = filled(keeping, 200, "first")
    keeping.close()
    with open(folder / "spool.db", "r+b") as file:
        file.seek(40 * 4096)
        file.write(b"\xff" * 4096)
    ballast = fill_disk(folder)
    keeping = opened(folder, clock)
    assert keeping.fault is not None and "full" in keeping.fault
    second = filled(keeping, 5, "second")
    assert not (folder / "spool.db.damaged-1").exists()
    ballast.unlink()
    retried(keeping, clock)
    kept = all_of(keeping)
    assert kept[-5:] == second
    assert 0 < keeping.lost < 10 and keeping.lost + len(kept) == 205
    assert [r for r in first if r in kept] == kept[:-5]
    assert keeping.fault is not None and "damaged" in keeping.fault
    assert (folder / "spool.db.damaged-1").exists()
    keeping.close()


STORIES = (
    full,
    full_at_the_start,
    full_and_empty,
    full_in_the_midst_of_the_way_back,
    read_only,
    damaged_and_full,
)

if __name__ == "__main__":
    {story.__name__: story for story in STORIES}[sys.argv[1]](Path(sys.argv[2]))
