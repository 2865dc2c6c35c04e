"""The operator's end of offers: one connection, by which a command talks to the depot and sees the
devices. Everything is decided on the thread that calls; the link's thread only posts."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from types import TracebackType

import msgspec

from fleet.asking import MakeLink, Note
from fleet.devices import Fleet
from fleet.inbox import Inbox
from fleet.offering.files import Offered
from wire import topics
from wire.block.client import BlockClient, FetchTerms
from wire.block.server import BlockServer
from wire.link import Connected, Disconnected, LinkEvent, Received
from wire.messages import parse
from wire.offers import Offer, OfferAnswer, OfferKind
from wire.troubles import Refused, Unavailable

CONNECT_S = 10.0  # until the broker must have taken us in
SIGN_S = 20.0  # without a word from the depot, while it should work: it is not there
AGAIN_S = 4.0  # after so long without a word, what was sent is sent again
QUIET_S = 0.8  # when nothing retained comes for so long, all of it has come
SURVEY_S = 5.0  # how long what must be there is waited for
STEP_S = 0.25
TERMS = FetchTerms(read_s=15.0)  # until the depot must have answered
DEVICE_KINDS = ("presence", "state")

Heard = Callable[[OfferAnswer], None]


class Session:
    """A `with`: connected inside. files: reads what the depot has. devices: all that were heard."""

    def __init__(self, make_link: MakeLink, fleet: str, note: Note) -> None:
        self.fleet = fleet
        self.devices = Fleet(fleet)
        self._id = secrets.token_hex(8)
        self._offers = 0
        self._note = note
        self._inbox = Inbox()
        self._link = make_link(f"push-{secrets.token_hex(6)}", self._post)
        self.files = BlockClient(self._link, fleet, topics.offer(fleet, self._id, "ask"), TERMS)
        self._is_connected = False
        self._connections = 0
        self._why: str | None = None  # there is no connection
        self._server: BlockServer | None = None
        self._answers: dict[str, OfferAnswer] = {}
        self._unsent = 0  # bytes of what the broker did not take
        self._sign_s = 0.0  # when the depot last gave a sign, on time.monotonic
        self._changed_s = 0.0  # when the last device said something
        self._is_ended = False

    def __enter__(self) -> Session:
        try:
            self._connect()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def survey(self, is_enough: Callable[[], bool] = lambda: True) -> None:
        """Learn what the devices say of themselves: it is retained, and comes at once. What should
        be there, but is not, is waited for a little longer."""
        for kind in DEVICE_KINDS:
            self._link.subscribe(topics.from_devices(self.fleet, kind))
        start_s = self._changed_s = time.monotonic()
        while (now_s := time.monotonic()) < start_s + SURVEY_S:
            if now_s > self._changed_s + QUIET_S and is_enough():
                break
            self.step(STEP_S / 4)

    def hand_over(self, kind: OfferKind, files: Offered, heard: Heard) -> OfferAnswer:
        """Offer files, and serve their blocks until the depot is done with them.

        Raises Refused with the depot's reason, Unavailable if it gives no sign.
        """
        offer = Offer(files.id, kind, files.offered)
        self._server = BlockServer(self._link.publish, self.fleet, files)
        try:
            return self.exchange(files.id, "offer", msgspec.json.encode(offer), heard)
        finally:
            self._server.close()
            self._server = None

    def exchange(
        self, identity: str, part: topics.OfferPart, payload: bytes, heard: Heard
    ) -> OfferAnswer:
        """Send something to the depot until it says that it is done. Raises as `hand_over`."""
        for own in ("answer", "want"):
            self._link.subscribe(topics.offer(self.fleet, identity, own))
        self._answers.clear()
        self._sign_s = time.monotonic()
        due_s, connections = -math.inf, 0
        told: OfferAnswer | None = None
        while True:
            now_s = time.monotonic()
            if self._is_connected and (now_s >= due_s or connections != self._connections):
                number = self._link.publish(topics.offer(self.fleet, identity, part), payload)
                self._unsent = len(payload) if number is None else 0
                due_s, connections = now_s + AGAIN_S, self._connections
            self.step(STEP_S)
            due_s = max(due_s, self._sign_s + AGAIN_S)
            answer = self._answers.get(identity)
            if answer is not None and answer is not told:
                told = answer
                heard(answer)
                if answer.phase == "refused":
                    raise Refused(f"the depot refuses it: {answer.text}")
                if answer.phase == "done":
                    return answer
            if now_s > self._sign_s + SIGN_S:
                raise Unavailable(self._silence(now_s - self._sign_s))

    def now_s(self) -> float:
        """Unix time."""
        return time.time()

    def new_id(self) -> str:
        """Of the topics of the next offer or wish."""
        self._offers += 1
        return f"{self._id}-{self._offers}"

    def step(self, timeout_s: float) -> None:
        """Take what comes, for so long at most, and send the blocks that are due."""
        if self._is_ended:
            raise Unavailable("it was ended: this program stops")
        if self._server is not None:
            timeout_s = min(timeout_s, max(0.0, self._server.tick()))
        event = self._inbox.take(timeout_s)
        while event is not None:
            self._take(event)
            event = self._inbox.take(0)

    def end(self) -> None:
        """Whoever waits here for the broker or the depot waits no longer: it raises Unavailable.
        Any thread; the session is to be left afterwards."""
        self._is_ended = True
        self.files.close()

    def _connect(self) -> None:
        self._link.open()
        until_s = time.monotonic() + CONNECT_S
        while not self._is_connected:
            if time.monotonic() >= until_s:
                why = self._why or "it does not answer"
                raise Unavailable(
                    f"no connection to the broker in {CONNECT_S:g} s: {why}: check --broker"
                )
            self.step(STEP_S)

    def _close(self) -> None:
        self._inbox.close()
        self.files.close()
        self._link.close()

    def _post(self, event: LinkEvent) -> None:
        """For the link's thread."""
        if not self.files.post(event):
            self._inbox.post(event)

    def _take(self, event: LinkEvent) -> None:
        if isinstance(event, Received):
            self._receive(event)
        elif isinstance(event, Connected):
            self._is_connected = True
            self._connections += 1
            if self._why is not None:
                self._note("the broker is there again")
            self._why = None
        elif isinstance(event, Disconnected):
            if self._connections == 0 and event.refused:
                raise Unavailable(event.why)
            if self._is_connected:
                self._note(f"the broker went away: {event.why}: waiting for it")
            self._is_connected = False
            self._why = event.why

    def _receive(self, message: Received) -> None:
        place = topics.offered(message.topic)
        if place is None:
            if self.devices.hear(message, time.time()) is not None:
                self._changed_s = time.monotonic()
        elif place.part == "want" and self._server is not None:
            self._sign_s = time.monotonic()
            self._server.asked("depot", message.payload)
        elif place.part == "answer":
            self._hear_answer(place.id, message.payload)

    def _hear_answer(self, identity: str, payload: bytes) -> None:
        try:
            answer = parse(payload, OfferAnswer)
        except Refused:
            return
        if answer.id == identity:
            self._answers[identity] = answer
            self._sign_s = time.monotonic()

    def _silence(self, silent_s: float) -> str:
        if not self._is_connected:
            return f"the broker went away, for {silent_s:.0f} s now: {self._why}"
        if self._unsent:
            return f"the broker does not take a message of {self._unsent} bytes: raise its limit"
        return f"the depot has not given a sign for {silent_s:.0f} s: look at its journal"
