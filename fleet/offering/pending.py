"""Release metadata that waits on disk for more signatures: reading it, and what it would change."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from fleet.offering.files import OfferFile
from fleet.roles import roles
from fleet.roles.targets import Target, targets_of
from wire.release import COMMAND_KEYS, target_file
from wire.troubles import Refused, Unavailable
from wire.trust.kept import Chain

LARGEST = 8 * 1024 * 1024  # bytes


def read_pending(path: Path, chain: Chain) -> bytes:
    """Release metadata in a file that may follow what is in force, its signatures aside.

    Raises Refused, Unavailable.
    """
    try:
        with open(path, "rb") as file:
            targets = file.read(LARGEST + 1)
    except OSError as error:
        raise Unavailable(f"{path}: cannot be read: {error.strerror}") from None
    if len(targets) > LARGEST:
        raise Refused(f"{path}: too large for release metadata")
    have, got = roles.version_of(chain.targets), roles.version_of(targets)
    if got != have + 1:
        raise Refused(
            f"{path}: is release {got}, and release {have} is in force: somebody else released "
            "meanwhile: push again"
        )
    if roles.expires_of(targets) < time.time():
        raise Refused(f"{path}: expired: push again")
    return targets


def changes(before: bytes, after: bytes) -> Iterator[str]:
    """What a release changes, a line each, for who is to sign it. Raises Refused."""
    old = {one.path: one for one in targets_of(before)}
    new = {one.path: one for one in targets_of(after)}
    for path in sorted(new.keys() - old.keys()):
        yield f"new: {path}, {new[path].size:,} bytes, sha256 {new[path].digest}"
    for path in sorted(old.keys() - new.keys()):
        yield f"gone: {path}"
    for path in sorted(old.keys() & new.keys()):
        if old[path] != new[path]:
            what = "whose commands devices obey" if path == COMMAND_KEYS else path
            yield f"changed: {what}, sha256 {new[path].digest}"
    if roles.role_of(before, "deployments") != roles.role_of(after, "deployments"):
        yield f"changed: who signs deployments: {roles.role_of(after, 'deployments')}"


def pending_files(path: Path, before: bytes, after: bytes) -> tuple[OfferFile, ...]:
    """The new files of a release, as far as they lie beside it; the depot must have the others."""
    known = {one.path: one.digest for one in targets_of(before)}
    new = (one for one in targets_of(after) if known.get(one.path) != one.digest)
    return tuple(file for one in new if (file := _file(path.parent, one)) is not None)


def _file(place: Path, target: Target) -> OfferFile | None:
    where = target_file(target.path, target.digest)
    source = place / where.rpartition("/")[2]
    if not source.is_file():
        return None
    return OfferFile(where, target.digest, target.size, source)
