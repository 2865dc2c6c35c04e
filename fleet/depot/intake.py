"""Fetches what operators offer, on a thread of its own, one offer after the other.

Nothing is fetched that no release key has signed, but candidates, which are bounded. It decides
nothing: what came whole and verified is told, and the depot's thread puts it in force.
"""

from __future__ import annotations

import math
import queue
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.depot.candidates import checked_candidate, offered_candidate
from fleet.depot.incoming import Incoming
from fleet.roles.targets import Target
from fleet.signer.checks import LARGEST_ROOT, Release, check_arrived, contents
from fleet.signer.place import LARGEST_METADATA
from wire.block.blocks import NoSuchFile
from wire.block.client import BlockClient
from wire.block.part import Part
from wire.link import LinkEvent
from wire.offers import Candidate, Offer, OfferedFile, offered_key, offered_path
from wire.release import blocks_path, target_file
from wire.troubles import Refused, Trouble

MOST_WAITING = 8  # offers
MOST_ROOTS = 16
TELL_S = 0.5
IMPATIENT_S = 15.0  # without news, when others wait
TURN_S = 60.0  # of an offer that nobody has signed, when others wait: then it is their turn
_METADATA = re.compile(r"metadata/\d{1,9}\.(root|targets)\.json\Z")


@dataclass(frozen=True)
class Fetching:
    """How far an offer is."""

    identity: str
    text: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class ReleaseArrived:
    """A release is there, verified. files: by digest."""

    identity: str
    release: Release
    files: dict[str, Path]


@dataclass(frozen=True)
class CandidateArrived:
    """A bundle without a signature is there, verified, and the list of its blocks."""

    identity: str
    candidate: Candidate
    file: Path
    blocks: Path


@dataclass(frozen=True)
class NothingNew:
    """What is offered is in force already."""

    identity: str


@dataclass(frozen=True)
class NotTaken:
    """Why an offer came to nothing."""

    identity: str
    trouble: Trouble


@dataclass(frozen=True)
class Broken:
    """A bug ended the thread: the process must end, too."""

    error: BaseException


FromIntake = Fetching | ReleaseArrived | CandidateArrived | NothingNew | NotTaken | Broken
Judge = Callable[[Sequence[bytes], bytes | None], Release | None]


class Intake:
    """judge: of releases, callable here. make_client: for the offer with this id. tell: hears
    what happens, on our thread, and answers what arrived with `settled`."""

    def __init__(
        self,
        incoming: Incoming,
        judge: Judge,
        make_client: Callable[[str], BlockClient],
        tell: Callable[[FromIntake], None],
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._incoming = incoming
        self._judge = judge
        self._make_client = make_client
        self._tell = tell
        self._wall_s = wall_s
        self._offers: queue.Queue[Offer | None] = queue.Queue(MOST_WAITING)
        self._settled = threading.Event()
        self._is_closed = False
        self._client: BlockClient | None = None
        self._news_s = 0.0
        self._told_s = 0.0
        self._turn_s = math.inf  # when the turn of what is fetched is over
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self._thread.start()

    def take(self, offer: Offer) -> bool:
        """Fetch it, after those that wait. False: too many wait."""
        try:
            self._offers.put_nowait(offer)
        except queue.Full:
            return False
        return True

    def post(self, event: LinkEvent) -> bool:
        """For the link's thread. True: it was a block, and is nobody else's."""
        client = self._client
        return client is not None and client.post(event)

    def settled(self) -> None:
        """What arrived was decided about: the next offer may be judged."""
        self._settled.set()

    def close(self) -> None:
        """End, also in the middle of a file; what came is kept."""
        self._is_closed = True
        self._settled.set()
        if client := self._client:
            client.close()
        while True:
            try:
                self._offers.get_nowait()
            except queue.Empty:
                break
        self._offers.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (offer := self._offers.get()) is not None and not self._is_closed:
                self._work(offer)
        except BaseException as error:
            self._tell(Broken(error))

    def _work(self, offer: Offer) -> None:
        self._news_s = time.monotonic()
        self._turn_s = self._news_s + TURN_S if offer.kind == "candidate" else math.inf
        client = self._client = self._make_client(offer.id)
        self._settled.clear()
        if self._is_closed:
            client.close()
        try:
            self._tell(self._arrived(offer, client))
        except Trouble as trouble:
            if self._others_are_due() and self.take(offer):  # what came is kept
                return
            self._tell(NotTaken(offer.id, trouble))
        finally:
            self._client = None
            client.close()
        if not self._is_closed:
            self._settled.wait()

    def _arrived(self, offer: Offer, client: BlockClient) -> FromIntake:
        if offer.kind == "candidate":
            return self._candidate(offer, client)
        return self._release(offer, client)

    def _release(self, offer: Offer, client: BlockClient) -> FromIntake:
        roots, targets = self._metadata(offer, client)
        release = self._judge(roots, targets)
        if release is None:
            return NothingNew(offer.id)
        self._incoming.make_room(release.lacking)
        files = self._files(offer.id, client, release.lacking)
        total_bytes = sum(file.size for file in release.lacking)
        self._tell(Fetching(offer.id, "verifying", total_bytes, total_bytes))
        try:
            check_arrived(release, files)
        except Refused:
            for digest in files:
                self._incoming.forget(digest)
            raise
        return ReleaseArrived(offer.id, release, files)

    def _metadata(self, offer: Offer, client: BlockClient) -> tuple[list[bytes], bytes | None]:
        """New roots, and the release metadata if there is any."""
        named = [file for file in offer.files if _METADATA.match(file.path)]
        roots = [file for file in named if file.path.endswith(".root.json")]
        others = [file for file in named if file not in roots]
        if len(roots) > MOST_ROOTS or len(others) > 1 or not named:
            raise Refused("the offer of a release must name its metadata, and that once")
        found = [self._read(offer.id, client, file, LARGEST_ROOT) for file in roots]
        if not others:
            return found, None
        return found, self._read(offer.id, client, others[0], LARGEST_METADATA)

    def _read(self, identity: str, client: BlockClient, file: OfferedFile, most: int) -> bytes:
        if file.size > most:
            raise Refused(f"{file.path}: {file.size} bytes are too many")
        return client.read(offered_path(identity, file.path), most)

    def _files(
        self, identity: str, client: BlockClient, lacking: Sequence[Target]
    ) -> dict[str, Path]:
        """Everything that lacks, the lists of blocks before the bundles."""
        by_path = {file.path: file for file in lacking}
        files: dict[str, Path] = {}
        done_bytes, total_bytes = 0, sum(file.size for file in lacking)
        for file in sorted(lacking, key=lambda file: file.path.endswith(".zip")):
            where = _Where(identity, target_file(file.path, file.digest), done_bytes, total_bytes)
            path = self._incoming.whole(file)
            if path is None and file.path.endswith(".zip"):
                blocks = by_path.get(blocks_path(file.path))
                if blocks is None:
                    raise Refused(f"{file.path}: its list of blocks is an older one")
                path = self._fetch(client, where, self._incoming.part(file, blocks))
            elif path is None:
                content = client.read(offered_path(identity, where.path), file.size)
                path = self._incoming.keep(file, content)
            files[file.digest] = path
            done_bytes += file.size
        return files

    def _candidate(self, offer: Offer, client: BlockClient) -> FromIntake:
        file, blocks = offered_candidate(offer)
        self._incoming.make_room((file, blocks))
        list_path = self._incoming.whole(blocks)
        if list_path is None:
            content = client.read(offered_path(offer.id, blocks.path), blocks.size)
            list_path = self._incoming.keep(blocks, content)
        path = self._incoming.whole(file)
        if path is None:
            where = _Where(offer.id, file.path, 0, file.size)
            path = self._fetch(client, where, self._incoming.part(file, blocks))
        try:
            found = checked_candidate(path, file, contents(list_path, blocks), self._wall_s())
        except Refused:
            self._incoming.forget(file.digest)
            self._incoming.forget(blocks.digest)
            raise
        return CandidateArrived(offer.id, found, path, list_path)

    def _fetch(self, client: BlockClient, where: _Where, part: Part) -> Path:
        """A bundle, block by block."""

        def progress(have_bytes: int) -> None:
            self._news_s = now_s = time.monotonic()
            if now_s - self._told_s > TELL_S:
                self._told_s = now_s
                done_bytes = where.done_bytes + have_bytes
                self._tell(Fetching(where.identity, "fetching", done_bytes, where.total_bytes))

        try:
            key = offered_key(where.identity, where.path)
            client.fetch(key, part, progress, self._is_over)
            return part.finish()
        except NoSuchFile:
            raise Refused(f"{where.path}: was not offered: push all files of the release") from None
        except Refused:
            part.drop()
            raise

    def _is_over(self) -> bool:
        """Whether to give up: the depot ends, or others wait and nothing comes."""
        silent_s = time.monotonic() - self._news_s
        is_silent = silent_s > IMPATIENT_S and not self._offers.empty()
        return self._is_closed or is_silent or self._others_are_due()

    def _others_are_due(self) -> bool:
        """Whether one that drips has kept others waiting for long enough."""
        is_long = time.monotonic() > self._turn_s
        return is_long and not self._is_closed and not self._offers.empty()


@dataclass(frozen=True)
class _Where:
    """Which file of which offer is fetched. done_bytes: of total_bytes came before it."""

    identity: str
    path: str
    done_bytes: int
    total_bytes: int
