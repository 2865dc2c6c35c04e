"""A large update over a bad network, to an agent that dies: it comes to its end all the same."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.gate import TcpGate
from tests.yard import Yard, digits, heavy

pytestmark = pytest.mark.slow

SIZE = 12_000_000
SLOWLY = "kib_per_s = 1500\n"


def test_a_large_bundle_over_cuts_and_deaths(tmp_path: Path) -> None:
    chance = random.Random(7)
    with Yard(tmp_path) as yard, TcpGate(yard.broker.port) as gate:
        device = yard.device(port=gate.port, tables=SLOWLY)
        device.start("agent")
        device.start("lane")
        yard.until(lambda: yard.state() is not None)
        assert yard.push(digits(tmp_path, "1"), trial_s=1).code == 0
        large = heavy(tmp_path, "2", SIZE)
        assert yard.push(large, trial_s=1, more=("--no-wait",)).code == 0
        yard.until(lambda: "fetching" in yard.phases("2"))
        for turn in range(9):
            time.sleep(chance.uniform(0.2, 0.8))
            if turn % 3 == 2:
                device.kill("agent")
                device.start("agent")
            else:
                gate.cut()
        assert "staged" not in yard.phases("2"), "it was cut in the middle"
        yard.until_ended("2", "good")
        assert yard.runs("2")
        parts = list((tmp_path / "door" / "state").rglob("*.part"))
        assert parts == [], "nothing is left of what has come whole"
