"""Signs and writes what comes into force: timestamp.json last, so that it is all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fleet.roles import online as roles_online
from fleet.roles import roles
from fleet.roles.roles import RoleName
from fleet.signer.books import metadata_path
from fleet.signer.checks import Held, checked_files
from fleet.signer.keys import OnlineKeys
from fleet.signer.place import TIMESTAMP, SignerPlace
from wire.release import DEPLOYMENTS
from wire.troubles import Unavailable

BACK_S = 24 * 3600.0  # a clock that is so far behind what was signed before is wrong


class Press:
    """clock: Unix time. Raises Refused where a key is not there, Unavailable where the disk fails
    or the clock is wrong."""

    def __init__(self, place: SignerPlace, keys: OnlineKeys, clock: Callable[[], float]) -> None:
        self._place = place
        self._keys = keys
        self._clock = clock

    def deployments_for(self, targets: bytes, deployments: bytes) -> bytes:
        """The deployments, signed by the key that a release names."""
        if not roles.lacking(deployments, targets, "deployments").count:
            return deployments
        renewed = roles.renewed(deployments, "deployments", self._clock())
        return self.sign("deployments", renewed, targets)

    def sign(self, role: RoleName, metadata: bytes, delegator: bytes) -> bytes:
        """delegator: who says which key signs: the root; for deployments the release metadata."""
        return roles.signed(metadata, [self._keys.of(role, delegator)])

    def check_keys(self, root: bytes, targets: bytes) -> None:
        """Whether all keys are here that these name."""
        for role, delegator in (("snapshot", root), ("timestamp", root), ("deployments", targets)):
            self._keys.of(role, delegator)  # type: ignore[arg-type]  # three names of roles

    def publish(
        self,
        held: Held,
        targets: bytes,
        deployments: bytes,
        new_roots: Sequence[bytes] = (),
    ) -> Held:
        """Put these in force in place of what is. The files that they name are there."""
        root = new_roots[-1] if new_roots else held.root
        now_s = self.now_s(held, root)
        snapshot = roles_online.snapshot_of(held.snapshot, targets, deployments, now_s)
        snapshot = self.sign("snapshot", snapshot, root)
        timestamp = roles_online.timestamp_of(held.timestamp, snapshot, now_s)
        timestamp = self.sign("timestamp", timestamp, root)
        files = held.files if targets == held.targets else checked_files(targets)
        if targets != held.targets:
            self._write(targets, "targets")
        if deployments != held.deployments:
            self._write(deployments, DEPLOYMENTS)
        self._write(snapshot, "snapshot")
        for new in new_roots:  # late: between it and the timestamp devices may have to wait
            self._write(new, "root")
        self._place.write(TIMESTAMP, timestamp)
        return Held(root, targets, deployments, snapshot, timestamp, files)

    def say_again(self, held: Held) -> Held:
        """A new timestamp: the newest snapshot is still the newest."""
        timestamp = roles_online.timestamp_of(
            held.timestamp, held.snapshot, self.now_s(held, held.root)
        )
        timestamp = self.sign("timestamp", timestamp, held.root)
        self._place.write(TIMESTAMP, timestamp)
        return Held(held.root, held.targets, held.deployments, held.snapshot, timestamp, held.files)

    def now_s(self, held: Held, root: bytes) -> float:
        """Unix time, to sign with. root: by which it will be judged."""
        now_s, issued_s = self._clock(), roles.issued_of(held.timestamp)
        if now_s > (end_s := roles.expires_of(root)):
            # devices take nothing then, and would keep a time that a wrong clock vouched for
            raise Unavailable(
                f"the clock of this machine says {roles.moment(now_s).date()}, and the root "
                f"expired on {roles.moment(end_s).date()}: set the clock, or run vedette fleet "
                "keys renew"
            )
        # with other keys for the timestamp, devices forget which time the ones before vouched for
        is_bound = not roles.lacking(held.timestamp, root, "timestamp").count
        if is_bound and now_s < issued_s - BACK_S:
            raise Unavailable(
                f"the clock of this machine is {(issued_s - now_s) / 3600:.0f} hours behind the "
                "last signature: set it; if it is right, it was ahead then: vedette fleet keys "
                "rotate timestamp"
            )
        return now_s

    def _write(self, metadata: bytes, role: str) -> None:
        self._place.write(metadata_path(roles.version_of(metadata), role), metadata)
