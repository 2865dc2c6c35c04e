"""Bundles on their way into the store: resumed, within the day's bytes and the room on the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.fetch.bundles import Bundles
from agent.fetch.day_budget import MIB, DayBudget
from agent.fetch.plan import Get, Sweep
from agent.fetch.sources import Sources
from agent.fetch.words import Examined, Fetched, NotFetched, Progress
from models.store import Store
from tests.deployed import damage
from tests.small_fleet import SmallFleet
from wire import topics
from wire.block.blocks import BLOCK
from wire.block.client import BlockClient, FetchTerms
from wire.config import Updates
from wire.link import LinkEvent
from wire.memory_link import MemoryBroker
from wire.release import Variant
from wire.troubles import Refused, Unavailable
from wire.trust.trust import Bundle, Trust

DAY_S = 86400.0
SIZE = 3_000_000


class Device:
    """The fetch thread's parts, on the test's thread."""

    def __init__(self, place: Path, fleet: SmallFleet, broker: MemoryBroker) -> None:
        self.store = Store(place / "models")
        self.place = place
        self.wall_s = 1_900_000_000.0
        self.client: BlockClient | None = None
        self.link = broker.link("door", self._post)
        self.client = BlockClient(
            self.link, "yard", topics.request("yard", "door"), FetchTerms(read_s=5, patience_s=2)
        )
        self.link.open()
        self.sources = Sources(self.client, None, lambda: True)
        root = fleet.root.read_bytes()
        import time

        self.trust = Trust(place / "trust", root, self.sources, time.time)
        self.progress: list[Progress] = []

    def refresh(self) -> None:
        self.trust.refresh()

    def bundle(self, version: str) -> Bundle:
        return self.trust.bundles("digits", version)[0]

    def bundles(self, table: Updates = Updates()) -> Bundles:  # noqa: B008 - frozen
        budget = DayBudget(self.place / "day.json", table.mib_per_day, lambda: self.wall_s)
        folder = self.place / "coming"
        return Bundles(self.store, folder, table, self.trust, self.sources, budget)

    def get(
        self,
        version: str,
        table: Updates = Updates(),  # noqa: B008 - frozen
        is_over: Callable[[], bool] = lambda: False,
        pinned: frozenset[str] = frozenset(),
    ) -> Fetched | NotFetched | None:
        get = Get(self.bundle(version), pinned)
        return self.bundles(table).get(get, self.progress.append, is_over)

    def left(self) -> list[str]:
        folder = self.place / "coming"
        return sorted(os.listdir(folder)) if folder.exists() else []

    def _post(self, event: LinkEvent) -> None:
        if self.client is not None:
            self.client.post(event)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def fleet(tmp_path: Path, broker: MemoryBroker) -> Iterator[SmallFleet]:
    with SmallFleet(tmp_path / "fleet", broker.link) as fleet:
        yield fleet


@pytest.fixture
def device(tmp_path: Path, broker: MemoryBroker, fleet: SmallFleet) -> Iterator[Device]:
    device = Device(tmp_path / "device", fleet, broker)
    yield device
    assert device.client is not None
    device.client.close()
    device.link.close()


def test_into_the_store_and_nothing_is_left(device: Device, fleet: SmallFleet) -> None:
    digest = fleet.release("2", os.urandom(200_000))
    device.refresh()
    assert device.get("2") == Fetched(digest)
    assert device.store.installed() == (digest,)
    assert device.left() == []
    assert device.progress[-1].have_bytes == device.bundle("2").size
    before = fleet.published_bytes
    assert device.get("2") == Fetched(digest)
    assert fleet.published_bytes == before, "what is there is not fetched"


def test_what_is_damaged_in_the_store_is_found_and_fetched_again(
    device: Device, fleet: SmallFleet
) -> None:
    digest = fleet.release("2", os.urandom(200_000))
    device.refresh()
    bundle = device.bundle("2")
    assert device.bundles().examine(digest) == Examined(digest, False, bundle), "not there"
    device.get("2")
    assert device.bundles().examine(digest) == Examined(digest, True, bundle)
    damage(device.store, digest)
    assert device.bundles().examine(digest) == Examined(digest, False, bundle)
    assert device.get("2") == Fetched(digest)
    assert device.store.is_whole(digest) and device.left() == []
    assert device.bundles().examine("0" * 64) == Examined("0" * 64, False, None)


def test_goes_on_where_it_was_ended(device: Device, fleet: SmallFleet) -> None:
    fleet.release("2", os.urandom(SIZE))
    device.refresh()
    before = fleet.published_bytes
    cuts = 0
    while True:
        reached = len(device.progress) + 1

        def is_over(most: int = reached) -> bool:
            return len(device.progress) >= most

        if device.get("2", is_over=is_over) is not None:
            break
        cuts += 1
    assert cuts >= 2
    assert device.store.has(device.bundle("2").digest)
    have = [each.have_bytes for each in device.progress]
    assert have == sorted(set(have)), "what came is kept"
    assert fleet.published_bytes - before <= 1.25 * SIZE, "little comes twice"


def test_a_depot_that_falls_silent_is_no_end(device: Device, fleet: SmallFleet) -> None:
    digest = fleet.release("2", os.urandom(SIZE))
    device.refresh()
    fleet.serves = False
    said = device.get("2")
    assert isinstance(said, NotFetched)
    assert said.kind == "unavailable"
    fleet.serves = True
    assert device.get("2") == Fetched(digest)


def test_no_more_than_the_bytes_of_the_day(device: Device, fleet: SmallFleet) -> None:
    digest = fleet.release("2", os.urandom(SIZE))
    device.refresh()
    table = Updates(mib_per_day=1)
    said = device.get("2", table)
    assert isinstance(said, NotFetched)
    assert said.kind == "no_budget"
    assert "1 MiB of today" in said.why
    came = device.progress[-1].have_bytes
    assert MIB <= came < MIB + BLOCK
    again = device.get("2", table)
    assert isinstance(again, NotFetched), "also after a restart"
    assert device.progress[-1].have_bytes == came
    for _ in range(4):
        device.wall_s += DAY_S
        if device.get("2", table) == Fetched(digest):
            break
    assert device.store.has(digest)


def test_no_more_than_the_room_on_the_disk(device: Device, fleet: SmallFleet) -> None:
    small, other = fleet.release("2", os.urandom(4 * MIB)), fleet.release("3", os.urandom(4 * MIB))
    fleet.release("4", os.urandom(7 * MIB))
    device.refresh()
    table = Updates(disk_mib=16)
    assert device.get("2", table) == Fetched(small)
    assert device.get("3", table) == Fetched(other)
    before = fleet.published_bytes
    said = device.get("4", table, pinned=frozenset((small, other)))
    assert isinstance(said, NotFetched)
    assert said.kind == "no_room"
    assert "raise [updates] disk_mib" in said.why
    assert fleet.published_bytes - before < 100_000, "refused before it is fetched"
    said = device.get("4", table)
    assert isinstance(said, Fetched), "what nobody needs makes room"
    assert device.store.installed()[-1] == device.bundle("4").digest


def test_a_signed_bundle_that_is_none_is_refused(
    device: Device, fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.signer.checks.check_bundle", lambda *_: None)  # a depot may err
    content = b"PK\x03\x04" + os.urandom(1000)
    digest = fleet.release_bytes("2", content)
    device.refresh()
    said = device.get("2")
    assert isinstance(said, NotFetched)
    assert said.kind == "refused"
    assert said.digest == digest
    assert device.left() == []
    assert device.store.installed() == ()


def test_sweeps_what_nobody_wants(device: Device, fleet: SmallFleet) -> None:
    fleet.release("2", os.urandom(SIZE))
    fleet.release("3", os.urandom(SIZE))
    device.refresh()
    for version in ("2", "3"):
        reached = len(device.progress) + 1
        device.get(version, is_over=lambda most=reached: len(device.progress) >= most)  # type: ignore[misc]
    assert len(device.left()) == 4
    wanted = device.bundle("3").digest
    device.bundles().sweep(Sweep(frozenset((wanted,)), frozenset()))
    assert device.left() == [f"{wanted}.zip.have", f"{wanted}.zip.part"]
    (device.place / "coming" / "not ours").write_bytes(b"")
    device.bundles().sweep(Sweep(frozenset(), frozenset()))
    assert device.left() == ["not ours"]


def test_a_bundle_that_was_retired_is_for_the_next_look(device: Device, fleet: SmallFleet) -> None:
    """The fleet may release it again: no verdict that is remembered."""
    fleet.release("2")
    device.refresh()
    stranger = Bundle("models/digits/9/tflite.zip", "9" * 64, 10, Variant("digits", "9", "tflite"))
    said = device.bundles().get(Get(stranger, frozenset()), device.progress.append, lambda: False)
    assert isinstance(said, NotFetched)
    assert said.kind == "unavailable"


@pytest.mark.parametrize("what", ["read", "fetch"])
def test_who_hands_out_garbage_does_not_make_a_model_bad(
    device: Device, fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A mirror, or a broker: neither is trusted."""
    digest = fleet.release("2", os.urandom(200_000))
    device.refresh()

    def garbage(*_: object) -> bytes:
        if what == "fetch":
            raise Refused("other bytes than were signed: mistrust the mirror")
        return b"garbage"

    with monkeypatch.context() as patch:
        patch.setattr(device.sources, what, garbage)
        said = device.get("2")
        assert isinstance(said, NotFetched)
        assert said.kind == "unavailable"
    assert device.get("2") == Fetched(digest)


def test_what_is_whole_but_not_unpacked_makes_room_too(device: Device, fleet: SmallFleet) -> None:
    old = fleet.release("2", os.urandom(4 * MIB))
    fleet.release("3", os.urandom(4 * MIB))
    device.refresh()
    assert device.get("2") == Fetched(old)
    bundle = device.bundle("3")
    came = device.place / "coming" / f"{bundle.digest}.zip"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device.store, "install", unpacks_nothing)
        said = device.get("3")
    assert isinstance(said, NotFetched) and came.exists()
    assert said.kind == "no_room", "no depot is to blame"
    assert device.get("3", Updates(disk_mib=9)) == Fetched(bundle.digest)
    assert device.store.installed() == (bundle.digest,)


def unpacks_nothing(path: Path) -> str:
    raise Unavailable("no space left on device")
