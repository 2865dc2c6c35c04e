"""Doors of trust: metadata of a broker or a mirror, metadata of thieves, and files that rotted."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from fleet.roles import roles
from fleet.roles import root as roles_root
from tests.fuzz.door import Door, Opened
from tests.fuzz.wire_doors import DEPLOYMENT
from tests.repository import NOW_S, Repository
from wire.deployments import Who, read_deployment, rule_for
from wire.troubles import Refused, Trouble
from wire.trust.trust import Trust

WHO = Who("door", ("doors",), "Raspberry Pi 5 Model B Rev 1.0")
Put = Callable[[Repository, bytes], None]  # what came instead, in its place


class Scene:
    """A repository with a release and a deployment, and a device that believes the one before."""

    def __init__(self, folder: Path) -> None:
        (folder / "keys").mkdir()
        self.repository = Repository(folder / "keys")
        self._folder = folder
        self.trust(folder / "before").refresh()
        self.repository.release("digits", "1", b"model" * 100)
        self.repository.deploy(DEPLOYMENT)

    def trust(self, folder: Path) -> Trust:
        return Trust(folder, self.repository.first_root, self.repository, lambda: NOW_S)

    def device(self) -> Path:
        """The folder of a device that believes the first metadata."""
        folder = self._folder / "now"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._folder / "before", folder)
        return folder


def look_at_all(trust: Trust) -> None:
    """Everything that the agent and an operator read of it."""
    assert trust.trusted is not None
    assert len(trust.expiries) == 5
    for bundle in trust.models():
        try:
            trust.block_digests(bundle)
        except Trouble:
            continue
    deployment = trust.deployment("lane")
    if deployment is not None:
        rule_for(deployment, WHO)
    trust.command_keys()


def metadata(role: str, path: str) -> Door:
    """What comes of other bytes is forgotten when the right ones come."""

    def open_(folder: Path, last: ExitStack) -> Opened:
        scene = Scene(folder)
        right = scene.repository.files[path]

        def attempt(content: bytes) -> None:
            trust = scene.trust(scene.device())
            scene.repository.put(path, content)
            try:
                trust.refresh()
                look_at_all(trust)
            finally:
                scene.repository.put(path, right)
                again = scene.trust(folder / "now")
                again.refresh()
                look_at_all(again)

        return Opened(attempt, (right,))

    return Door(
        f"trust.{role}", "a broker, a depot, a mirror", open_, form="json", limit_s=4.0, examples=20
    )


def _put_root(repository: Repository, content: bytes) -> None:
    repository.root = roles.signed(content, [repository.keys["root"]])
    repository.put("metadata/2.root.json", repository.root)


def _put_targets(repository: Repository, content: bytes) -> None:
    repository.targets = content
    repository.publish()


def _put_deployments(repository: Repository, content: bytes) -> None:
    repository.deployments = content
    repository.publish()


def _put_snapshot(repository: Repository, content: bytes) -> None:
    repository.snapshot = roles.signed(content, [repository.keys["snapshot"]])
    version = roles.version_of(repository.snapshot)
    repository.put(f"metadata/{version}.snapshot.json", repository.snapshot)
    repository.publish_timestamp()


def _put_timestamp(repository: Repository, content: bytes) -> None:
    signed = roles.signed(content, [repository.keys["timestamp"]])
    repository.put("metadata/timestamp.json", signed)


def _seed(role: str, repository: Repository) -> bytes:
    match role:
        case "root":
            return roles_root.next_root(repository.root, {}, NOW_S)
        case "targets":
            return roles.renewed(repository.targets, "targets", NOW_S)
        case "deployments":
            return roles.renewed(repository.deployments, "deployments", NOW_S)
        case "snapshot":
            assert repository.snapshot is not None
            return repository.snapshot
        case _:
            assert repository.timestamp is not None
            return repository.timestamp


def stolen(role: str, put: Put) -> Door:
    """Who has the key signs nonsense: it is refused or believed, and the device lives."""

    def open_(folder: Path, last: ExitStack) -> Opened:
        scene = Scene(folder)

        def attempt(content: bytes) -> None:
            trust = scene.trust(scene.device())
            right = dict(scene.repository.__dict__)
            scene.repository.files = dict(scene.repository.files)
            try:
                put(scene.repository, content)
                trust.refresh()
                look_at_all(trust)
            finally:
                scene.repository.__dict__.update(right)
                again = scene.trust(folder / "now")
                if again.trusted is not None:
                    look_at_all_if_possible(again)

        return Opened(attempt, (_seed(role, copy.copy(scene.repository)),))

    return Door(
        f"stolen.{role}", f"a thief of the key of {role}", open_, form="json", limit_s=4.0,
        examples=16,
    )  # fmt: skip


def look_at_all_if_possible(trust: Trust) -> None:
    try:
        look_at_all(trust)
    except Trouble:
        return


def open_kept(folder: Path, last: ExitStack) -> Opened:
    """What lies in the folder rotted, whichever file it is: what is signed makes it right again."""
    scene = Scene(folder)
    names = sorted(
        path.relative_to(folder / "before").as_posix()
        for path in (folder / "before").rglob("*")
        if path.is_file() and path.name != "lock"
    )

    def attempt(content: bytes) -> None:
        device = scene.device()
        (device / names[content[0] % len(names) if content else 0]).write_bytes(content[1:])
        trust = scene.trust(device)
        if trust.trusted is not None:
            look_at_all_if_possible(trust)
        trust.refresh()
        look_at_all(trust)

    seeds = (
        bytes([number]) + (folder / "before" / name).read_bytes()
        for number, name in enumerate(names)
    )
    return Opened(attempt, tuple(seeds))


def open_deployment(folder: Path, last: ExitStack) -> Opened:
    import msgspec

    def attempt(content: bytes) -> None:
        deployment = read_deployment(content, "lane")
        rule_for(deployment, WHO)
        if any(not 0 <= rule.wave <= 1 for rule in deployment.rules):
            raise Refused("never")

    return Opened(attempt, (msgspec.json.encode(DEPLOYMENT),))


DOORS: tuple[Door, ...] = (
    metadata("timestamp", "metadata/timestamp.json"),
    metadata("snapshot", "metadata/3.snapshot.json"),
    metadata("targets", "metadata/2.targets.json"),
    metadata("deployments", "metadata/2.deployments.json"),
    stolen("root", _put_root),
    stolen("targets", _put_targets),
    stolen("deployments", _put_deployments),
    stolen("snapshot", _put_snapshot),
    stolen("timestamp", _put_timestamp),
    Door("trust.kept", "a disk", open_kept, limit_s=4.0, examples=20),
    Door("deployment", "a thief of the depot's keys", open_deployment, form="json"),
)
