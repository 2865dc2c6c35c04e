"""What a suite was measured on."""

from __future__ import annotations

import os
import platform
import re
from datetime import datetime, timezone
from pathlib import Path

from runtime.doctor.machine import text
from runtime.suite import Machine
from wire.version import VERSION

ROOT = Path("/")


def this_machine(root: Path = ROOT) -> Machine:
    """The board by its own name, else the processor's; the load of the last minute."""
    board = text(root / "proc/device-tree/model").replace("\0", "").strip()
    names = re.findall(r"^model name\s*:\s*(.+)$", text(root / "proc/cpuinfo"), re.MULTILINE)
    return Machine(
        board or (names[0] if names else platform.machine()),
        len(os.sched_getaffinity(0)),
        f"{platform.system()} {platform.release()}",
        platform.python_version(),
        VERSION,
        datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        os.getloadavg()[0],
    )
