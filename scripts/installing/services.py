"""systemd, as far as the installer speaks to it; and a system that lies still, as in an image."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from installing.places import Places
from installing.progress import run
from installing.troubles import Trouble

AGENT = "vedette-agent.service"
SETTLE = "vedette-settle.service"
RUNTIME = "vedette-runtime@"
ALL = ("vedette-agent.*", f"{RUNTIME}*.service", "vedette-settle.*")  # as systemctl takes patterns


@dataclass(frozen=True)
class Reading:
    """A unit now. release: the one that its process runs from. said: its own status line.
    since_s: seconds since it became active. pid: 0 without a process."""

    active: bool
    release: str | None
    said: str
    since_s: float
    pid: int


class Services(Protocol):
    """What the installer does with units."""

    runs: bool  # whether there is a systemd that runs

    def reload(self) -> None: ...
    def enable(self, units: Sequence[str]) -> None: ...
    def disable(self, units: Sequence[str]) -> None: ...
    def enabled(self) -> list[str]: ...
    def restart(self, units: Sequence[str]) -> None: ...
    def stop(self, units: Sequence[str]) -> None: ...
    def read(self, units: Sequence[str]) -> dict[str, Reading]: ...
    def settle(self) -> None: ...
    def now_s(self) -> float: ...
    def pause(self, seconds: float) -> None: ...


def runtime_unit(pipeline: str) -> str:
    return f"{RUNTIME}{pipeline}.service"


def enabled_units(folder: Path) -> list[str]:
    """Of ours: the links that `systemctl enable` made."""
    found = (folder / "multi-user.target.wants").glob("vedette-*.service")
    ours = (AGENT, SETTLE, RUNTIME)
    return sorted(path.name for path in found if path.name.startswith(ours))


class Still:
    """An image, or a container without systemd: units are enabled, and start at its boot."""

    runs = False

    def __init__(self, places: Places) -> None:
        self._places = places
        self._words = ["systemctl", "--quiet", f"--root={places.root}"]

    def reload(self) -> None:
        """There is nobody to tell."""

    def enable(self, units: Sequence[str]) -> None:
        run([*self._words, "enable", *units])

    def disable(self, units: Sequence[str]) -> None:
        if units:
            run([*self._words, "disable", *units])

    def enabled(self) -> list[str]:
        return enabled_units(self._places.units)

    def restart(self, units: Sequence[str]) -> None:
        """Nothing runs."""

    def stop(self, units: Sequence[str]) -> None:
        """Nothing runs."""

    def read(self, units: Sequence[str]) -> dict[str, Reading]:
        return {unit: Reading(False, None, "", 0.0, 0) for unit in units}

    def settle(self) -> None:
        """Nothing starts that could fail."""

    def now_s(self) -> float:
        return 0.0

    def pause(self, seconds: float) -> None:
        """Nothing will change."""


class Systemd:
    """The one that runs here. Raises Trouble with what systemctl said."""

    runs = True

    def __init__(self, places: Places) -> None:
        self._places = places

    def reload(self) -> None:
        run(["systemctl", "daemon-reload"])

    def enable(self, units: Sequence[str]) -> None:
        run(["systemctl", "--quiet", "enable", *units])

    def disable(self, units: Sequence[str]) -> None:
        if units:
            run(["systemctl", "--quiet", "disable", *units])

    def enabled(self) -> list[str]:
        return enabled_units(self._places.units)

    def restart(self, units: Sequence[str]) -> None:
        """Without waiting, which could take minutes: whether they come up is seen later."""
        if units:
            run(["systemctl", "--no-block", "restart", *units])

    def stop(self, units: Sequence[str]) -> None:
        if units:
            run(["systemctl", "stop", *units], 300)

    def read(self, units: Sequence[str]) -> dict[str, Reading]:
        if not units:
            return {}
        keys = ("ActiveState", "StatusText", "ActiveEnterTimestampMonotonic", "MainPID")
        said = run(["systemctl", "show", "-p", ",".join(keys), *units])
        # one block a unit, in order, with an empty line between two
        return dict(zip(units, map(self._reading, said.strip("\n").split("\n\n")), strict=True))

    def _reading(self, block: str) -> Reading:
        pairs = (line.partition("=") for line in block.splitlines())
        values = {key: value for key, _, value in pairs}
        pid = int(values.get("MainPID", "0"))
        entered_s = int(values.get("ActiveEnterTimestampMonotonic", "0") or 0) / 1e6
        return Reading(
            active=values.get("ActiveState") == "active" and pid > 0,
            release=self._release(pid),
            said=values.get("StatusText", ""),
            since_s=self.now_s() - entered_s,
            pid=pid,
        )

    def _release(self, pid: int) -> str | None:
        """By the interpreter that a release's programs name in their first line."""
        try:
            program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode()
        except (OSError, UnicodeDecodeError):
            return None
        start = f"{self._places.releases}/"
        return program[len(start) :].split("/")[0] if program.startswith(start) else None

    def settle(self) -> None:
        """Wait until it is done, or failed. What came of it is in the outcome."""
        try:
            run(["systemctl", "start", SETTLE], 3600)
        except Trouble:
            if self._places.marker.exists():
                raise

    def now_s(self) -> float:
        """As systemd counts."""
        return time.clock_gettime(time.CLOCK_MONOTONIC)

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)


def services_of(places: Places) -> Services:
    if places.is_here and os.path.isdir("/run/systemd/system"):
        return Systemd(places)
    return Still(places)
