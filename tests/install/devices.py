"""A device as the installer sees it, on which releases come up or do not, without waiting."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from installing.places import Places
from installing.services import AGENT, Reading, enabled_units

PERIOD_S = 60.0


@dataclass
class Device:
    """Services that do as systemd's would: what is started runs from the release that is linked
    then. broken: releases whose agent ends at once. silent: those that never reach the broker."""

    places: Places
    broken: Sequence[str] = ()
    silent: Sequence[str] = ()
    runs: bool = True
    running: dict[str, tuple[str, float]] = field(default_factory=dict)  # unit: release, since
    time_s: float = 0.0
    pids: int = 100
    known: dict[Path, bytes] = field(default_factory=dict)  # unit files as systemd read them last

    def reload(self) -> None:
        self.known = self._unit_files()

    def enable(self, units: Sequence[str]) -> None:
        wants = self.places.units / "multi-user.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        for unit in units:
            os.symlink(self.places.units / unit, wants / unit)

    def disable(self, units: Sequence[str]) -> None:
        for unit in units:
            (self.places.units / "multi-user.target.wants" / unit).unlink()

    def enabled(self) -> list[str]:
        return enabled_units(self.places.units)

    def restart(self, units: Sequence[str]) -> None:
        release = os.path.basename(os.readlink(self.places.current))
        if units:
            assert self.known == self._unit_files(), "started from units that are no more"
        for unit in units:
            self.running[unit] = (release, self.time_s)

    def stop(self, units: Sequence[str]) -> None:
        for unit in units:
            self.running.pop(unit, None)

    def read(self, units: Sequence[str]) -> dict[str, Reading]:
        return {unit: self.reading(unit) for unit in units}

    def reading(self, unit: str) -> Reading:
        release, since_s = self.running.get(unit, (None, 0.0))
        if release is None or (unit == AGENT and release in self.broken):
            self.pids += 1
            return Reading(False, None, "", 0.0, 0)
        link = "not connected: refused" if release in self.silent else "connected to mqtt://x"
        said = f"{link}; 1 pipeline; 0 records wait" if unit == AGENT else "digits: 5 results/s"
        return Reading(True, release, said, self.time_s - since_s, hash((unit, release)) % 9999 + 1)

    def settle(self) -> None:
        raise AssertionError("nobody here starts a service for it")

    def now_s(self) -> float:
        return self.time_s

    def pause(self, seconds: float) -> None:
        self.time_s += seconds

    def boot(self) -> None:
        """As after a power cut: what is enabled is started."""
        self.running = {}
        self.reload()
        self.restart([unit for unit in self.enabled() if "settle" not in unit])

    def _unit_files(self) -> dict[Path, bytes]:
        found = self.places.units.rglob("*")
        whole = (path for path in found if path.is_file() and not path.is_symlink())
        return {path: path.read_bytes() for path in whole}


def release(places: Places, name: str, units: Path) -> None:
    """A release that is whole, and only as large as it must be."""
    folder = places.releases / name
    (folder / "bin").mkdir(parents=True)
    (folder / "share/vedette").mkdir(parents=True)
    os.symlink(units, folder / "share/vedette/systemd")
    os.symlink("/usr/bin/python3", folder / "bin/python")
    version = name.partition("-")[0]
    (folder / "bin/vedette").write_text(PROGRAM)
    (folder / "release.json").write_text(
        f'{{"name": "{name}", "version": "{version}", "print": "x", "engines": [], '
        '"python": "3.11", "vendors": []}'
    )


PROGRAM = """
import json
pipelines = {"door": {"camera": "v4l2:///dev/video0"}}
config = {"device": "gate", "broker": {"url": "mqtt://x"}, "pipeline": pipelines}
print(json.dumps({"refused": None, "warnings": [], "config": config}))
"""
