"""Where a device asks for signed files: the depot, or else a mirror."""

from __future__ import annotations

from typing import cast

import pytest

from agent.fetch.sources import TIMESTAMP, Sources
from wire.block.blocks import NoSuchFile
from wire.block.client import BlockClient
from wire.https import HttpsSource
from wire.troubles import Trouble, Unavailable


class Shelf:
    """Hands out what it has, or fails."""

    def __init__(self, answer: bytes | Trouble) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def read(self, path: str, most_bytes: int) -> bytes:
        self.asked.append(path)
        if isinstance(self.answer, Trouble):
            raise self.answer
        return self.answer


def sources(depot: Shelf, mirror: Shelf | None) -> Sources:
    shelf = None if mirror is None else (lambda: cast(HttpsSource, mirror))
    return Sources(cast(BlockClient, depot), shelf, lambda: True)


def test_a_depot_that_denies_the_timestamp_does_not_keep_the_mirror_from_being_asked() -> None:
    depot, mirror = Shelf(NoSuchFile("no")), Shelf(b"the newest")
    assert sources(depot, mirror).read(TIMESTAMP, 100) == b"the newest"
    with pytest.raises(NoSuchFile):
        sources(depot, None).read(TIMESTAMP, 100)


def test_that_there_is_no_newer_root_is_believed() -> None:
    """It is the usual answer, and must not cost a question to the mirror each time."""
    depot, mirror = Shelf(NoSuchFile("no")), Shelf(b"")
    with pytest.raises(NoSuchFile):
        sources(depot, mirror).read("metadata/2.root.json", 100)
    assert mirror.asked == []


def test_a_mute_depot_is_not_asked_file_by_file() -> None:
    depot, mirror = Shelf(Unavailable("nobody answers")), Shelf(b"x")
    both = sources(depot, mirror)
    for path in ("metadata/2.snapshot.json", "metadata/2.targets.json"):
        assert both.read(path, 100) == b"x"
    assert depot.asked == ["metadata/2.snapshot.json"] and len(mirror.asked) == 2


def test_the_bell_need_not_be_asked_for() -> None:
    depot = Shelf(b"asked")
    one = sources(depot, None)
    one.bell = b"rung"
    assert one.read(TIMESTAMP, 100) == b"rung" and depot.asked == []
    assert one.read(TIMESTAMP, 2) == b"asked", "what is too large is no timestamp"
