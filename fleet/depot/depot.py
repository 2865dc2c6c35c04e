"""The depot: serves signed files to devices, and takes offers and wishes of operators.

One thread decides: it takes what happens out of its inbox and serves what is due. What operators
offer is fetched on another (fleet/depot/intake.py), so that serving goes on meanwhile.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict

from fleet.depot.answers import Answers
from fleet.depot.bell import Bell
from fleet.depot.candidates import Candidates
from fleet.depot.counts import Counts
from fleet.depot.inbox import DepotInbox
from fleet.depot.incoming import Incoming
from fleet.depot.intake import (
    Broken,
    CandidateArrived,
    Fetching,
    FromIntake,
    Intake,
    NothingNew,
    NotTaken,
    ReleaseArrived,
)
from fleet.depot.library import DepotLibrary
from fleet.depot.share import Share
from fleet.depot.watch import ExpiryWatch
from fleet.signer.signer import Signer, Versions
from wire import topics
from wire.block.client import BlockClient, FetchTerms
from wire.block.server import BlockServer, ServeTerms
from wire.link import Connected, Disconnected, Link, LinkEvent, Post, Received
from wire.offers import OfferAnswer, read_offer
from wire.troubles import Refused, Trouble, Unavailable

TURN_S = 1.0
RENEW_S = 60.0
PARTS: tuple[topics.OfferPart, ...] = ("ask", "offer", "deploy")  # of operators' topics
FETCH = FetchTerms(read_s=20.0, patience_s=60.0)

log = logging.getLogger("vedette.depot")

MakeLink = Callable[[str, Post], Link]  # client id, where events go


class Depot:
    """Between the broker and one fleet's folder. The signer is opened and closed by the caller."""

    def __init__(
        self,
        fleet: str,
        signer: Signer,
        make_link: MakeLink,
        terms: ServeTerms = ServeTerms(),  # noqa: B008 - frozen
        fetch: FetchTerms = FETCH,
        share: Share = Share(),  # noqa: B008 - frozen
    ) -> None:
        """share: of what devices ask for; operators are answered in any case."""
        self.counts = Counts()
        self.inbox: DepotInbox[FromIntake] = DepotInbox()
        self._fleet = fleet
        self._signer = signer
        self._fetch = fetch
        self._share = share
        self._candidates = Candidates(signer.place)
        self._library = DepotLibrary(signer.place.folder)
        self._link = make_link(f"depot-{fleet}"[:64], self._post)
        self._server = BlockServer(self._link.publish, fleet, self._library, terms)
        self._answers = Answers(self._link.publish, fleet, time.monotonic)
        self._intake: Intake | None = None
        self._expiry = ExpiryWatch(signer)
        self._broker: str | None = "connecting"  # what is wrong with the connection
        self._bell = Bell(self._ring, signer, time.monotonic)
        self._renew_s = 0.0
        self._ill: str | None = None  # why nothing can be signed anew

    def open(self) -> None:
        """Begin to serve."""
        self._renew()
        self._fill()
        for pattern in (
            *self._share.patterns(self._fleet),
            *(topics.offers(self._fleet, part) for part in PARTS),
            topics.bell(self._fleet),
        ):
            self._link.subscribe(pattern)
        incoming = Incoming(self._signer.place.incoming)
        self._intake = Intake(incoming, self._signer.judge, self._client, self.inbox.tell)
        self._link.open()

    def close(self) -> None:
        """End in order; what was fetched of an offer is kept."""
        if self._intake is not None:
            self._intake.close()
        self._link.close()
        self._server.close()

    def step(self, timeout_s: float = TURN_S) -> None:
        """Wait for one event, take it, and do what is due."""
        wait_s = min(timeout_s, TURN_S, self._server.tick(), self._answers.tick())
        if (event := self.inbox.take(max(0.0, wait_s))) is not None:
            self._take(event)
        self._bell.tick()
        if time.monotonic() - self._renew_s > RENEW_S:
            self._renew()

    def status(self) -> str:
        """One line for systemctl status."""
        versions, link = self._signer.versions, self._broker or "connected"
        return (
            f"{link}; release {versions.targets}, deployments {versions.deployments}, "
            f"timestamp {versions.timestamp}; {self._server.published_bytes >> 20} MiB served"
        )

    @property
    def trouble(self) -> str | None:
        """Why devices or operators do not get what they ask for now, a sentence."""
        return self._broker or (self._ill and f"nothing can be signed anew: {self._ill}")

    @property
    def published_bytes(self) -> int:
        """Of blocks, so far."""
        return self._server.published_bytes

    @property
    def versions(self) -> Versions:
        """Of the metadata in force."""
        return self._signer.versions

    def wake(self) -> None:
        """Let `step` return at once. Any thread."""
        self.inbox.wake()

    def counted(self) -> dict[str, int]:
        return asdict(self.counts)

    def _post(self, event: LinkEvent) -> None:
        """For the link's thread."""
        if self._intake is None or not self._intake.post(event):
            self.inbox.post(event)

    def _client(self, identity: str) -> BlockClient:
        want = topics.offer(self._fleet, identity, "want")
        return BlockClient(self._link, self._fleet, want, self._fetch)

    def _take(self, event: LinkEvent | FromIntake) -> None:
        if isinstance(event, Received):
            self._receive(event)
        elif isinstance(event, Connected):
            self._broker = None
            log.info("connected to the broker, %s", event.protocol)
            self._bell.ring()
        elif isinstance(event, Disconnected):
            self._lose(event)
        elif isinstance(event, Fetching):
            done, total = event.done_bytes, event.total_bytes
            self._answers.working(OfferAnswer(event.identity, "fetching", event.text, done, total))
        elif isinstance(event, Broken):
            raise event.error
        elif isinstance(event, ReleaseArrived | CandidateArrived | NothingNew | NotTaken):
            self._settle(event)

    def _receive(self, message: Received) -> None:
        told = topics.told(message.topic)
        if told is not None and told.kind == "request":
            self.counts.requests += 1
            self._server.asked(told.device, message.payload)
            return
        if message.topic == topics.bell(self._fleet):
            if (warning := self._bell.hear(message)) is not None:
                log.warning("%s", warning)
            return
        place = topics.offered(message.topic)
        if place is None:
            return  # a block that came late
        if place.part == "ask":
            self.counts.requests += 1
            self._server.asked(f"offer/{place.id}", message.payload)
        elif place.part == "offer" and not message.retained:
            self._hear_offer(place.id, message.payload)
        elif place.part == "deploy" and not message.retained:
            self._hear_wish(place.id, message.payload)

    def _hear_offer(self, identity: str, payload: bytes) -> None:
        if self._answers.again(identity):
            return
        try:
            offer = read_offer(payload, identity)
        except Refused as refused:
            self.counts.garbage += 1
            self._answers.failed(identity, str(refused))
            return
        assert self._intake is not None
        if self._intake.take(offer):
            log.info("an offer comes: %s, files: %s", offer.kind, len(offer.files))
            self._answers.working(OfferAnswer(identity, "fetching", "it waits for its turn"))
        else:
            self._answers.failed(identity, "too many offers wait at this depot: try again later")

    def _hear_wish(self, identity: str, payload: bytes) -> None:
        if self._answers.again(identity):
            return
        try:
            deployment = self._signer.deploy(self._fleet, identity, payload)
        except Refused as refused:
            self.counts.refused += 1
            log.warning("a wish is refused: %s", refused)
            self._answers.failed(identity, str(refused))
            return
        except Unavailable as trouble:
            log.error("a wish cannot come true: %s", trouble)
            self._answers.failed(identity, str(trouble))
            return
        self.counts.wishes += 1
        rules = ", ".join(f"{rule.model} {rule.version}" for rule in deployment.rules) or "nothing"
        log.info("deployed: pipeline %s runs %s", deployment.pipeline, rules)
        self._changed()
        version = self._signer.versions.deployments
        self._answers.done(identity, f"deployments {version} are in force")

    def _settle(self, event: ReleaseArrived | CandidateArrived | NothingNew | NotTaken) -> None:
        """An offer came to its end."""
        try:
            self._answers.done(event.identity, self._decided(event))
        except Refused as refused:
            self.counts.refused += 1
            log.warning("an offer is refused: %s", refused)
            self._answers.refused(event.identity, str(refused))
        except Unavailable as trouble:
            log.warning("an offer was not taken: %s", trouble)
            self._answers.failed(event.identity, str(trouble))
        finally:
            assert self._intake is not None
            self._intake.settled()

    def _decided(self, event: ReleaseArrived | CandidateArrived | NothingNew | NotTaken) -> str:
        """Do what there is to do about an offer, and say so. Raises what is wrong with it."""
        if isinstance(event, NotTaken):
            raise event.trouble
        if isinstance(event, NothingNew):
            return f"nothing is new: release {self._signer.versions.targets} is in force"
        if isinstance(event, CandidateArrived):
            self._candidates.add(event.candidate, event.file, event.blocks)
            self._fill()
            self.counts.candidates += 1
            one = event.candidate
            log.info("candidate %s %s waits to be signed", one.model, one.version)
            return f"{one.model} {one.version} waits: vedette fleet sign {one.digest[:12]}"
        self._signer.put_in_force(event.release, event.files)
        self.counts.releases += 1
        versions = self._signer.versions
        what = f"release {versions.targets}"
        if event.release.roots:
            what = f"root {versions.root} with {what}"
        log.info("%s is in force", what)
        self._changed()
        try:
            self._candidates.forget({file.digest for file in self._signer.held.files.values()})
            self._fill()
        except Unavailable as trouble:  # they wait on; the release is in force all the same
            log.warning("candidates that were released stay: %s", trouble)
        return f"{what} is in force"

    def _renew(self) -> None:
        self._renew_s = time.monotonic()
        try:
            if self._signer.renew():
                log.info("signed anew: timestamp %s", self._signer.versions.timestamp)
                self._changed()
            self._ill = None
        except Trouble as trouble:
            if self._ill != str(trouble):
                log.error("nothing can be signed anew: %s", trouble)
            self._ill = str(trouble)
        for warning in self._expiry.news(time.time()):
            log.warning("%s", warning)

    def _changed(self) -> None:
        """Hand out what is in force now, and say so."""
        self._fill()
        self._bell.ring()

    def _fill(self) -> None:
        self._library.fill((*self._signer.served(), *self._candidates.served()))

    def _ring(self, payload: bytes) -> None:
        self._link.publish(topics.bell(self._fleet), payload, retain=True)

    def _lose(self, event: Disconnected) -> None:
        why = event.why
        if event.taken_over:
            why = f"another depot of fleet {self._fleet} is at this broker: end one of them: {why}"
        if self._broker != why:
            log.warning("%s", why)
        self._broker = why
