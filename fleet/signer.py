"""The signer: takes releases and wishes into the fleet's signed metadata, and keeps it fresh.

What is in force is what timestamp.json names, and that is written last: a crash at any step leaves
the release of before, and whatever was written of the next one is overwritten or swept.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fleet import roles, roles_online
from fleet.folder import depot_key
from fleet.roles import RoleName
from fleet.roles_targets import targets_of
from fleet.signer_books import Books, metadata_path
from fleet.signer_checks import (
    Held,
    Release,
    check_arrived,
    checked_files,
    command_keys,
    contents,
    judged,
)
from fleet.signer_place import TIMESTAMP, SignerPlace
from fleet.signer_wish import Terms, check_wish, deployment_file, signed_wish
from wire.deployments import LARGEST, Deployment
from wire.release import COMMAND_KEYS, DEPLOYMENTS, deployment_path, target_file
from wire.signing import SigningKey, load_key
from wire.troubles import Refused, Unavailable

ONLINE: tuple[RoleName, ...] = ("snapshot", "timestamp", "deployments")
MOST_PIPELINES = 1000
BACK_S = 24 * 3600.0  # a clock that is so far behind what was signed before is wrong


log = logging.getLogger("vedette.signer")


@dataclass(frozen=True)
class Versions:
    """Of the metadata in force."""

    root: int
    timestamp: int
    snapshot: int
    targets: int
    deployments: int


@dataclass(frozen=True)
class Expiries:
    """When the metadata in force expires, in Unix time."""

    root: float
    timestamp: float
    snapshot: float
    targets: float
    deployments: float


class Signer:
    """One process at a time works on a depot's folder; this is all on one thread, but `held` may
    be read by any. clock: Unix time."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """Opens the folder, and finishes or forgets what a crash left.

        Raises Refused where the folder is damaged, Unavailable where another process has it.
        """
        self._clock = clock
        self.place = SignerPlace(folder)
        try:
            self._keys: dict[RoleName, SigningKey] = {
                role: load_key(depot_key(folder, role)) for role in ONLINE
            }
            self._books = Books(self.place)
            held = self._books.read()
            if held is None:
                self._begin()
            else:
                self._hold(held)
            self._finish_rotation()
            self._mend()
            self._books.put_strays_back(self.held)
            self._books.sweep(self.held)
        except BaseException:
            self.place.close()
            raise

    def close(self) -> None:
        """Let another process have the folder."""
        self.place.close()

    @property
    def timestamp(self) -> bytes:
        """The signed timestamp in force: what the bell says."""
        return self.held.timestamp

    @property
    def versions(self) -> Versions:
        return self._versions

    def served(self) -> tuple[str, ...]:
        """The paths of all that others may read."""
        return self._books.served(self.held)

    def judge(self, roots: Sequence[bytes], targets: bytes | None) -> Release | None:
        """A release that may follow, or None if it is in force already. Any thread.

        Raises Refused with what is wrong.
        """
        return judged(self.held, roots, targets, self._now_s())

    def take_release(
        self, roots: Sequence[bytes], targets: bytes | None, files: Mapping[str, Path]
    ) -> bool:
        """Put a release in force. files: what it names and we lack, by digest; they are moved.

        False: it is in force already. Raises Refused with what is wrong, Unavailable where the
        disk fails; nothing has changed then.
        """
        release = self.judge(roots, targets)
        if release is None:
            return False
        check_arrived(release, files)
        self.put_in_force(release, files)
        return True

    def put_in_force(self, release: Release, files: Mapping[str, Path]) -> None:
        """As take_release, for a release that was judged and whose files were checked before."""
        if self.judge(release.roots, release.targets) != release:
            raise Refused("another release came first: push again")
        targets = release.targets or self.held.targets
        root = release.roots[-1] if release.roots else self.held.root
        self._check_keys(root, targets)
        for file in release.lacking:
            self.place.place(files[file.digest], target_file(file.path, file.digest))
        deployments = self._signed_for(targets, self.held.deployments)
        self._publish(root, targets, deployments, release.roots)

    def deploy(self, fleet: str, identity: str, payload: bytes) -> Deployment:
        """Make a signed wish come true. identity: of the topic that it came on.

        The same wish again, right after, changes nothing. Raises Refused with what is wrong.
        """
        wish = signed_wish(payload, self.command_keys())
        content = deployment_file(wish)
        files, pipeline = self.held.files, wish.deployment.pipeline
        deployed = self.versions.deployments
        if deployed == wish.after + 1 and self._deployed(pipeline) == content:
            return wish.deployment
        check_wish(
            wish,
            Terms(fleet, identity, self.command_keys(), deployed, files.values(), self._now_s()),
        )
        names = {file.path for file in targets_of(self.held.deployments)}
        names.add(deployment_path(pipeline))
        if len(names) > MOST_PIPELINES:
            raise Refused(f"{MOST_PIPELINES} pipelines are the most that a fleet can have")
        before = self.held.deployments
        unsigned = roles_online.next_deployments(before, {pipeline: content}, self._now_s())
        after = roles.signed(unsigned, [self._keys["deployments"]])
        digest = hashlib.sha256(content).hexdigest()
        self.place.write(target_file(deployment_path(pipeline), digest), content)
        self._publish(self.held.root, self.held.targets, after, ())
        return wish.deployment

    def command_keys(self) -> tuple[str, ...]:
        """Whose wishes come true."""
        file = self.held.files.get(COMMAND_KEYS)
        if file is None:
            return ()
        return command_keys(contents(self.place.folder / target_file(file.path, file.digest), file))

    def renew(self) -> bool:
        """Sign anew what of ours has lived half of its life. Call it every minute or so.

        Raises Unavailable while the disk or the clock does not let us.
        """
        now_s = self._clock()
        old = [role for role in ONLINE if self.expires_s(role) - now_s < roles.LIFETIME_S[role] / 2]
        if self._mend():
            return True
        if not old:
            return False
        held = self.held
        if old == ["timestamp"]:
            self._publish_timestamp(held)
            return True
        deployments = held.deployments
        if "deployments" in old:
            deployments = self._sign(
                "deployments", roles.renewed(deployments, "deployments", now_s)
            )
        self._publish(held.root, held.targets, deployments, ())
        return True

    def expires_s(self, role: RoleName) -> float:
        """When the metadata of a role expires, in Unix time."""
        expires: float = getattr(self._expiries, role)
        return expires

    def _hold(self, held: Held) -> None:
        """This is in force from now on."""
        every = (held.root, held.timestamp, held.snapshot, held.targets, held.deployments)
        self._versions = Versions(*map(roles.version_of, every))
        self._expiries = Expiries(*map(roles.expires_of, every))
        self.held = held

    def _begin(self) -> None:
        """Nothing was signed yet: what `fleet init` made becomes the first release."""
        root, targets = self._books.first()
        now_s = self._clock()
        roles.verify_targets(targets, root, None, now_s)
        self._check_keys(root, targets)
        deployments = self._sign("deployments", roles_online.first_deployments(now_s))
        snapshot = roles_online.snapshot_of(None, targets, deployments, now_s)
        snapshot = self._sign("snapshot", snapshot)
        timestamp = self._sign("timestamp", roles_online.timestamp_of(None, snapshot, now_s))
        self.place.write(metadata_path(1, DEPLOYMENTS), deployments)
        self.place.write(metadata_path(1, "snapshot"), snapshot)
        self.place.write(TIMESTAMP, timestamp)
        held = self._books.read()
        assert held is not None
        self._hold(held)

    def _finish_rotation(self) -> None:
        """A crash came between a new root and the release that it needs: put that in force."""
        held = self.held
        if not roles.lacking(held.targets, held.root, "targets").count:
            return
        path = metadata_path(self.versions.targets + 1, "targets")
        targets = self.place.read(path)
        if targets is None:
            log.warning("root %s needs a release signed by its keys: push", self.versions.root)
            return
        try:
            roles.verify_targets(targets, held.root, held.targets, self._clock())
            for file in checked_files(targets).values():
                if self.place.size(target_file(file.path, file.digest)) != file.size:
                    raise Refused(f"{file.path} is not there")
        except Refused as refused:
            log.warning("root %s needs a release: %s: push", self.versions.root, refused)
            return
        deployments = self._signed_for(targets, held.deployments)
        self._publish(held.root, targets, deployments, ())

    def _mend(self) -> bool:
        """Sign anew what a new root or release wants to have signed by other keys of ours."""
        held = self.held
        self._check_keys(held.root, held.targets)
        deployments = self._signed_for(held.targets, held.deployments)
        lacks = roles.lacking(held.snapshot, held.root, "snapshot").count
        lacks += roles.lacking(held.timestamp, held.root, "timestamp").count
        if not lacks and deployments == held.deployments:
            return False
        self._publish(held.root, held.targets, deployments, ())
        return True

    def _check_keys(self, root: bytes, targets: bytes) -> None:
        """Whether ours are the keys that these name. Raises Refused."""
        for name, key in self._keys.items():
            role = roles.role_of(targets if name == "deployments" else root, name)
            if key.public not in role.keys or role.threshold != 1:
                place = depot_key(self.place.folder, name)
                raise Refused(
                    f"{place}: is not the key that signs {name} by root {roles.version_of(root)} "
                    "and its release: put that key there"
                )

    def _signed_for(self, targets: bytes, deployments: bytes) -> bytes:
        """The deployments, signed by the key that a release names."""
        if not roles.lacking(deployments, targets, "deployments").count:
            return deployments
        return self._sign("deployments", roles.renewed(deployments, "deployments", self._now_s()))

    def _publish(
        self, root: bytes, targets: bytes, deployments: bytes, new_roots: Sequence[bytes]
    ) -> None:
        """Write all that is new, timestamp.json last, and sweep."""
        held, now_s = self.held, self._now_s()
        snapshot = self._sign(
            "snapshot", roles_online.snapshot_of(held.snapshot, targets, deployments, now_s)
        )
        timestamp = self._sign(
            "timestamp", roles_online.timestamp_of(held.timestamp, snapshot, now_s)
        )
        files = held.files if targets == held.targets else checked_files(targets)
        if targets != held.targets:
            self._write(targets, "targets")
        if deployments != held.deployments:
            self._write(deployments, DEPLOYMENTS)
        self._write(snapshot, "snapshot")
        for new in new_roots:  # late: between it and the timestamp devices may have to wait
            self._write(new, "root")
            self._hold(replace(self.held, root=new))
        self.place.write(TIMESTAMP, timestamp)
        self._hold(Held(root, targets, deployments, snapshot, timestamp, files))
        self._books.sweep(self.held)

    def _publish_timestamp(self, held: Held) -> None:
        """Say again that the newest snapshot is the newest."""
        unsigned = roles_online.timestamp_of(held.timestamp, held.snapshot, self._now_s())
        timestamp = self._sign("timestamp", unsigned)
        self.place.write(TIMESTAMP, timestamp)
        self._hold(replace(held, timestamp=timestamp))

    def _write(self, metadata: bytes, role: str) -> None:
        self.place.write(metadata_path(roles.version_of(metadata), role), metadata)

    def _sign(self, role: RoleName, metadata: bytes) -> bytes:
        return roles.signed(metadata, [self._keys[role]])

    def _deployed(self, pipeline: str) -> bytes | None:
        """The deployment of a pipeline that is in force."""
        for file in targets_of(self.held.deployments):
            if file.path == deployment_path(pipeline):
                return self.place.read(target_file(file.path, file.digest), LARGEST)
        return None

    def _now_s(self) -> float:
        """Unix time, to sign with. Raises Unavailable while the clock cannot be right."""
        now_s, issued_s = self._clock(), roles.issued_of(self.held.timestamp)
        if now_s < issued_s - BACK_S:
            raise Unavailable(
                f"the clock of this machine is {(issued_s - now_s) / 3600:.0f} hours behind the "
                "last signature: set it, or devices will refuse what is signed now"
            )
        return now_s
