"""Which processes have a device open, and whose services they are: as far as /proc shows it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNIT = re.compile(r"/([^/]+\.service)(?:/|$)", re.MULTILINE)
OURS = re.compile(r"vedette\S*\0(?:\S*\0)*?runtime\0([^\0]+)\0")


@dataclass(frozen=True)
class Holder:
    """unit: systemd's, None if it belongs to none. pipeline: which of our runtimes it is."""

    pid: int
    name: str
    unit: str | None
    pipeline: str | None

    @property
    def mend(self) -> str:
        return f"sudo kill {self.pid}" if self.unit is None else f"sudo systemctl stop {self.unit}"


def holders(device: str) -> list[Holder]:
    """Processes that have the file open. Those of others show only to root. Not ourselves."""
    wanted = os.path.realpath(device)
    others = (pid for pid in _pids() if pid != os.getpid())
    return [_who(pid) for pid in others if wanted in _open_files(pid)]


def _pids() -> Iterator[int]:
    yield from sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def _open_files(pid: int) -> Iterator[str]:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for name in names:
        with contextlib.suppress(OSError):
            yield os.readlink(f"/proc/{pid}/fd/{name}")


def _who(pid: int) -> Holder:
    line = _text(pid, "cmdline")
    ours = OURS.search(line)
    units = UNIT.findall(_text(pid, "cgroup"))
    name = _text(pid, "comm").strip() or "a process"
    return Holder(pid, name, units[-1] if units else None, ours[1] if ours else None)


def _text(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text("utf-8", "replace")
    except OSError:
        return ""
