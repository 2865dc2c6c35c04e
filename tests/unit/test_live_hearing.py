"""Hearing what a device finds: for as long as somebody looks, and no longer."""

from __future__ import annotations

import pytest

from fleet.live.hearing import MOST_PIPELINES, Hearing
from wire import topics
from wire.link import Link, LinkEvent, Post
from wire.memory_link import MemoryBroker
from wire.messages import to_json
from wire.results import Result, StageDurations, Thing

DURATIONS = StageDurations(1.0, 2.0, 3.0, 4.0, 10.0)


def nothing(event: LinkEvent) -> None:
    """For a link that only speaks."""


class Yard:
    """A broker, a device that speaks, and who hears it."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.opened = 0
        self.device = self.broker.link("device", nothing)
        self.device.open()
        self.hearing = Hearing("home", self._link)

    def _link(self, post: Post) -> Link:
        self.opened += 1
        return self.broker.link("page", post)

    def find(self, device: str, pipeline: str, label: str) -> None:
        found = Result(pipeline, "digits", "1", "0" * 64, 1, 0.0, DURATIONS, (Thing(label),))
        self.device.publish(topics.result("home", device, pipeline), to_json(found))


@pytest.fixture
def yard() -> Yard:
    return Yard()


def test_the_newest_of_each_pipeline(yard: Yard) -> None:
    look = yard.hearing.look("door")
    for pipeline, label in (("lane", "1"), ("hall", "2"), ("lane", "3")):
        yard.find("door", pipeline, label)
    yard.find("gate", "lane", "9")
    labels = {name: result.found[0].label for name, result in look.results.items()}
    assert labels == {"lane": "3", "hall": "2"}


def test_one_connection_for_all_and_none_for_nobody(yard: Yard) -> None:
    first, second = yard.hearing.look("door"), yard.hearing.look("door")
    other = yard.hearing.look("gate")
    assert first is second and yard.opened == 1
    yard.hearing.leave(first)
    yard.find("door", "lane", "1")
    assert second.results
    yard.hearing.leave(second)
    yard.find("door", "lane", "2")
    assert second.results["lane"].found[0].label == "1"
    yard.find("gate", "lane", "3")
    assert other.results
    yard.hearing.leave(other)
    yard.find("gate", "lane", "4")
    assert other.results["lane"].found[0].label == "3"
    again = yard.hearing.look("gate")
    assert yard.opened == 2 and not again.results


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b"{}", b"x" * 70_000])
def test_what_is_no_result_is_none(yard: Yard, payload: bytes) -> None:
    look = yard.hearing.look("door")
    yard.device.publish(topics.result("home", "door", "lane"), payload)
    assert not look.results


def test_no_device_fills_the_memory(yard: Yard) -> None:
    look = yard.hearing.look("door")
    for number in range(3 * MOST_PIPELINES):
        yard.find("door", f"p{number}", "1")
    assert len(look.results) == MOST_PIPELINES
