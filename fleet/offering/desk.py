"""What an operator's command does with a fleet: reads its signed metadata, releases, deploys."""

from __future__ import annotations

import contextlib
import fcntl
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from fleet.folder import FleetFolder, check_is_operators
from fleet.offering.files import Offered, OfferFile, in_memory
from fleet.offering.offering import Session
from fleet.roles import roles
from fleet.roles.targets import check_not_retired, retired_of, targets_of
from fleet.rollout.draft import empty, release_of, without
from fleet.wording import size
from wire import topics
from wire.backoff import Backoff
from wire.deployments import Deployment
from wire.envelope import sealed
from wire.link import Link, Post
from wire.messages import Trusted
from wire.mqtt.mqtt import MqttLink
from wire.offers import DOMAIN, OfferAnswer, OfferKind, Wish
from wire.release import DEPLOYMENTS, METADATA
from wire.signing import SigningKey, load_key
from wire.troubles import Refused, Unavailable, one_line
from wire.trust.kept import Chain
from wire.trust.trust import Trust

AGAIN_S = 2.0  # between two attempts to reach the broker, at most
WISH_S = 300  # a wish is good for so long
TURN_S = 30.0  # another command on the same folder is waited for
TRIES = 5  # where somebody else was quicker
TELL_S = 2.0  # between two lines about the same transfer


class Overtaken(Refused):
    """What was drafted follows something that is in force no more."""


def note(text: str) -> None:
    """Say something on the way, beside the outcome."""
    print(f"vedette: {one_line(text)}", file=sys.stderr, flush=True)


def open_session(folder: FleetFolder) -> Session:
    """A connection to the fleet's broker: a `with`."""

    def make(client_id: str, post: Post) -> Link:
        return MqttLink(folder.broker, client_id, post, backoff=Backoff(most_s=AGAIN_S))

    return Session(make, folder.name, note)


@contextlib.contextmanager
def open_desk(folder: FleetFolder) -> Iterator[tuple[Desk, Session]]:
    """Connected, and with the newest signed metadata. Raises Unavailable, Refused."""
    check_is_operators(folder)
    with open_session(folder) as session:
        desk = Desk(folder, session)
        desk.refresh()
        yield desk, session


class Desk:
    """Over one session. Everything that is read of the metadata is of the last `refresh`."""

    def __init__(
        self, folder: FleetFolder, session: Session, key: SigningKey | None = None
    ) -> None:
        """key: a command key; None: that of the folder, where it is needed."""
        self._folder = folder
        self._session = session
        self._given_key = key
        try:
            root = folder.root.read_bytes()
        except OSError as error:
            raise Unavailable(f"{folder.root}: cannot be read: {error.strerror}") from None
        self.trust = Trust(folder.trust, root, session.files, time.time)

    def refresh(self) -> Trusted:
        """The newest signed metadata. Unavailable if no depot answers, Refused if it is bad."""
        try:
            with _turn(self._folder.path / "trust.lock"):
                return self.trust.refresh()
        except Unavailable as error:
            raise Unavailable(
                f"fleet {self._session.fleet} at {self._folder.broker.url}: {error}"
            ) from None

    @property
    def chain(self) -> Chain:
        """The metadata that is believed, as bytes."""
        chain = self.trust.chain
        assert chain is not None, "there was a refresh"
        return chain

    def pipelines(self) -> tuple[str, ...]:
        """For which something was deployed."""
        if self.trust.chain is None:
            return ()
        paths = (one.path for one in targets_of(self.chain.deployments))
        return tuple(
            sorted(path.partition("/")[2].removesuffix(".json") for path in paths
                   if path.startswith(f"{DEPLOYMENTS}/"))
        )  # fmt: skip

    def deployment(self, pipeline: str) -> Deployment:
        """What is deployed to a pipeline; without rules if nothing is."""
        topics.checked(pipeline)
        return self.trust.deployment(pipeline) or empty(pipeline)

    def available(self, deployment: Deployment) -> Deployment:
        """It without versions that were retired: nobody can get those, nor go back to them."""
        there = {(one.variant.model, one.variant.version) for one in self.trust.models()}
        return without(deployment, {release_of(r) for r in deployment.rules} - there)

    def deployments(self) -> tuple[Deployment, ...]:
        return tuple(self.deployment(pipeline) for pipeline in self.pipelines())

    def release(self, targets: bytes, files: Iterable[OfferFile], what: str) -> None:
        """Hand over complete release metadata with the new files that it names, and see that it
        came into force. Raises Overtaken, Refused, Unavailable."""
        before = self.chain.targets
        version = roles.version_of(targets)
        metadata = in_memory(f"{METADATA}{version}.targets.json", targets)
        refused: Refused | None = None
        try:
            hand_over(self._session, "release", [metadata, *files], what)
        except Refused as error:  # or its answer was lost, and this one was to a copy
            refused = error
        self.refresh()
        if self.chain.targets == targets:
            return
        if self.chain.targets != before:
            raise Overtaken("somebody else released meanwhile: look, and run the command again")
        raise refused or Unavailable("the depot took the release, and did not bring it into force")

    def deploy(self, before: Deployment, after: Deployment) -> int:
        """Bring a deployment into force in place of the one before. The version of the
        deployments that holds it. Raises Overtaken, Refused, Unavailable."""
        key = self._key()
        for _ in range(TRIES):
            trusted = self.trust.trusted
            assert trusted is not None, "there was a refresh"
            refused = self._wish(after, trusted.deployments, key)
            now, there = self.refresh(), self.deployment(after.pipeline)
            if there == after:
                return now.deployments
            if there != before:
                raise Overtaken(
                    f"somebody else deployed to {after.pipeline} meanwhile: look, and run the "
                    "command again"
                )
            if now.deployments == trusted.deployments:  # it was not about another pipeline
                break
        raise refused or Unavailable("the depot took the wish, and did not bring it into force")

    def _wish(self, deployment: Deployment, after: int, key: SigningKey) -> Refused | None:
        """Send it. Why the depot refuses it; its answer may be to a copy that came late."""
        identity, now_s = self._session.new_id(), int(time.time())
        wish = Wish(
            fleet=self._session.fleet,
            id=identity,
            issued=now_s,
            expires=now_s + WISH_S,
            after=after,
            deployment=deployment,
        )
        payload = sealed(DOMAIN, msgspec.json.encode(wish), key)
        try:
            self._session.exchange(identity, "deploy", payload, lambda _: None)
        except Refused as error:
            return error
        return None

    def check_command_key(self) -> None:
        """Raises Refused if deployments signed with our key are not believed."""
        if self._key().public not in self.trust.command_keys():
            named = self._folder.command_key if self._given_key is None else "the key"
            raise Refused(
                f"{named} is not among the fleet's command keys: take the newest one, or rotate "
                "it: vedette fleet keys rotate command"
            )

    def _key(self) -> SigningKey:
        return self._given_key or load_key(self._folder.command_key)

    def digests(self, model: str, version: str) -> frozenset[str]:
        """Of the variants of a version."""
        return frozenset(one.digest for one in self.trust.bundles(model, version))

    def check_not_retired(self, model: str, version: str) -> None:
        """Raises Refused for a version that was taken back for good."""
        check_not_retired(self.chain.targets, model, version)

    def was_retired(self, model: str, version: str) -> bool:
        return (model, version) in retired_of(self.chain.targets)

    def versions(self) -> Mapping[str, tuple[str, ...]]:
        """All versions of all models that are released, by their numbers."""
        found: dict[str, set[str]] = {}
        for one in self.trust.models():
            found.setdefault(one.variant.model, set()).add(one.variant.version)
        return {model: in_order(versions) for model, versions in sorted(found.items())}


@contextlib.contextmanager
def _turn(path: Path) -> Iterator[None]:
    """One command at a time refreshes what a folder believes; others wait for their turn."""
    try:
        lock = open(path, "ab")  # noqa: SIM115 -- closed below
    except OSError as error:
        raise Unavailable(f"{path}: cannot be written: {error.strerror}") from None
    with lock:
        until_s = time.monotonic() + TURN_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until_s:
                    raise Unavailable(f"{path}: another command is at it: try again") from None
                time.sleep(TURN_S / 600)
        yield


def in_order(versions: Iterable[str]) -> tuple[str, ...]:
    """As people count: 9 before 10, 1.9 before 1.10."""

    def parts(version: str) -> list[tuple[int, int, str]]:
        found = re.findall(r"[0-9]+|[^0-9]+", version)
        return [(0, int(each), "") if each.isdigit() else (1, 0, each) for each in found]

    return tuple(sorted(versions, key=lambda version: (parts(version), version)))


def hand_over(session: Session, kind: OfferKind, files: Iterable[OfferFile], what: str) -> None:
    """Give files to the depot, and say how far it is. what: they are, to people.

    Raises Refused, Unavailable.
    """
    told_s = -TELL_S

    def tell(answer: OfferAnswer) -> None:
        nonlocal told_s
        now_s = time.monotonic()
        if answer.phase != "fetching" or not answer.total_bytes or now_s < told_s + TELL_S:
            return
        told_s = now_s
        percent = min(100, 100 * answer.done_bytes // answer.total_bytes)
        note(f"the depot fetches {what}: {percent} % of {size(answer.total_bytes)}")

    offered = Offered(session.new_id(), files)
    note(f"handing {what} to the depot: {size(sum(one.size for one in offered.offered))}")
    session.hand_over(kind, offered, tell)
