"""The signer: takes releases and wishes into the fleet's signed metadata, and keeps it fresh.

What is in force is what timestamp.json names, and that is written last: a crash at any step leaves
the release of before, and whatever was written of the next one is overwritten or swept.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.roles import online as roles_online
from fleet.roles import roles
from fleet.roles.roles import RoleName
from fleet.roles.targets import targets_of
from fleet.signer.books import Books, metadata_path
from fleet.signer.checks import (
    Held,
    Release,
    check_arrived,
    checked_files,
    command_keys,
    contents,
    judged,
)
from fleet.signer.keys import OnlineKeys
from fleet.signer.place import SignerPlace
from fleet.signer.press import Press
from fleet.signer.wish import Terms, check_wish, deployment_file, signed_wish
from wire.deployments import LARGEST, Deployment
from wire.release import COMMAND_KEYS, deployment_path, target_file
from wire.troubles import Refused, Unavailable

ONLINE: tuple[RoleName, ...] = ("snapshot", "timestamp", "deployments")
MOST_PIPELINES = 1000

log = logging.getLogger("vedette.signer")


@dataclass(frozen=True)
class Versions:
    """Of the metadata in force."""

    root: int
    timestamp: int
    snapshot: int
    targets: int
    deployments: int


class Signer:
    """One process at a time works on a depot's folder; this is all on one thread, but `held` and
    `judge` are for any. clock: Unix time."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """Opens the folder, and finishes or forgets what a crash left.

        Raises Refused where the folder is damaged, Unavailable where another process has it.
        """
        self._clock = clock
        self.place = SignerPlace(folder)
        try:
            self._books = Books(self.place)
            self._press = Press(self.place, OnlineKeys(folder / "keys"), clock)
            self._hold(self._books.read())
            try:
                self._finish_rotation()
                self._mend()
            except Refused as refused:  # a lost key is replaced by a root, which we must take
                log.warning("nothing can be signed: %s", refused)
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

    def expires_s(self, role: RoleName) -> float:
        """When the metadata of a role expires, in Unix time."""
        return self._expires_s[role]

    def served(self) -> tuple[str, ...]:
        """The paths of all that others may read."""
        return self._books.served(self.held)

    def judge(self, roots: Sequence[bytes], targets: bytes | None) -> Release | None:
        """A release that may follow, or None if it is in force already. Any thread.

        Raises Refused with what is wrong.
        """
        return judged(self.held, roots, targets, self._clock())

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
        held = self.held
        targets = release.targets or held.targets
        root = release.roots[-1] if release.roots else held.root
        self._press.now_s(held, root)
        self._press.check_keys(root, targets)
        deployments = self._press.deployments_for(targets, held.deployments)
        with self._reading_back():
            for file in release.lacking:
                self.place.place(files[file.digest], target_file(file.path, file.digest))
            self._hold(self._press.publish(held, targets, deployments, release.roots))
        self._books.sweep(self.held)

    def deploy(self, fleet: str, identity: str, payload: bytes) -> Deployment:
        """Make a signed wish come true. identity: of the topic that it came on.

        The same wish again, right after, changes nothing. Raises Refused with what is wrong.
        """
        held, keys = self.held, self.command_keys()
        wish = signed_wish(payload, keys)
        content = deployment_file(wish)
        pipeline, deployed = wish.deployment.pipeline, self.versions.deployments
        if deployed == wish.after + 1 and self._deployed(pipeline) == content:
            return wish.deployment
        now_s = self._press.now_s(held, held.root)
        check_wish(wish, Terms(fleet, identity, deployed, held.files.values(), now_s))
        path = deployment_path(pipeline)
        if len({path, *(file.path for file in targets_of(held.deployments))}) > MOST_PIPELINES:
            raise Refused(f"{MOST_PIPELINES} pipelines are the most that a fleet can have")
        after = roles_online.next_deployments(held.deployments, {pipeline: content}, now_s)
        after = self._press.sign("deployments", after, held.targets)
        self.place.write(target_file(path, hashlib.sha256(content).hexdigest()), content)
        with self._reading_back():
            self._hold(self._press.publish(held, held.targets, after))
        self._books.sweep(self.held)
        return wish.deployment

    def command_keys(self) -> tuple[str, ...]:
        """Whose wishes come true."""
        file = self.held.files.get(COMMAND_KEYS)
        if file is None:
            return ()
        return command_keys(contents(self.place.folder / target_file(file.path, file.digest), file))

    def renew(self) -> bool:
        """Sign anew what of ours has lived half of its life. Call it every minute or so.

        Raises Unavailable while the disk or the clock does not let us, Refused without a key.
        """
        now_s = self._press.now_s(self.held, self.held.root)
        with self._reading_back():
            return self._mend() or self._renewed(now_s)

    def _renewed(self, now_s: float) -> bool:
        held = self.held
        old = [role for role in ONLINE if self._is_old(role, now_s)]
        if not old:
            return False
        if old == ["timestamp"]:
            self._hold(self._press.say_again(held))
            return True
        deployments = held.deployments
        if "deployments" in old:
            renewed = roles.renewed(deployments, "deployments", now_s)
            deployments = self._press.sign("deployments", renewed, held.targets)
        self._hold(self._press.publish(held, held.targets, deployments))
        self._books.sweep(self.held)
        return True

    def _hold(self, held: Held) -> None:
        """This is in force from now on."""
        every = (held.root, held.timestamp, held.snapshot, held.targets, held.deployments)
        self._versions = Versions(*map(roles.version_of, every))
        names: tuple[RoleName, ...] = ("root", "timestamp", "snapshot", "targets", "deployments")
        self._expires_s = dict(zip(names, map(roles.expires_of, every), strict=True))
        self.held = held

    def _is_old(self, role: RoleName, now_s: float) -> bool:
        return self._expires_s[role] - now_s < roles.LIFETIME_S[role] / 2

    def _finish_rotation(self) -> None:
        """A crash came between a new root and the release that it needs: put that in force."""
        held = self.held
        if not roles.lacking(held.targets, held.root, "targets").count:
            return
        targets = self.place.read(metadata_path(self.versions.targets + 1, "targets"))
        try:
            if targets is None:
                raise Refused("it is not here")
            roles.verify_targets(targets, held.root, held.targets, self._clock())
            for file in checked_files(targets).values():
                if self.place.size(target_file(file.path, file.digest)) != file.size:
                    raise Refused(f"{file.path} is not here")
        except Refused as refused:
            root, why = self.versions.root, str(refused)
            log.warning("root %s needs a release signed by its keys: %s: push", root, why)
            return
        deployments = self._press.deployments_for(targets, held.deployments)
        self._hold(self._press.publish(held, targets, deployments))

    def _mend(self) -> bool:
        """Sign anew what a new root or release wants to have signed by other keys of ours."""
        held = self.held
        self._press.check_keys(held.root, held.targets)
        deployments = self._press.deployments_for(held.targets, held.deployments)
        lacks = roles.lacking(held.snapshot, held.root, "snapshot").count
        lacks += roles.lacking(held.timestamp, held.root, "timestamp").count
        if not lacks and deployments == held.deployments:
            return False
        self._hold(self._press.publish(held, held.targets, deployments))
        return True

    @contextlib.contextmanager
    def _reading_back(self) -> Iterator[None]:
        """If the disk fails on the way, what is in force is what is written there."""
        try:
            yield
        except Unavailable:
            self._hold(self._books.read())
            with contextlib.suppress(Unavailable):
                self._books.put_strays_back(self.held)
            raise

    def _deployed(self, pipeline: str) -> bytes | None:
        """The deployment of a pipeline that is in force."""
        for file in targets_of(self.held.deployments):
            if file.path == deployment_path(pipeline):
                return self.place.read(target_file(file.path, file.digest), LARGEST)
        return None
