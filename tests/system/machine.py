"""A virtual machine with systemd and a power switch, in which Vedette is installed as on a device.

VEDETTE_VM names the program that makes such machines (verbs: build, up, run, put, cut, ...). With
VEDETTE_VM_KEEP the machine stays on afterwards, and the next tests find it within seconds.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.laws.sources import ROOT
from tests.system.needs import needed

HOST = "10.0.2.2"  # what a machine that may reach this one calls its loopback
CONSTRAINTS = ROOT / "constraints.txt"
PORT = 18830  # of this machine's loopback: the broker in the machine
PATIENCE_S = 150.0  # its processor is emulated, and slow

SETUP = """
set -e
install -Dm644 /opt/systemd/vedette.sysusers /usr/lib/sysusers.d/vedette.conf
install -Dm644 /opt/systemd/vedette-depot.sysusers /usr/lib/sysusers.d/vedette-depot.conf
install -Dm644 /opt/systemd/vedette.tmpfiles /usr/lib/tmpfiles.d/vedette.conf
install -Dm644 -t /etc/systemd/system /opt/systemd/*.service
systemd-sysusers
systemd-tmpfiles --create vedette.conf
printf 'listener 1883\\nallow_anonymous true\\n' >/etc/mosquitto/conf.d/test.conf
# what a filter refuses would show as an error at most; here it kills
for unit in vedette-agent vedette-runtime@; do
  mkdir -p /etc/systemd/system/$unit.service.d
  printf '[Service]\\nSystemCallErrorNumber=kill\\n' >/etc/systemd/system/$unit.service.d/test.conf
done
systemctl daemon-reload
systemctl restart mosquitto
"""


def program() -> str | None:
    """What makes machines, if it was named."""
    named = os.environ.get("VEDETTE_VM")
    return named if named and os.access(named, os.X_OK) else None


class Machine:
    """One machine. A command that fails in it is an AssertionError with what it said."""

    def __init__(self, vm: str, name: str) -> None:
        self._vm = [vm, "-n", name]

    def __call__(self, command: str, timeout_s: float = PATIENCE_S) -> str:
        """Run a shell command as root; what it printed."""
        return self.host("run", command, timeout_s=timeout_s)

    def host(self, *words: str, timeout_s: float = 600.0) -> str:
        """One verb of the program."""
        done = subprocess.run(
            [*self._vm, *words], capture_output=True, text=True, timeout=timeout_s, check=False,
            env={**os.environ, "PIP_CONSTRAINT": str(CONSTRAINTS)},
        )  # fmt: skip
        assert done.returncode == 0, f"{shlex.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def is_on(self) -> bool:
        done = subprocess.run([*self._vm, "status"], capture_output=True, text=True, check=False)
        return "running" in done.stdout

    def put(self, source: Path, place: str) -> None:
        self.host("put", str(source), place)

    def write(self, place: str, text: str) -> None:
        self(f"printf %s {shlex.quote(text)} >{place}")

    def shows(self, unit: str, key: str) -> str:
        """A property, as `systemctl show` names it."""
        return self(f"systemctl show -P {key} {unit}")

    def journal(self, unit: str) -> str:
        return self(f"journalctl -u {unit} -b --no-pager -o cat")

    def reboot(self) -> None:
        """In order. Returns when it has booted."""
        self.host("down")
        self.host("up", "--keep")

    def power_cut(self) -> None:
        """Off without a word, and on again. Returns when it has booted."""
        self.host("cut")
        self.host("up", "--keep")


def until(what: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    """Wait until it is true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(1)


@contextmanager
def installed(
    box: Path, name: str, *options: str, extras: Sequence[str] = ("litert", "onnx")
) -> Iterator[Machine]:
    """A machine with wheel, units and broker, nothing started.

    box: a folder for the wheel. name: what runs in it at the same time has another. options: with
    which it is made. extras: of the wheel.
    """
    vm = program()
    assert vm is not None
    machine = Machine(vm, name)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(box), str(ROOT)]
    subprocess.run(pip, check=True, timeout=300)
    (wheel,) = box.glob("*.whl")
    machine.host("build", timeout_s=1800)
    if not machine.is_on():
        machine.host("up", *options)
    try:
        _install(machine, wheel, extras)
        yield machine
    finally:
        if not os.environ.get("VEDETTE_VM_KEEP"):
            machine.host("down")


def _install(machine: Machine, wheel: Path, extras: Sequence[str]) -> None:
    pip = "python3 -m pip --python /opt/vedette/bin/python install -q --no-compile --no-index"
    names = needed(*extras)
    mark = hashlib.sha256(CONSTRAINTS.read_bytes() + repr(names).encode()).hexdigest()[:16]
    if machine(f"test -e /opt/{mark} && echo there || true") != "there":
        machine.host("wheels", *names)
        machine(
            f"python3 -m venv --without-pip /opt/vedette && {pip} --find-links /opt/wheels "
            f"{shlex.join(names)} && touch /opt/{mark}",
            timeout_s=600,
        )
    machine.put(wheel, "/opt/")
    machine.put(ROOT / "systemd", "/opt/")
    machine(f"{pip} --no-deps --force-reinstall /opt/{wheel.name}")
    machine(SETUP)
