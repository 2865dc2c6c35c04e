"""Any Linux machine: psutil for what /proc tells, the sensors of /sys, two system calls."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from agent.boards.sensors import clocks_mhz, temperatures_c
from agent.boards.sysfs import text
from agent.clock_state import clock_synchronised
from wire.health import Disk, Health, Memory, Traffic

if TYPE_CHECKING:
    import psutil

MOST_INTERFACES = 16  # a host of containers has hundreds, with new names every day
LONGEST_NAME = 64  # characters; the kernel allows 15
LARGEST = 2**62  # of a counter; what is beyond is garbage
HIGHEST_LOAD = 1e6

Got = TypeVar("Got")


class CoreTimes:
    """Busy and total seconds of one core since boot."""

    def __init__(self, times: psutil._ntuples.scputimes) -> None:
        # guests are in user and nice already
        idle = times.idle + times.iowait
        self.busy: float = (
            times.user + times.nice + times.system + times.irq + times.softirq + times.steal
        )
        self.total: float = self.busy + idle


class Generic:
    """The board that has nothing special. psutil is loaded here, and only here."""

    def __init__(self, name: str, root: Path, state_folder: Path) -> None:
        import psutil

        self.name = name
        self._psutil = psutil
        self._root = root
        self._state_folder = state_folder
        self._process = psutil.Process()
        self._cores = self._ask(self._core_times)

    def read(self) -> Health:
        return Health(
            cpu_percent=self._cpu_percent(),
            load=_load(self._root),
            memory=self._ask(self._memory),
            process_rss=self._ask(lambda: {"agent": int(self._process.memory_info().rss)}),
            disk=self._ask(self._disk),
            temperatures_c=temperatures_c(self._root),
            clocks_mhz=clocks_mhz(self._root),
            network=self._ask(self._network),
            uptime_s=time.clock_gettime(time.CLOCK_BOOTTIME),
            clock_synchronised=clock_synchronised(self._root),
        )

    def _ask(self, read: Callable[[], Got]) -> Got | None:
        """What psutil says. It raises whatever the text of a file makes it raise, and warns when it
        puts 0 for what it did not find, which we do not take."""
        before = self._psutil.PROCFS_PATH
        self._psutil.PROCFS_PATH = str(self._root / "proc")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                return read()
        except Exception:
            return None
        finally:
            self._psutil.PROCFS_PATH = before

    def _cpu_percent(self) -> tuple[float, ...] | None:
        before, now = self._cores, self._ask(self._core_times)
        self._cores = now
        # cores come and go with a Jetson's power modes, and one knows no longer which is which
        if not before or not now or len(before) != len(now):
            return None
        shares = [_share(*pair) for pair in zip(before, now, strict=True)]
        known = tuple(share for share in shares if share is not None)
        return known if len(known) == len(shares) else None

    def _core_times(self) -> list[CoreTimes]:
        return [CoreTimes(times) for times in self._psutil.cpu_times(percpu=True)]

    def _memory(self) -> Memory | None:
        memory = self._psutil.virtual_memory()
        total, available = int(memory.total), int(memory.available)
        if not 0 <= available <= total <= LARGEST or total == 0:
            return None
        swap = self._ask(self._psutil.swap_memory)
        if swap is None or not 0 <= swap.used <= swap.total <= LARGEST:
            return Memory(total, available)
        return Memory(total, available, int(swap.total), int(swap.used))

    def _disk(self) -> Disk:
        usage = self._psutil.disk_usage(str(self._state_folder))
        return Disk(int(usage.total), int(usage.free))

    def _network(self) -> dict[str, Traffic] | None:
        counters = self._psutil.net_io_counters(pernic=True, nowrap=False)
        found = {}
        for name in sorted(counters):
            one = counters[name]
            traffic = Traffic(
                int(one.bytes_recv),
                int(one.bytes_sent),
                int(one.errin) + int(one.errout),
                int(one.dropin) + int(one.dropout),
            )
            if (
                len(name) <= LONGEST_NAME
                and name.isprintable()
                and self._is_outward(name)
                and _is_sane(traffic)
            ):
                found[name] = traffic
        return dict(list(found.items())[:MOST_INTERFACES]) or None

    def _is_outward(self, name: str) -> bool:
        """Not loopback, and no port of a bridge that a container is plugged into."""
        folder = self._root / "sys/class/net" / name
        return name != "lo" and not ((folder / "master").exists() and not _is_device(folder))


def _is_device(folder: Path) -> bool:
    return (folder / "device").exists()


def _is_sane(traffic: Traffic) -> bool:
    counts = (traffic.received_bytes, traffic.sent_bytes, traffic.errors, traffic.dropped)
    return all(0 <= count <= LARGEST for count in counts)


def _share(before: CoreTimes, now: CoreTimes) -> float | None:
    """Per cent of the time between. None: no time went by."""
    total = now.total - before.total
    if total <= 0:
        return None
    # idle time may be taken back by the kernel, by a little
    return round(min(max((now.busy - before.busy) / total * 100, 0.0), 100.0), 1)


def _load(root: Path) -> tuple[float, float, float] | None:
    words: Sequence[str] = (text(root / "proc/loadavg") or "").split()[:3]
    try:
        loads = tuple(float(word) for word in words)
    except ValueError:
        return None
    if len(loads) != 3 or not all(0 <= load <= HIGHEST_LOAD for load in loads):
        return None
    return loads
