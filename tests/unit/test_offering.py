"""The operator's end of an offer, against a depot that says what a test wants; broker in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest

from fleet.offering import offering
from fleet.offering.files import Offered, in_memory
from fleet.offering.offering import Session
from tests.telling import presence, said, state
from wire import topics
from wire.block.blocks import BlockRequest, unpacked
from wire.link import LinkEvent, Received
from wire.memory_link import MemoryBroker
from wire.messages import to_json
from wire.offers import AnswerPhase, Offer, OfferAnswer, offered_key
from wire.troubles import Refused, Unavailable

FLEET = "home"
CONTENT = b"{}" * 20_000
Speak = Callable[[str, bytes], object]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("AGAIN_S", 0.1), ("SIGN_S", 0.6), ("CONNECT_S", 0.3), ("STEP_S", 0.02)):
        monkeypatch.setattr(offering, name, seconds)


class Depot:
    """Answers offers with a script: one function for each message that comes."""

    def __init__(self, broker: MemoryBroker, *script: Callable[[Depot, Received], None]) -> None:
        self.heard: list[Received] = []
        self.blocks: dict[int, bytes] = {}
        self._script = list(script)
        self._link = broker.link("depot", self._hear)
        for part in ("offer", "deploy"):
            self._link.subscribe(topics.offers(FLEET, part))
        self._link.subscribe(f"vedette/{FLEET}/block/#")
        self._link.open()

    def _hear(self, event: LinkEvent) -> None:
        if not isinstance(event, Received):
            return
        place = topics.block_place(event.topic)
        if place is not None:
            self.blocks[place.number] = unpacked(event.payload, place.number).content
            return
        self.heard.append(event)
        if self._script:
            self._script.pop(0)(self, event)

    def says(self, topic: str, payload: bytes) -> None:
        self._link.publish(topic, payload)

    def answers(self, message: Received, phase: AnswerPhase, text: str = "") -> None:
        identity = identity_of(message)
        self.says(
            topics.offer(FLEET, identity, "answer"), to_json(OfferAnswer(identity, phase, text))
        )


def identity_of(message: Received) -> str:
    place = topics.offered(message.topic)
    assert place is not None
    return place.id


def nothing(depot: Depot, message: Received) -> None:
    """The message was lost."""


def done(depot: Depot, message: Received) -> None:
    depot.answers(message, "done")


@contextmanager
def session(broker: MemoryBroker, notes: list[str] | None = None) -> Iterator[Session]:
    told = [] if notes is None else notes
    with Session(broker.link, FLEET, told.append) as opened:
        yield opened


def offer(opened: Session) -> OfferAnswer:
    files = Offered(opened.new_id(), [in_memory("metadata/2.targets.json", CONTENT)])
    return opened.hand_over("release", files, lambda _: None)


def test_an_offer_that_was_lost_is_made_again_until_it_is_answered() -> None:
    broker = MemoryBroker()
    depot = Depot(broker, nothing, nothing, done)
    with session(broker) as opened:
        assert offer(opened).phase == "done"
    assert len(depot.heard) == 3 and len({message.payload for message in depot.heard}) == 1
    (file,) = msgspec.json.decode(depot.heard[0].payload, type=Offer).files
    assert (file.path, file.size) == ("metadata/2.targets.json", len(CONTENT))


def test_the_depot_gets_the_blocks_that_it_wants() -> None:
    def wants(depot: Depot, message: Received) -> None:
        identity = identity_of(message)
        key = offered_key(identity, "metadata/2.targets.json")
        request = to_json(BlockRequest(key, ((0, 2),)))
        depot.says(topics.offer(FLEET, identity, "want"), request)

    def has_all(depot: Depot, message: Received) -> None:
        depot.answers(message, "done" if len(depot.blocks) == 2 else "fetching")

    broker = MemoryBroker()
    depot = Depot(broker, wants, *(has_all for _ in range(20)))
    with session(broker) as opened:
        assert offer(opened).phase == "done"
    assert depot.blocks[0] + depot.blocks[1] == CONTENT


def test_a_refusal_is_the_depots_own_word() -> None:
    broker = MemoryBroker()
    Depot(broker, lambda d, m: d.answers(m, "refused", "release 3 is in force: push again"))
    with session(broker) as opened, pytest.raises(Refused, match="refuses it: release 3 is in"):
        offer(opened)


def test_garbage_and_answers_to_others_are_no_answer() -> None:
    def lies(depot: Depot, message: Received) -> None:
        topic = topics.offer(FLEET, identity_of(message), "answer")
        for payload in (b"", b"\xff", b"{}", b'{"id":"x","phase":"done","text":""}', b"[" * 9999):
            depot.says(topic, payload)
        depot.says(topics.offer(FLEET, identity_of(message), "want"), b"\x00garbage")

    broker = MemoryBroker()
    Depot(broker, lies)
    with session(broker) as opened, pytest.raises(Unavailable, match="has not given a sign for"):
        offer(opened)


def test_a_depot_that_works_is_waited_for_as_long_as_it_says_so() -> None:
    start_s = time.monotonic()

    def works(depot: Depot, message: Received) -> None:
        is_late = time.monotonic() > start_s + 1.0  # longer than without a sign
        depot.answers(message, "done" if is_late else "fetching")

    broker = MemoryBroker()
    Depot(broker, *(works for _ in range(60)))
    with session(broker) as opened:
        assert offer(opened).phase == "done"
    assert time.monotonic() > start_s + 1.0


def test_what_the_broker_does_not_take_is_said() -> None:
    broker = MemoryBroker(most_bytes=50)
    with session(broker) as opened, pytest.raises(Unavailable, match="does not take a message of"):
        offer(opened)


def test_a_connection_that_went_is_noted_and_the_offer_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AGAIN_S", "SIGN_S"):
        monkeypatch.setattr(offering, name, 30.0)  # it is made again at once, not after that
    broker, notes = MemoryBroker(), list[str]()
    start_s = time.monotonic()

    def cut(depot: Depot, message: Received) -> None:
        broker.cut(names[0])
        links[0].open()

    depot = Depot(broker, cut, done)
    names: list[str] = []
    links = []

    def make(client_id: str, post: Callable[[LinkEvent], None]) -> object:
        names.append(client_id)
        links.append(broker.link(client_id, post))
        return links[0]

    with Session(make, FLEET, notes.append) as opened:  # type: ignore[arg-type]
        assert offer(opened).phase == "done"
    assert len(depot.heard) == 2
    assert time.monotonic() < start_s + 20
    assert "the broker went away" in notes[0] and notes[1] == "the broker is there again"
    assert names[0].startswith("push-") and len(names[0]) <= 23


def test_no_connection_is_said_with_what_to_check() -> None:
    broker = MemoryBroker()

    class Deaf:
        """A link that never connects."""

        def __init__(self) -> None:
            self._link = broker.link("deaf", lambda event: None)

        def open(self) -> None: ...

        def __getattr__(self, name: str) -> object:
            return getattr(self._link, name)

    def open_session() -> None:
        with Session(lambda *_: Deaf(), FLEET, print):  # type: ignore[arg-type]
            raise AssertionError("it is not connected")

    with pytest.raises(Unavailable, match=r"no connection to the broker in 0\.3 s: .*--broker"):
        open_session()


def test_what_is_retained_of_devices_is_known_after_a_survey() -> None:
    broker = MemoryBroker()
    speaker = broker.link("devices", lambda event: None)
    speaker.open()
    for name in ("a", "b"):
        for message in (said(name, presence(True)), said(name, state())):
            speaker.publish(message.topic, message.payload, retain=True)
    with session(broker) as opened:
        assert opened.devices.devices == {}
        opened.survey()
        assert set(opened.devices.devices) == {"a", "b"}
        assert opened.devices.devices["a"].state == state()
