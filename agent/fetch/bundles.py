"""Brings bundles into the store: resumable, within the bytes of a day and the room on the disk."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from agent.fetch.day_budget import DayBudget
from agent.fetch.disk_room import bytes_below, why_no_room
from agent.fetch.plan import Get, Sweep
from agent.fetch.sources import Sources
from agent.fetch.words import Examined, Fetched, NotFetched, Progress
from models.store import Store
from wire.block.part import Part
from wire.config import Updates
from wire.durable import make_folder_durably, remove_durably
from wire.steps import reached
from wire.troubles import Refused, Unavailable

if TYPE_CHECKING:
    from wire.trust.trust import Bundle, Trust

READ_BYTES = 1024 * 1024
_OURS = re.compile(r"\.?([0-9a-f]{64})\.zip")


class Bundles:
    """For the fetch thread. folder: where files lie until they are whole and unpacked."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        table: Updates,
        trust: Trust,
        sources: Sources,
        budget: DayBudget,
    ) -> None:
        self._store = store
        self._folder = folder
        self._table = table
        self._trust = trust
        self._sources = sources
        self._budget = budget

    def get(
        self, get: Get, progress: Callable[[Progress], None], is_over: Callable[[], bool]
    ) -> Fetched | NotFetched | None:
        """None: it was ended before it was there; what came is kept."""
        digest = get.bundle.digest
        try:
            if not self._store.is_whole(digest):
                why_not = self._fetch(get, progress, is_over)
                if why_not is not None:
                    return why_not
            return Fetched(digest)
        except Refused as trouble:
            self._drop(digest)
            return NotFetched(digest, str(trouble), "refused")
        except Unavailable as trouble:
            if (why := self._budget.why_not()) is not None:
                return NotFetched(digest, why, "no_budget")
            return None if is_over() else NotFetched(digest, str(trouble), "unavailable")
        except OSError as error:
            return NotFetched(digest, f"{self._folder}: {error.strerror}", "no_room")
        finally:
            self._budget.keep()

    def examine(self, digest: str) -> Examined:
        """Read all of a model in the store."""
        bundle = next((one for one in self._trust.models() if one.digest == digest), None)
        return Examined(digest, self._store.is_whole(digest), bundle)

    def sweep(self, sweep: Sweep) -> None:
        """Remove models and parts of bundles that nobody wants."""
        with contextlib.suppress(Unavailable, OSError):  # the next one may do better
            self._store.collect(self._table.keep, sweep.pinned | sweep.wanted)
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                ours = _OURS.match(path.name)
                if ours is not None and ours[1] not in sweep.wanted:
                    remove_durably(path)

    def _fetch(
        self, get: Get, progress: Callable[[Progress], None], is_over: Callable[[], bool]
    ) -> NotFetched | None:
        bundle = get.bundle
        make_folder_durably(self._folder)
        path = self._folder / f"{bundle.digest}.zip"
        part, have_bytes = None, bundle.size
        if not path.exists():
            part = self._part(path, bundle)
            reached("fetch.part_opened", bundle.digest)
            have_bytes = part.have_bytes
        why_not = self._why_no_room(get, have_bytes)
        if why_not is not None:
            return NotFetched(bundle.digest, why_not, "no_room")
        if part is not None:
            if (why_not := self._budget.why_not()) is not None:
                return NotFetched(bundle.digest, why_not, "no_budget")
            self._fill(bundle, part, progress, is_over)
            part.finish()
            reached("fetch.whole", bundle.digest)
        try:
            digest = self._store.install(path)
            if digest != bundle.digest:
                raise Refused(f"{bundle.path}: other bytes than were signed")
        except Unavailable as trouble:  # of the disk: no depot is to blame
            return NotFetched(bundle.digest, str(trouble), "no_room")
        except Refused as trouble:
            if not _has_digest(path, bundle.digest):
                self._drop(bundle.digest)
                why = f"the disk has spoiled it, it is fetched again: {trouble}"
                return NotFetched(bundle.digest, why, "no_room")
            self._store.install(path)  # a disk that failed just once condemns no model
        remove_durably(path)
        reached("install.cleared", bundle.digest)
        return None

    def _part(self, path: Path, bundle: Bundle) -> Part:
        try:
            digests = self._trust.block_digests(bundle)
        except Refused as trouble:  # by those who hand them out, or for now
            raise Unavailable(str(trouble)) from None
        return Part(path, bundle.size, bundle.digest, digests)

    def _fill(
        self,
        bundle: Bundle,
        part: Part,
        progress: Callable[[Progress], None],
        is_over: Callable[[], bool],
    ) -> None:
        have_bytes = part.have_bytes

        def came(now_bytes: int) -> None:
            nonlocal have_bytes
            if now_bytes > have_bytes:
                self._budget.spend(now_bytes - have_bytes)
                progress(Progress(bundle.digest, now_bytes))
                reached("fetch.block_kept", bundle.digest)
            have_bytes = now_bytes

        try:
            self._sources.fetch(
                bundle,
                part,
                came,
                lambda: is_over() or self._budget.why_not() is not None,
                self._budget.left_bytes,
            )
        except Refused as trouble:
            if part.is_whole:
                raise
            # nobody trusts who sent that: it says nothing of what was signed
            raise Unavailable(str(trouble)) from None

    def _why_no_room(self, get: Get, have_bytes: int) -> str | None:
        """After everything went that need not stay."""
        pinned, size = get.pinned | {get.bundle.digest}, get.bundle.size
        why = self._why_full(size, have_bytes)
        for keep in (self._table.keep, 0):
            if why is None:
                return None
            self._store.collect(keep, pinned)
            why = self._why_full(size, have_bytes)
        return why

    def _why_full(self, size: int, have_bytes: int) -> str | None:
        used_bytes = bytes_below(self._store.root) + bytes_below(self._folder)
        most_mib = self._table.disk_mib
        return why_no_room(size, have_bytes, used_bytes, most_mib, self._folder)

    def _drop(self, digest: str) -> None:
        """What is refused is of no use."""
        for suffix in ("zip", "zip.part", "zip.have"):
            with contextlib.suppress(OSError):
                remove_durably(self._folder / f"{digest}.{suffix}")


def _has_digest(path: Path, digest: str) -> bool:
    """Whether a file is what was signed, and can be read."""
    content = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(READ_BYTES):
                content.update(piece)
    except OSError:
        return False
    return content.hexdigest() == digest
