"""How long it takes from the bell to the first result of the new model: all real, on loopback."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from tests.brokers import Listener
from tests.yard import FLEET, Yard, digits
from wire import topics
from wire.messages import parse
from wire.results import Result

pytestmark = pytest.mark.budget

MOST_S = 5.0
UPDATES = 3


def test_from_the_bell_to_the_first_result(tmp_path: Path) -> None:
    """The digits model; a device that runs another version at 30 frames a second."""
    every = 'results = "every"\nresults_per_s = 30'
    with Yard(tmp_path) as yard:
        device = yard.device(pipeline=every)
        device.start("agent")
        device.start("lane")
        yard.until(lambda: yard.state() is not None)
        assert yard.push(digits(tmp_path, "0"), trial_s=1).code == 0
        bell = topics.bell(FLEET)
        seconds = []
        with Listener(yard.broker.port, bell) as rings:
            for version in map(str, range(1, 1 + UPDATES)):
                rung = len(rings.heard)
                assert yard.push(digits(tmp_path, version), trial_s=1).code == 0
                # a push rings for the release, and then for the deployment
                deployed = rings.wait_for(lambda heard: len(heard) >= rung + 2)[-1]  # noqa: B023
                seconds.append(first_result_s(yard, version) - deployed.at_s)
        print(f"bell to first result: {[f'{each:.2f}' for each in seconds]} s")
        assert statistics.median(seconds) <= MOST_S


def first_result_s(yard: Yard, version: str) -> float:
    """When the first result of a version was heard, on time.monotonic."""
    topic = topics.result(FLEET, "door", "lane")
    return next(
        one.at_s
        for one in yard.heard()
        if one.topic == topic and parse(one.payload, Result).version == version
    )
