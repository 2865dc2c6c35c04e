"""Memory and its accounting, swap, and the hardware watchdog: what the system around us is like."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from pathlib import Path

from wire.finding import Finding
from wire.version import VERSION

ROOT = Path("/")
LITTLE_KIB = 1 << 20  # with less than a gibibyte, a swap in memory makes the difference
LEAST_KIB = 48 << 10
CGROUPS = "cgroup_enable=memory cgroup_memory=1"
BOOT_LINES = ("boot/firmware/cmdline.txt", "boot/cmdline.txt")  # Raspberry Pi OS
GRUB = "etc/default/grub"
WATCHDOG = "sys/class/watchdog/watchdog0"
USE_WATCHDOG = (
    "sudo mkdir -p /etc/systemd/system.conf.d && "
    "printf '[Manager]\\nRuntimeWatchdogSec=14s\\n' | "
    "sudo tee /etc/systemd/system.conf.d/vedette-watchdog.conf && sudo systemctl daemon-reexec"
)


def look_at_machine(root: Path = ROOT) -> Iterator[Finding]:
    """What it is: nothing to mend."""
    model = text(root / "proc/device-tree/model").replace("\0", "").strip()
    yield Finding(
        "machine", "ok", "",
        (f"{model}, " if model else "")
        + f"{platform.machine()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, Vedette {VERSION}",
    )  # fmt: skip


def look_at_memory(root: Path = ROOT) -> Iterator[Finding]:
    found = dict(re.findall(r"^(\w+):\s+(\d+) kB$", text(root / "proc/meminfo"), re.MULTILINE))
    total, swap = int(found.get("MemTotal", 0)), int(found.get("SwapTotal", 0))
    free = int(found.get("MemAvailable", 0))
    if not total:
        yield Finding("memory", "ok", "", "nobody tells how much there is")
        return
    says = f"{free >> 10} of {total >> 10} MiB are free, {swap >> 10} MiB swap"
    if free + swap < LEAST_KIB:
        mend = "ps aux --sort=-rss | head"
        yield Finding("memory", "bad", "", f"it is nearly used up: {says}: end something", mend)
    elif not swap and total < LITTLE_KIB:
        mend = "sudo apt-get install -y zram-tools"
        yield Finding("memory", "warning", "", f"{says}: little memory, and no swap", mend)
    else:
        yield Finding("memory", "ok", "", says)
    yield _accounting(root)


def _accounting(root: Path) -> Finding:
    """Whether the memory limits of systemd's units count."""
    groups = root / "sys/fs/cgroup"
    if (groups / "cgroup.controllers").exists():
        is_on = "memory" in text(groups / "cgroup.controllers").split()
    else:
        is_on = re.search(r"^memory\t\d+\t\d+\t1$", text(root / "proc/cgroups"), re.M) is not None
    if is_on:
        return Finding("memory", "ok", "accounting", "systemd can limit a service's memory")
    says = "the kernel counts no service's memory (cgroups): limits of units have no effect"
    line = next((f"/{path}" for path in BOOT_LINES if (root / path).exists()), None)
    mend = None
    if line is not None:
        mend = f"sudo sed -i '1s/$/ {CGROUPS}/' {line} && sudo reboot"
    elif (root / GRUB).exists():
        add = f"""'s/^GRUB_CMDLINE_LINUX="/&{CGROUPS} /'"""
        mend = f"sudo sed -i {add} /{GRUB} && sudo update-grub && sudo reboot"
    return Finding("memory", "warning", "accounting", says, mend)


def look_at_watchdog(used_us: int | None, root: Path = ROOT) -> Iterator[Finding]:
    """used_us: for how long systemd may be silent until the watchdog acts (RuntimeWatchdogUSec),
    0: it is not used, None: nobody says."""
    there = (root / WATCHDOG).exists() or (root / "dev/watchdog").exists()
    name = text(root / WATCHDOG / "identity").strip() or "the hardware watchdog"
    if not there:
        yield Finding("watchdog", "ok", "", "this machine has none: a hang of the kernel stays")
    elif used_us is None:
        yield Finding("watchdog", "ok", "", f"{name} is there; nobody tells who uses it")
    elif used_us == 0:
        says = f"{name} is there, and nobody uses it: a hang of the kernel stays"
        yield Finding("watchdog", "warning", "", says, USE_WATCHDOG)
    else:
        yield Finding("watchdog", "ok", "", f"{name} restarts this machine {used_us / 1e6:g} s "
                      "after systemd fell silent")  # fmt: skip


def text(path: Path) -> str:
    """What a file of the kernel says; "" where it cannot be read."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
