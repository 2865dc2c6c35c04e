"""Which boot of the machine this is."""

from __future__ import annotations

from pathlib import Path


def boot_id() -> str:
    """A random name for this boot of the machine, from the kernel. Raises OSError without one."""
    text = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
    return text.strip().replace("-", "")
