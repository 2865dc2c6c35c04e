"""What systemd and its journal say; None everywhere where this machine was not booted by it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

BOOTED = Path("/run/systemd/system")
PATIENCE_S = 20.0
ASKED = (
    "Id", "LoadState", "UnitFileState", "ActiveState", "SubState", "Result", "NRestarts",
    "StatusText", "MainPID",
)  # fmt: skip
NEVER_US = "infinity"

Ask = Callable[[Sequence[str]], str]


class Unit(Struct, frozen=True):
    """As `systemctl show` has it. last: the journal's last line of it."""

    name: str
    load: str = ""
    file: str = ""
    active: str = ""
    sub: str = ""
    result: str = ""
    restarts: int = 0
    status: str = ""
    last: str = ""


def is_booted() -> bool:
    return BOOTED.is_dir()


def ask(command: Sequence[str]) -> str:
    """What a program says; "" where it is not there or takes too long."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def units_of(names: Sequence[str], ask: Ask = ask) -> list[Unit]:
    """Each unit, in the order of the names."""
    told = ask(["systemctl", "show", "-p", ",".join(ASKED), "--", *names])
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines())
              for block in told.split("\n\n")]  # fmt: skip
    found = {block.get("Id", ""): block for block in blocks}
    return [_unit(name, found.get(name, {}), ask) for name in names]


def _unit(name: str, says: dict[str, str], ask: Ask) -> Unit:
    restarts = says.get("NRestarts", "")
    return Unit(
        name, says.get("LoadState", ""), says.get("UnitFileState", ""),
        says.get("ActiveState", ""), says.get("SubState", ""), says.get("Result", ""),
        int(restarts) if restarts.isdigit() else 0, says.get("StatusText", ""),
        _last_words(name, ask),
    )  # fmt: skip


def _last_words(name: str, ask: Ask) -> str:
    """What the process itself said last: systemd's own lines follow it, and say less."""
    told = ask(["journalctl", "-n", "1", "-o", "cat", "--no-pager", f"_SYSTEMD_UNIT={name}"])
    lines = [line for line in told.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def runtimes(ask: Ask = ask) -> list[str]:
    """The services of pipelines that are running, or were tried."""
    command = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "vedette-runtime@*"]
    return [line.split()[0] for line in ask(command).splitlines() if line.split()]


def watchdog_us(ask: Ask = ask) -> int | None:
    """Of the hardware; 0: not used. None: systemd does not say."""
    words = ask(["systemctl", "show", "-p", "RuntimeWatchdogUSec", "--value"]).strip()
    return _microseconds(words)


def _microseconds(words: str) -> int | None:
    """`14s`, `1min 30s`, `0`, `infinity`; None: no such text."""
    if words == NEVER_US:
        return 0
    scales = {"us": 1, "ms": 1000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "": 1}
    total = 0
    for word in words.split():
        digits = word.rstrip("abcdefghijklmnopqrstuvwxyz")
        unit = word[len(digits) :]
        if not digits.isdigit() or unit not in scales:
            return None
        total += int(digits) * scales[unit]
    return total if words else None
