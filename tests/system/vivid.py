"""The vivid driver: the kernel's own test camera, which can be unplugged and made to fail."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

NODE = "/dev/video0"
DRIVER = Path("/sys/bus/platform/drivers/vivid")
DEVICE = "vivid.0"
BY_PATH = f"v4l2:///dev/v4l/by-path/platform-{DEVICE}-video-index0"
BY_BUS = "v4l2://?bus=platform:vivid-000"

NAMES = Path("/sys/class/video4linux")


def there() -> bool:
    """Is /dev/video0 such a camera, and may we pull it out?"""
    name = NAMES / "video0" / "name"
    writable = os.access(DRIVER / "unbind", os.W_OK)
    return writable and name.exists() and name.read_text().startswith("vivid")


def cards() -> list[str]:
    """Every node of the driver that is there now, whatever it is for."""
    return sorted(f"/dev/{entry.name}" for entry in NAMES.iterdir())


def control(name: str, value: int = 1, node: str = NODE) -> None:
    """Set one of the driver's controls: the faults that it can inject are among them."""
    subprocess.run(["v4l2-ctl", "-d", node, "-c", f"{name}={value}"], check=True)


@contextmanager
def controlled(name: str, value: int) -> Iterator[None]:
    """A control for a while; all that are used here are 0 by default."""
    control(name, value)
    try:
        yield
    finally:
        control(name, 0)


def unplug() -> None:
    (DRIVER / "unbind").write_text(DEVICE)


def plug(node: str = NODE) -> None:
    (DRIVER / "bind").write_text(DEVICE)
    wait_until(lambda: Path(node).exists())


@contextmanager
def reloaded(*options: str) -> Iterator[None]:
    """The driver loaded with other options, and afterwards as it was."""
    reload_driver(*options)
    try:
        yield
    finally:
        reload_driver()


def reload_driver(*options: str) -> None:
    subprocess.run(["modprobe", "-r", "vivid"], check=True)
    subprocess.run(["modprobe", "vivid", *options], check=True)
    wait_until(Path(NODE).exists)
    subprocess.run(["udevadm", "settle"], check=True)


def wait_until(happens: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing in {seconds} s")
        time.sleep(0.05)


def mapped() -> list[tuple[int, int]]:
    """The (first, end) addresses of this process at which video memory is mapped."""
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "/dev/video" in line:
            first, end = line.split()[0].split("-")
            found.append((int(first, 16), int(end, 16)))
    return found


def open_nodes() -> int:
    """How many of this process's descriptors are video nodes."""
    folder = Path("/proc/self/fd")
    targets = (
        os.readlink(folder / name) for name in os.listdir(folder) if (folder / name).is_symlink()
    )
    return sum(target.startswith("/dev/video") for target in targets)
