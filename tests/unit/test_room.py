"""How much memory is left: of the machine, and of control groups of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.room import RESERVE_BYTES, available_bytes, fits

MIB = 1 << 20


class Machine:
    """A /proc and a /sys/fs/cgroup by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.groups = folder / "cgroup"
        self.say("meminfo", "MemTotal: 4096 kB\nMemFree: 1 kB\nMemAvailable:  1048576 kB\n")

    def say(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    @property
    def mib(self) -> float | None:
        got = available_bytes(self.folder / "meminfo", self.folder / "own", self.groups)
        return None if got is None else got / MIB


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_of_the_machine(machine: Machine) -> None:
    assert machine.mib == 1024
    machine.say("own", "0::/system.slice/vedette-runtime@door.service\n")
    assert machine.mib == 1024, "a group without files limits nothing"


def test_nobody_says(machine: Machine) -> None:
    machine.say("meminfo", "MemAvailable: lots\n")
    assert machine.mib is None


def test_a_limit_of_any_group_above_counts(machine: Machine) -> None:
    machine.say("own", "0::/a.slice/b.service\n")
    for place, most, used in (("a.slice/b.service", "max", 50), ("a.slice", str(200 * MIB), 120)):
        machine.say(f"cgroup/{place}/memory.max", f"{most}\n")
        machine.say(f"cgroup/{place}/memory.current", f"{used * MIB}\n")
        machine.say(
            f"cgroup/{place}/memory.stat",
            f"anon 5\ninactive_file {20 * MIB}\nactive_file {10 * MIB}\ntotal_active_file 7\n",
        )
    assert machine.mib == 200 - 120 + 30, "what the page cache has can be had"


def test_the_first_version(machine: Machine) -> None:
    machine.say("own", "5:devices:/\n4:cpu,memory:/jobs/1\n0::/\n")
    machine.say("cgroup/memory/jobs/memory.limit_in_bytes", f"{100 * MIB}\n")
    machine.say("cgroup/memory/jobs/memory.usage_in_bytes", f"{90 * MIB}\n")
    machine.say("cgroup/memory/jobs/memory.stat", f"inactive_file 3\ntotal_active_file {MIB}\n")
    assert machine.mib == 11


def test_here_somebody_says() -> None:
    here = available_bytes()
    assert here is not None and here > 0


def test_a_reserve_is_kept() -> None:
    assert fits(10, None)
    assert fits(10, 10 + RESERVE_BYTES)
    assert not fits(11, 10 + RESERVE_BYTES)
