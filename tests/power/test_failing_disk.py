"""Any call of the disk may fail, at any time: the next start without failures does the update."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.power.cuts import scratch
from tests.power.device_life import GATES
from tests.rounds import rounds
from tests.small_fleet import SmallFleet, rule
from wire.memory_link import MemoryBroker

FIU = shutil.which("fiu-run")
VERSIONS = 6
PROJECT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(FIU is None, reason="needs fiu-run: run scripts/setup")


@pytest.fixture(scope="module")
def depots() -> Iterator[Path]:
    """One for each version: what a depot has when that one was deployed."""
    with scratch() as place:
        with SmallFleet(place / "fleet", MemoryBroker().link) as fleet:
            for version in range(1, VERSIONS + 1):
                fleet.release(str(version), bytes([version]) * 40_000)
                fleet.deploy(rule(str(version), GATES))
                shutil.copytree(fleet.yard.depot, place / "depots" / str(version))
        yield place / "depots"


@pytest.mark.slow
@pytest.mark.timeout(rounds(120))
@pytest.mark.parametrize("chance", [0.002, 0.01, 0.03])
def test_next_start_brings_it_in(chance: float, depots: Path) -> None:
    cycles = rounds(18)
    ends: Counter[str] = Counter()
    with scratch() as states:
        words = [str(depots), str(states), "1", str(cycles), str(chance)]
        done = subprocess.run(
            [str(FIU), "-x", "-f", "", sys.executable, "-m", "tests.power.faulty_cycles", *words],
            cwd=PROJECT, capture_output=True, text=True, timeout=60 + 10 * cycles,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        assert done.stdout, done.stderr
        for line in done.stdout.splitlines():
            cycle, first, second, told = json.loads(line)
            assert second == "well", f"cycle {cycle}: {first}, then {second}: {done.stderr}"
            assert first not in ("hung", "bug"), f"cycle {cycle}: {told}"
            ends[first] += 1
    assert done.returncode == 0, done.stderr
    assert sum(ends.values()) == cycles
    assert chance < 0.03 or ends["well"] < cycles, "nothing ever failed"
    print(dict(ends))
