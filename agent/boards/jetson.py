"""NVIDIA Jetson: a generic board, and what JetPack's kernel says about GPU, power rails and fan.

The places moved with JetPack: 4 (Nano, TX2) has the power rails as iio devices and a fan of its
own kind, 5 and later (Xavier, Orin) have both as hwmon. All are looked for. What none of them says
is asked of jetson-stats, where that is installed and its service runs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from msgspec.structs import replace

from agent.boards.generic import Generic
from agent.boards.jetson_stats import INTERVAL_S, Client, Figures, Jtop
from agent.boards.sensors import HIGHEST_MHZ, fan_percent, fan_rpm
from agent.boards.sysfs import children, hwmons, label, number, text
from wire.health import Health

GPU_NAMES = ("gpu", "gp10b", "gv11b", "ga10b")  # as the device tree calls them
GPU_FOLDERS = ("gpu.0", "platform/gpu.0", "platform/17000000.gpu")  # of sys/devices
I2C_DRIVERS = "sys/bus/i2c/drivers"
MOST_RAILS = 16
LARGEST_MW = 1e6
PLACEHOLDER = ("PMIC-Die", 100.0)  # the Nano has no sensor there, and says so in this way
_MODE = re.compile(r"^pmode:0*(\d{1,4})\b", re.MULTILINE | re.ASCII)
_MODE_NAME = re.compile(
    r"^<[ \t]*POWER_MODEL[ \t]+ID=(\d{1,4})[ \t]+NAME=([\w.+-]{1,64})[ \t]*>",
    re.MULTILINE | re.ASCII,
)


class Jetson:
    """Any Jetson. open_jtop is called when something is missing, for the first time then."""

    def __init__(self, generic: Generic, root: Path, open_jtop: Callable[[], Jtop]) -> None:
        self.name = generic.name
        self._generic = generic
        self._root = root
        self._open_jtop = open_jtop
        self._jtop: Jtop | None = None

    def read(self) -> Health:
        own = Figures(
            gpu_percent=_gpu_percent(self._root),
            power_mw=_power_mw(self._root),
            fan_percent=_fan_percent(self._root),
            power_mode=_power_mode(self._root),
        )
        figures = own if own.is_complete() else own.filled_from(self._stats())
        health = self._generic.read()
        return replace(
            health,
            temperatures_c=_without_placeholder(health.temperatures_c),
            clocks_mhz=_with_gpu(health.clocks_mhz, self._root),
            gpu_percent=figures.gpu_percent,
            power_mw=figures.power_mw,
            fan_percent=figures.fan_percent,
            fan_rpm=fan_rpm(self._root),
            power_mode=figures.power_mode,
        )

    def _stats(self) -> Figures:
        if self._jtop is None:
            self._jtop = self._open_jtop()
        return self._jtop.latest()


def open_jtop() -> Jtop:
    """jetson-stats, asked from a thread of its own. It may not be there, or answer never."""
    return Jtop(connect)


def connect() -> AbstractContextManager[Client]:
    """The client of jetson-stats, not yet connected. Raises what the package raises."""
    from jtop import jtop

    client = jtop(interval=INTERVAL_S)
    client.daemon = True  # it is a thread, and one that hangs must not keep us from ending
    connected: AbstractContextManager[Client] = client
    return connected


def _gpu_percent(root: Path) -> float | None:
    """Busy share of the GPU; the file has it per mille."""
    for folder in _gpu_folders(root):
        load = number(f"{folder}/load")
        if load is not None and 0 <= load <= 1000:
            return load / 10
    return None


def _gpu_folders(root: Path) -> Iterator[str]:
    yield from (f"{clock}/device" for clock in _gpu_clocks(root))
    yield from (str(root / "sys/devices" / folder) for folder in GPU_FOLDERS)


def _gpu_clocks(root: Path) -> Iterator[str]:
    for clock in children(root / "sys/class/devfreq"):
        # a name of the device tree ends with a zero byte
        if (text(f"{clock}/device/of_node/name") or "").strip("\0\n") in GPU_NAMES:
            yield clock


def _with_gpu(clocks_mhz: dict[str, float] | None, root: Path) -> dict[str, float] | None:
    for clock in _gpu_clocks(root):
        hertz = number(f"{clock}/cur_freq")
        if hertz is not None and 0 < hertz / 1e6 < HIGHEST_MHZ:
            return {**(clocks_mhz or {}), "gpu": hertz / 1e6}
    return clocks_mhz


def _without_placeholder(temperatures_c: dict[str, float] | None) -> dict[str, float] | None:
    known = {n: c for n, c in (temperatures_c or {}).items() if (n, c) != PLACEHOLDER}
    return known or None


def _power_mw(root: Path) -> dict[str, float] | None:
    rails: dict[str, float] = {}
    for name, power in (*_hwmon_rails(root), *_iio_rails(root)):
        if power is not None and 0 <= power <= LARGEST_MW and len(rails) < MOST_RAILS:
            rails.setdefault(name, float(power))
    return rails or None


def _hwmon_rails(root: Path) -> Iterator[tuple[str, float | None]]:
    for chip in hwmons(root, "ina3221"):
        for file in children(chip, "in"):
            name = label(file) if file.endswith("_label") else None
            if name is None or name == "NC":  # not wired
                continue
            volts = file.removesuffix("_label") + "_input"
            channel = os.path.basename(file).removeprefix("in").removesuffix("_label")
            millivolt, milliampere = number(volts), number(f"{chip}/curr{channel}_input")
            if millivolt is not None and milliampere is not None:
                yield name, round(millivolt * milliampere / 1000, 1)


def _iio_rails(root: Path) -> Iterator[tuple[str, float | None]]:
    for device in children(root / I2C_DRIVERS / "ina3221x"):
        for sensor in children(device, "iio:device"):
            for file in children(sensor, "rail_name_"):
                name, channel = label(file), file.rpartition("_")[2]
                if name is not None and name != "NC":
                    yield name, number(f"{sensor}/in_power{channel}_input")


def _fan_percent(root: Path) -> float | None:
    own = root / "sys/devices/pwm-fan"  # JetPack 4
    width, widest = number(own / "cur_pwm"), number(own / "pwm_cap") or 255
    if width is not None and 0 <= width <= widest:
        return round(width / widest * 100, 1)
    return fan_percent(root)


def _power_mode(root: Path) -> str | None:
    """The name of the mode that nvpmodel set; where the table of names is not there, its number."""
    found = _MODE.search(text(root / "var/lib/nvpmodel/status") or "")
    if found is None:
        return None
    mode = found[1]
    names = dict(_MODE_NAME.findall(text(root / "etc/nvpmodel.conf") or ""))
    return names.get(mode, mode)
