"""Temperatures, clocks and fans as every Linux shows them. Names are unique, and stay the same."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from agent.boards.sysfs import children, hwmons, label, number, text

COLDEST_C, HOTTEST_C = -100.0, 250.0  # sensors that are switched off show -256 or the like
MOST_SENSORS, MOST_CLOCKS = 32, 16  # a server's hundred cores would fill the record
HIGHEST_MHZ = 100_000.0
FASTEST_RPM = 100_000
_CPUINFO_MHZ = re.compile(r"^cpu MHz\s*:\s*(\d{1,6}(?:\.\d{1,6})?)$", re.MULTILINE | re.ASCII)

Reading = tuple[str, float]


def temperatures_c(root: Path) -> dict[str, float] | None:
    """By sensor: thermal zones by their type, then hwmon chips by name and label."""
    zones = list(_zones(root))
    # the kernel shows each zone as a chip once more, with _ for -
    shown = {name.replace("-", "_") for name, _ in zones}
    return _named(chain(zones, _chips(root, shown)), MOST_SENSORS)


def clocks_mhz(root: Path) -> dict[str, float] | None:
    """Of each group of cores that share one, called by its first core.

    As the kernel set them: a Raspberry Pi's firmware may run slower when it throttles.
    """
    return _named(_policies(root), MOST_CLOCKS) or _cpuinfo(root)


def fan_percent(root: Path) -> float | None:
    """What the first fan is driven with, of all that it could be."""
    for chip in hwmons(root, "pwmfan"):
        width = number(f"{chip}/pwm1")
        if width is not None and 0 <= width <= 255:
            return round(width / 255 * 100, 1)
    return None


def fan_rpm(root: Path) -> int | None:
    """How fast the first fan with a tachometer turns."""
    for chip in children(root / "sys/class/hwmon"):
        # fan1_input of hwmon; Jetsons have a driver of their own, with a file rpm
        for file in ("fan1_input", "rpm"):
            turns = number(f"{chip}/{file}")
            if turns is not None and 0 <= turns <= FASTEST_RPM:
                return turns
    return None


def _zones(root: Path) -> Iterable[Reading]:
    for zone in children(root / "sys/class/thermal", "thermal_zone"):
        name, celsius = label(f"{zone}/type"), _celsius(f"{zone}/temp")
        if name is not None and celsius is not None:
            yield name, celsius


def _chips(root: Path, shown: set[str]) -> Iterable[Reading]:
    # by device, not by number: numbers are given in the order in which drivers happen to load
    for chip in sorted(children(root / "sys/class/hwmon"), key=os.path.realpath):
        chip_name = label(f"{chip}/name")
        if chip_name is None or chip_name in shown:
            continue
        for file in children(chip, "temp"):
            if file.endswith("_input") and (celsius := _celsius(file)) is not None:
                channel = label(file.removesuffix("_input") + "_label")
                yield f"{chip_name} {channel}" if channel else chip_name, celsius


def _celsius(file: str) -> float | None:
    thousandths = number(file)
    if thousandths is None or not COLDEST_C < thousandths / 1000 < HOTTEST_C:
        return None
    return thousandths / 1000


def _policies(root: Path) -> Iterable[Reading]:
    for policy in children(root / "sys/devices/system/cpu/cpufreq", "policy"):
        khz = number(f"{policy}/scaling_cur_freq")
        if khz is not None and 0 < khz / 1000 < HIGHEST_MHZ:
            yield "cpu" + os.path.basename(policy).removeprefix("policy"), khz / 1000


def _cpuinfo(root: Path) -> dict[str, float] | None:
    """Virtual machines have no cpufreq, but PCs say their clock here: the fastest core's."""
    found = [float(mhz) for mhz in _CPUINFO_MHZ.findall(text(root / "proc/cpuinfo") or "")]
    return {"cpu": max(found)} if found and 0 < max(found) < HIGHEST_MHZ else None


def _named(readings: Iterable[Reading], most: int) -> dict[str, float] | None:
    """The second and third of one name get a number. None: there are none."""
    named: dict[str, float] = {}
    for name, value in readings:
        free, count = name, 1
        while free in named:
            count += 1
            free = f"{name} {count}"
        named[free] = value
        if len(named) == most:
            break
    return named or None
