"""Bundles without a signature, which wait in the depot for `vedette fleet sign`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec

from fleet.roles.targets import Target
from fleet.signer.checks import check_blocks
from fleet.signer.place import SignerPlace
from models import bundle
from wire.block.blocks import block_count
from wire.offers import (
    CANDIDATE_LIST,
    CANDIDATES,
    MOST_CANDIDATES,
    Candidate,
    CandidateList,
    Offer,
    candidate_blocks_path,
    candidate_path,
)
from wire.troubles import Refused
from wire.unreadable import UNREADABLE

LARGEST = 512 << 20  # bytes of one
MOST_BYTES = 2 << 30  # of all


def offered_candidate(offer: Offer) -> tuple[Target, Target]:
    """The bundle that an offer names, and the list of its blocks. Raises Refused."""
    files = {file.path: Target(file.path, file.digest, file.size) for file in offer.files}
    found = next((file for path, file in files.items() if path.endswith(".zip")), None)
    if found is None or found.path != candidate_path(found.digest):
        raise Refused("the offer of a candidate must name its bundle by its digest")
    if found.size > LARGEST:
        raise Refused(
            f"{found.size} bytes are too many for a candidate: {LARGEST >> 20} MiB are the most"
        )
    blocks = files.get(candidate_blocks_path(found.digest))
    if blocks is None or len(files) != 2 or blocks.size != 32 * block_count(found.size):
        raise Refused("the offer of a candidate must name the list of its blocks, and no more")
    return found, blocks


def checked_candidate(path: Path, file: Target, digests: bytes, now_s: float) -> Candidate:
    """Verify a bundle to its last byte; nobody has signed it. Raises Refused."""
    check_blocks(path, "the candidate", digests)
    try:
        found = bundle.inspect(path)
    except Refused as refused:
        raise Refused(str(refused).replace(str(path), "the candidate")) from None
    if found.digest != file.digest:
        raise Refused("the candidate's bytes are not those that were offered: offer it again")
    of = found.manifest
    return Candidate(file.digest, file.size, of.name, of.version, of.format, of.boards, now_s)


class Candidates:
    """The folder candidates/. What its list does not name is not there."""

    def __init__(self, place: SignerPlace) -> None:
        self._place = place
        self._waiting = self._read()
        self._sweep()

    @property
    def waiting(self) -> tuple[Candidate, ...]:
        """The newest first."""
        return self._waiting

    def served(self) -> tuple[str, ...]:
        """The paths of all that others may read."""
        digests = [one.digest for one in self._waiting]
        files = [path(digest) for digest in digests for path in _PATHS]
        return (CANDIDATE_LIST, *files)

    def add(self, candidate: Candidate, arrived: Path, blocks: Path) -> None:
        """Let a checked bundle wait; the files are moved. The oldest make room."""
        self._place.place(arrived, candidate_path(candidate.digest))
        self._place.place(blocks, candidate_blocks_path(candidate.digest))
        others = [one for one in self._waiting if one.digest != candidate.digest]
        kept, left = [candidate], MOST_BYTES - candidate.size
        for one in others[: MOST_CANDIDATES - 1]:
            left -= one.size
            if left >= 0:
                kept.append(one)
        self._keep(kept)

    def forget(self, signed: Collection[str]) -> bool:
        """Take away what a release lists. Whether there was any."""
        kept = [one for one in self._waiting if one.digest not in signed]
        if len(kept) == len(self._waiting):
            return False
        self._keep(kept)
        return True

    def _keep(self, candidates: list[Candidate]) -> None:
        content = msgspec.json.encode(CandidateList(tuple(candidates)))
        self._place.write(CANDIDATE_LIST, content)
        self._waiting = tuple(candidates)
        self._sweep()

    def _read(self) -> tuple[Candidate, ...]:
        """Those of the list whose files are there. A list that cannot be read has none."""
        try:
            content = self._place.read(CANDIDATE_LIST)
            if content is None:
                self._place.write(CANDIDATE_LIST, msgspec.json.encode(CandidateList(())))
                return ()
            found = msgspec.json.decode(content, type=CandidateList).candidates
        except (Refused, *UNREADABLE):
            self._place.write(CANDIDATE_LIST, msgspec.json.encode(CandidateList(())))
            return ()
        return tuple(one for one in found if self._is_there(one))

    def _is_there(self, one: Candidate) -> bool:
        return self._place.size(candidate_path(one.digest)) == one.size and (
            self._place.size(candidate_blocks_path(one.digest)) == 32 * block_count(one.size)
        )

    def _sweep(self) -> None:
        keep = set(self.served())
        there = [f"{CANDIDATES}{name}" for name in self._place.names(CANDIDATES)]
        self._place.remove([path for path in there if path not in keep])


_PATHS = (candidate_path, candidate_blocks_path)
