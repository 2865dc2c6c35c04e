"""What a process holds of the machine's memory, and how busy the machine is."""

from __future__ import annotations

import os
import re
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
STAT = Path("/proc/stat")
ROLLUP, STATUS = Path("/proc/self/smaps_rollup"), Path("/proc/self/status")
SHARED_OUT = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
RESIDENT = re.compile(r"^VmRSS:\s+(\d+) kB", re.MULTILINE)


def memory_bytes(rollup: Path = ROLLUP, status: Path = STATUS) -> int | None:
    """Of this process: pages that several share are shared out among them (PSS), so that what
    several pipelines hold adds up. Where the kernel does not tell that: all that is resident; None
    where neither is known."""
    for path, pattern in ((rollup, SHARED_OUT), (status, RESIDENT)):
        try:
            found = pattern.search(path.read_text(encoding="ascii", errors="replace"))
        except OSError:
            continue
        if found:
            return int(found[1]) * 1024
    return None


def busy_s(stat: Path = STAT) -> float | None:
    """Processor time that everybody has had since the machine started, in seconds: user, nice,
    system, interrupts, and what a hypervisor took for others. None where it is not told."""
    try:
        words = stat.read_text(encoding="ascii", errors="replace").split(None, 9)
    except OSError:
        return None
    if len(words) < 9 or words[0] != "cpu":
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, words[1:9])
    return (user + nice + system + irq + softirq + steal) * TICK_S
