"""Which models a device may run: signed metadata, refreshed from a source that nobody trusts.

The checks are TUF's, by python-tuf. What was accepted stays usable when a refresh fails, also over
a restart without a network. For one thread at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
from tuf.ngclient import Updater

from wire.block.blocks import NoSuchFile, block_count
from wire.deployments import LARGEST, Deployment, read_deployment
from wire.messages import Trusted
from wire.release import COMMAND_KEYS, CommandKeys, blocks_path, deployment_path, target_file
from wire.troubles import Refused, Unavailable
from wire.trust.accepted import Accepted, Bundle, SmallFile
from wire.trust.kept import Chain, Kept
from wire.trust.updating import Source, refresh_fleet
from wire.trust.verified import Verified
from wire.trust.words import Reference, Timeless
from wire.unreadable import UNREADABLE

__all__ = ["Bundle", "Source", "Trust"]

LARGEST_KEYS = 16 * 1024  # bytes of the list of command keys


class Trust:
    """What is believed now, and what makes it newer."""

    def __init__(
        self, folder: Path, root: bytes, source: Source, now_s: Callable[[], float]
    ) -> None:
        """folder: what is kept. root: the metadata that is trusted first; Refused if it is none.
        now_s: Unix time by the system's clock."""
        self._kept = Kept(folder)
        self._verified = Verified(self._kept, root, source, now_s)
        self._origin = hashlib.sha256(root).hexdigest()
        self._source = source
        chain = self._kept.accepted(self._origin)
        self._accepted = None if chain is None else Accepted(chain)

    @property
    def trusted(self) -> Trusted | None:
        """The versions of what is believed; None before anything was."""
        return None if self._accepted is None else self._accepted.trusted

    @property
    def chain(self) -> Chain | None:
        """The metadata that is believed, as it was signed."""
        return None if self._accepted is None else self._accepted.chain

    @property
    def expiries(self) -> tuple[tuple[str, float], ...]:
        """Each role, and when what is believed of it expires, in Unix time."""
        return () if self._accepted is None else self._accepted.expiries

    @property
    def issued_s(self) -> float:
        """The newest time (Unix) at which accepted metadata was signed: now is later than that."""
        return self._verified.issued_s

    def refresh(self) -> Trusted:
        """Ask for newer metadata, and believe it if all of it is right.

        Refused: a signature, version or expiry is wrong. Unavailable: no answer, or no disk. What
        was believed before stays.
        """
        return self._believe(self._verified.now)

    def refresh_expired(self) -> Trusted:
        """As refresh, and what has expired is believed too: for who signs it anew, and for nobody
        else. Raises as refresh."""
        return self._believe(Timeless)

    def _believe(self, reference: Callable[[], Reference]) -> Trusted:
        with self._kept.locked():
            accepted = Accepted(self._verified.run(self._refreshed_chain, reference))
            if self._accepted is None or accepted.chain != self._accepted.chain:
                self._kept.accept(accepted.chain)
                self._kept.drop_files_but(accepted.small_digests)
            self._accepted = accepted
        return accepted.trusted

    def _refreshed_chain(self, updater: Updater) -> Chain:
        refresh_fleet(updater, self._kept.work)
        return self._kept.chain_of_work(self._origin)

    def bundles(self, model: str, version: str) -> tuple[Bundle, ...]:
        """The variants of a version of a model; none if there is no such version."""
        wanted = (model, version)
        return tuple(b for b in self.models() if (b.variant.model, b.variant.version) == wanted)

    def models(self) -> tuple[Bundle, ...]:
        """All bundles."""
        return () if self._accepted is None else self._accepted.bundles

    def block_digests(self, bundle: Bundle) -> bytes:
        """The sha256 of each block, 32 bytes each. Refused if the bundle is not released any more;
        Unavailable if they are not here and do not come."""
        path, size = blocks_path(bundle.path), 32 * block_count(bundle.size)
        file = None if self._accepted is None else self._accepted.released.get(path)
        if bundle not in self.models() or file is None:
            raise Refused(f"{bundle.path}: the fleet has released it no longer")
        if file.size != size:
            raise Refused(f"{path}: {file.size} bytes are not the digests of {bundle.size} bytes")
        return self._content(file, size)

    def deployment(self, pipeline: str) -> Deployment | None:
        """Which device runs what in a pipeline; None: nothing is said. Raises as block_digests."""
        if self._accepted is None:
            return None
        file = self._accepted.deployed.get(deployment_path(pipeline))
        return None if file is None else read_deployment(self._content(file, LARGEST), pipeline)

    def command_keys(self) -> tuple[str, ...]:
        """The public keys (hex) whose commands devices obey. Raises as block_digests."""
        file = None if self._accepted is None else self._accepted.released.get(COMMAND_KEYS)
        if file is None:
            return ()
        try:
            return msgspec.json.decode(self._content(file, LARGEST_KEYS), type=CommandKeys).keys
        except UNREADABLE as error:
            raise Refused(f"{COMMAND_KEYS}: {error}") from None

    def _content(self, file: SmallFile, most_bytes: int) -> bytes:
        """A small signed file, from the disk or else from the source."""
        if file.size > most_bytes:
            raise Refused(f"{file.path}: {file.size} bytes are too many")
        content = self._kept.file(file.digest)
        if content is not None:
            return content
        try:
            content = self._source.read(target_file(file.path, file.digest), file.size)
        except NoSuchFile:
            raise Unavailable(f"the depot has no {file.path}: try again later") from None
        if hashlib.sha256(content).hexdigest() != file.digest:
            raise Refused(f"{file.path}: other bytes than were signed: mistrust the broker")
        self._kept.add_file(content)
        return content
