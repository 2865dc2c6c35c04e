"""What machine this is: its system, its Python, its board, and what of the vendor lives there."""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
import sys
from dataclasses import dataclass

from installing.places import Places
from installing.progress import run
from installing.troubles import Trouble

KNOWN = {"debian": ("12", "13"), "raspbian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
# what is seen through to the system: only its vendor packages it, built for its own Python
VENDORS = ("picamera2", "tensorrt")
ENGINES = ("litert", "onnx")
EXTRAS = (*ENGINES, "network")  # what else a device may need: the decoder of network cameras


@dataclass(frozen=True)
class Machine:
    """system: as /etc/os-release has it. python: "3.11". vendors: modules that only the system's
    Python has. systemd: its version, 0 if there is none."""

    system: str
    is_known: bool
    board: str
    architecture: str
    python: str
    vendors: tuple[str, ...]
    systemd: int

    @property
    def is_jetson(self) -> bool:
        return "jetson" in self.board.lower() or "tegra" in self.board.lower()

    def __str__(self) -> str:
        board = f", {self.board}" if self.board else ""
        return f"{self.system} on {self.architecture}{board}, Python {self.python}"


def look(places: Places) -> Machine:
    """Raises Trouble if nothing can be installed here."""
    need_64_bits(sys.maxsize)
    release = _os_release(places)
    versions = KNOWN.get(release.get("ID", ""), ())
    if not places.at("/usr/bin/python3").exists() and places.is_here:
        raise Trouble("there is no /usr/bin/python3: apt-get install python3")
    return Machine(
        system=release.get("PRETTY_NAME", "an unknown system"),
        is_known=release.get("VERSION_ID", "") in versions,
        board=_board(places),
        architecture=platform.machine(),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        vendors=tuple(name for name in VENDORS if importlib.util.find_spec(name) is not None),
        systemd=_systemd(),
    )


def need_64_bits(largest: int) -> None:
    """largest: that Python counts to. The kernel's word says nothing: Raspberry Pi OS of 32 bits
    may have one of 64. Raises Trouble."""
    if largest < 1 << 32:
        raise Trouble(
            "this system has 32 bits, and the engines are made for 64: install 64-bit Raspberry "
            "Pi OS (Raspberry Pi 3, 4, 5 and Zero 2 have the processor)"
        )


def _os_release(places: Places) -> dict[str, str]:
    for name in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            text = places.at(name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
        return {key: value.strip("\"' ") for key, _, value in pairs}
    return {}


def _board(places: Places) -> str:
    try:
        return places.at("/proc/device-tree/model").read_text(errors="replace").strip("\0 \n")
    except OSError:
        return ""


def _systemd() -> int:
    if shutil.which("systemctl") is None:
        return 0
    found = re.match(r"systemd (\d+)", run(["systemctl", "--version"]))
    return int(found[1]) if found else 0
