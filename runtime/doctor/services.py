"""The services: installed, enabled, running; and if not, what the journal says last."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from runtime.doctor import systemd
from runtime.doctor.systemd import Unit
from wire.finding import Finding

AGENT = "vedette-agent.service"
SHORT = 200  # characters of the journal's line
OFTEN = 5


def look_at_services(pipelines: Iterable[str]) -> Iterator[Finding]:
    if not systemd.is_booted():
        says = "systemd does not run here: nothing starts agent and runtimes, or starts them again"
        yield Finding("services", "warning", "", says)
        return
    names = [AGENT, *(f"vedette-runtime@{name}.service" for name in pipelines)]
    yield from map(judged, systemd.units_of(names))
    yield from strangers(names, systemd.runtimes())


def judged(unit: Unit) -> Finding:
    """One service that should run."""
    name, last = unit.name, f"; its last words: {unit.last[:SHORT]}" if unit.last else ""
    if unit.load == "masked" or unit.file == "masked":
        mend = f"sudo systemctl unmask {name} && sudo systemctl enable --now {name}"
        return Finding("services", "bad", name, "somebody masked it: it never starts", mend)
    if unit.load != "loaded":
        return Finding("services", "bad", name, "it is not installed", _install(name))
    if unit.active == "active" and unit.file not in ("enabled", "enabled-runtime"):
        says = "it runs, and will not after a reboot: it is not enabled"
        return Finding("services", "warning", name, says, f"sudo systemctl enable {name}")
    if unit.active == "active" and unit.restarts >= OFTEN:
        says = f"it runs, and was started again {unit.restarts} times{last}"
        return Finding("services", "warning", name, says, f"journalctl -u {name} -n 50")
    if unit.active == "active":
        return Finding("services", "ok", name, f"it runs: {unit.status or unit.sub}")
    if unit.file not in ("enabled", "enabled-runtime"):
        says = f"it does not run, and is not enabled ({unit.active})"
        return Finding("services", "bad", name, says, f"sudo systemctl enable --now {name}")
    if unit.active == "activating" and unit.sub != "auto-restart" and not unit.restarts:
        return Finding("services", "warning", name, f"it is starting{last}")
    if unit.active in ("activating", "reloading"):
        says = f"it ends again and again ({unit.result}, {unit.restarts} times){last}"
        return Finding("services", "bad", name, says, f"journalctl -u {name} -n 50")
    says = f"it does not run ({unit.active}: {unit.result}){last}"
    return Finding("services", "bad", name, says, f"sudo systemctl restart {name}")


def strangers(expected: Sequence[str], there: Sequence[str]) -> Iterator[Finding]:
    """Services of pipelines that the configuration does not have."""
    for name in there:
        if name not in expected:
            says = "it is the service of a pipeline that the configuration does not have"
            mend = f"sudo systemctl disable --now {shlex.quote(name)}"
            yield Finding("services", "warning", name, says, mend)


def _install(name: str) -> str:
    """From the units that came with this very release."""
    units = Path(sys.prefix) / "share/vedette/systemd"
    file = units / ("vedette-agent.service" if name == AGENT else "vedette-runtime@.service")
    if not file.exists():
        return "sudo scripts/install"
    copy = f"sudo install -Dm644 -t /etc/systemd/system {shlex.quote(str(file))}"
    return f"{copy} && sudo systemctl daemon-reload && sudo systemctl enable --now {name}"
