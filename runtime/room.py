"""How much memory is left for another model: of the machine, and of the service's own limit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

RESERVE_BYTES = 24 << 20  # for frames and results meanwhile
MEMINFO = Path("/proc/meminfo")
OWN_GROUPS = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")


def available_bytes(
    meminfo: Path = MEMINFO, own_groups: Path = OWN_GROUPS, groups: Path = GROUPS
) -> int | None:
    """What can be taken without swapping and without being ended; None if nobody says."""
    rooms = [*_of_machine(meminfo), *_of_groups(own_groups, groups)]
    return min(rooms, default=None)


def fits(needed_bytes: int, available: int | None) -> bool:
    """Whether a model can be loaded beside the one that runs."""
    return available is None or needed_bytes + RESERVE_BYTES <= available


def _of_machine(meminfo: Path) -> Iterator[int]:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in meminfo.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) * 1024


def _of_groups(own_groups: Path, groups: Path) -> Iterator[int]:
    """The room below each limit that holds for this process: control groups of both versions."""
    with contextlib.suppress(OSError):
        for line in own_groups.read_text(encoding="utf-8", errors="replace").splitlines():
            _, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            if controllers == "":
                for root in (groups, groups / "unified"):
                    yield from _upwards(root, path, "memory.max", "memory.current", "")
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
                yield from _upwards(groups / "memory", path, *names)


def _upwards(root: Path, path: str, limit: str, usage: str, prefix: str) -> Iterator[int]:
    """Of a group and of all that it is in."""
    folder = root / path.strip("/")
    while True:
        with contextlib.suppress(OSError, ValueError):  # "max": no limit
            most = int((folder / limit).read_text())
            used = int((folder / usage).read_text())
            yield most - used + _file_cache(folder, prefix)
        if folder in (root, folder.parent):
            return
        folder = folder.parent


def _file_cache(folder: Path, prefix: str) -> int:
    """Bytes that count as used and are given back as soon as somebody wants them."""
    names = (f"{prefix}inactive_file", f"{prefix}active_file")
    pairs = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
    return sum(int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] in names)
