"""Bundles that wait in the depot for a signature: which there are, and getting one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from fleet.offering.offering import Session
from fleet.rollout.words import named
from wire.block.blocks import NoSuchFile, block_count
from wire.block.part import Part
from wire.offers import (
    CANDIDATE_LIST,
    Candidate,
    CandidateList,
    candidate_blocks_path,
    candidate_path,
)
from wire.release import file_key
from wire.troubles import Refused
from wire.unreadable import UNREADABLE, why

MOST_LIST = 256 * 1024  # bytes
DIGITS = 12  # of a digest, where people read it


def candidates(session: Session) -> tuple[Candidate, ...]:
    """All that wait, the newest first. Raises Unavailable, Refused."""
    try:
        content = session.files.read(CANDIDATE_LIST, MOST_LIST)
    except NoSuchFile:
        return ()
    try:
        return msgspec.json.decode(content, type=CandidateList).candidates
    except UNREADABLE as error:
        raise Refused(f"the depot's list of candidates cannot be read: {why(error)}") from None


def chosen(waiting: Sequence[Candidate], digits: str) -> Candidate:
    """The one whose digest begins so. Raises Refused if there is none, or are several."""
    if not re.fullmatch(r"[0-9a-f]{4,64}", digits):
        raise Refused(
            f"{digits}: neither a file nor the begin of a candidate's digest (4 to 64 hex digits)"
        )
    found = [one for one in waiting if one.digest.startswith(digits)]
    if len(found) == 1:
        return found[0]
    there = named(one.digest[:DIGITS] for one in found or waiting)
    if found:
        raise Refused(f"{digits}: several candidates begin so: {there}")
    have = f"there are {there}" if waiting else "none waits"
    raise Refused(f"{digits}: no such candidate waits in the depot: {have}")


def fetch(
    session: Session, wanted: Candidate, folder: Path, progress: Callable[[int], None]
) -> Path:
    """Get a candidate into a folder. Nobody has vouched for it. Raises Refused, Unavailable."""
    blocks = candidate_blocks_path(wanted.digest)
    digests = session.files.read(blocks, 32 * block_count(wanted.size))
    part = Part(folder / f"{wanted.digest}.zip", wanted.size, wanted.digest, digests)
    key = file_key(candidate_path(wanted.digest))
    session.files.fetch(key, part, progress, lambda: False)
    return part.finish()
