"""Whether metadata is what other metadata names: by version, length and digest."""

from __future__ import annotations

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Snapshot, Timestamp

from fleet.roles.roles import read
from wire.release import DEPLOYMENTS
from wire.troubles import Refused


def check_named(timestamp: bytes, snapshot: bytes, targets: bytes, deployments: bytes) -> None:
    """Raises Refused unless the timestamp names this snapshot, and that the other two."""
    named = read(snapshot, Snapshot).signed.meta
    for what, meta, content in (
        ("snapshot", read(timestamp, Timestamp).signed.snapshot_meta, snapshot),
        ("targets", named["targets.json"], targets),
        (DEPLOYMENTS, named[f"{DEPLOYMENTS}.json"], deployments),
    ):
        try:
            meta.verify_length_and_hashes(content)
        except LengthOrHashMismatchError:
            raise Refused(f"the {what} metadata is not what was signed") from None
