"""Raspberry Pi: a generic board, and what its firmware says about power and heat.

Two places tell it, both filled by the kernel's driver `raspberrypi-hwmon`, which asks the firmware
every two seconds:

- `get_throttled` of the firmware's node: all reasons, one bit each, as documented for `vcgencmd
  get_throttled`. The node is soc/soc:firmware up to the Pi 4 and soc@107c000000/... on the Pi 5,
  where some kernels do without the file. Its first reading leaves a warning in the kernel's log.
- the chip `rpi_volt`: under-voltage in the last two seconds, and nothing else.

The driver clears the firmware's memory each time it asks, so what the upper half of the word says
is not "since boot" but "in the last two seconds". Hence what was seen is remembered here too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from agent.boards.generic import Generic
from agent.boards.sensors import fan_percent, fan_rpm
from agent.boards.sysfs import children, hwmons, number, text
from wire.health import Health, Throttle

# Bits 0 to 3 of the word are now, bits 16 to 19 before.
UNDER_VOLTAGE = "under_voltage"
REASONS = (UNDER_VOLTAGE, "frequency_capped", "throttled", "soft_temperature_limit")
BEFORE = 16
LARGEST_WORD = 0xFFFFFFFF


class Raspberry:
    """Any Raspberry Pi."""

    def __init__(self, generic: Generic, root: Path) -> None:
        self.name = generic.name
        self._generic = generic
        self._root = root
        self._seen: set[str] = set()  # since this process started

    def read(self) -> Health:
        return replace(
            self._generic.read(),
            throttle=self._throttle(),
            fan_percent=fan_percent(self._root),
            fan_rpm=fan_rpm(self._root) or None,  # a Pi 5 says 0 for many a speed
        )

    def _throttle(self) -> Throttle | None:
        word, alarm = _firmware_word(self._root), _voltage_alarm(self._root)
        if not word and alarm is None:
            return None  # without the driver the file says 0 for ever
        now = _reasons(word or 0) | ({UNDER_VOLTAGE} if alarm else set())
        self._seen |= now | _reasons((word or 0) >> BEFORE)
        return Throttle(_in_order(now), _in_order(self._seen))


def _firmware_word(root: Path) -> int | None:
    for node in _firmware_nodes(root / "sys/devices/platform"):
        content = text(f"{node}/get_throttled")
        try:
            word = int(content or "", 16)
        except ValueError:
            continue
        if 0 <= word <= LARGEST_WORD:
            return word
    return None


def _firmware_nodes(platform: Path) -> Iterable[str]:
    for bus in (*children(platform, "soc"), *children(platform, "axi"), str(platform)):
        stem = os.path.basename(bus) if bus != str(platform) else ""
        yield from (node for node in children(bus, stem) if node.endswith("firmware"))


def _voltage_alarm(root: Path) -> bool | None:
    for chip in hwmons(root, "rpi_volt"):
        alarm = number(f"{chip}/in0_lcrit_alarm")
        if alarm in (0, 1):
            return alarm == 1
    return None


def _reasons(word: int) -> set[str]:
    return {reason for bit, reason in enumerate(REASONS) if word >> bit & 1}


def _in_order(reasons: set[str]) -> tuple[str, ...]:
    return tuple(reason for reason in REASONS if reason in reasons)
