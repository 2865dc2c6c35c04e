"""A fleet's signed files in memory, made as the operator and the depot make them; and its thief."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from fleet.roles import online as roles_online
from fleet.roles import roles
from fleet.roles import root as roles_root
from fleet.roles import targets as roles_targets
from fleet.roles.roles import Role, RoleName
from fleet.roles.targets import Target
from wire.block.blocks import BLOCK, NoSuchFile
from wire.deployments import Deployment
from wire.release import COMMAND_KEYS, Variant, bundle_path, deployment_path, target_file
from wire.signing import SigningKey, make_key
from wire.troubles import Unavailable

NOW_S = 1_800_000_000.0  # January 2027
DAY_S = 24 * 3600.0


class Repository:
    """files: by path, as a mirror has them. It is a Source of them, too.

    now_s: what its machines' clocks say. asked: the paths that were read. is_down: it answers
    nothing. tamper: what a broker makes of an answer.
    """

    def __init__(self, folder: Path, now_s: float = NOW_S) -> None:
        self._folder = folder
        self.now_s = now_s
        self.keys: dict[str, SigningKey] = {}
        names = ("root", "targets", "snapshot", "timestamp", "deployments", "command")
        for name in names:
            self.new_key(name)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.is_down = False
        self.tamper: Callable[[str, bytes], bytes] | None = None
        first = {name: Role((self.keys[name].public,)) for name in roles_root.TOP_ROLES}
        self.root = self._sign(roles_root.first_root(first, now_s), "root")
        self.first_root = self.root
        self.put("metadata/1.root.json", self.root)
        commands = roles_targets.command_keys_file([self.keys["command"].public])
        self.put(target_file(COMMAND_KEYS, digest_of(commands)), commands)
        first_targets = roles_targets.first_targets(self.keys["deployments"].public, now_s)
        self.targets = roles_targets.with_command_keys(first_targets, commands)
        self.deployments = roles_online.first_deployments(now_s)
        self.snapshot: bytes | None = None
        self.timestamp: bytes | None = None
        self.publish()

    def read(self, path: str, most_bytes: int) -> bytes:
        self.asked.append(path)
        if self.is_down:
            raise Unavailable(f"{path}: no answer")
        if path not in self.files:
            raise NoSuchFile(f"there is no {path}")
        content = self.files[path]
        return content if self.tamper is None else self.tamper(path, content)

    def put(self, path: str, content: bytes) -> None:
        self.files[path] = content

    def new_key(self, role: str) -> SigningKey:
        """Another key for a role; metadata does not name it yet."""
        number = len(list(self._folder.glob(f"{role}-*.pem")))
        self.keys[role] = make_key(self._folder / f"{role}-{number}.pem")
        return self.keys[role]

    def release(self, model: str, version: str, content: bytes = b"model" * 20_000) -> Target:
        """A bundle of a model, signed by the release key and published."""
        path = bundle_path(model, version, "onnx")
        variant = Variant(model, version, "onnx", (), 12.5)
        bundle = Target(path, digest_of(content), len(content), variant)
        blocks = block_digests(content)
        self.targets = roles.renewed(self.targets, "targets", self.now_s)
        self.targets = roles_targets.with_bundle(self.targets, bundle, blocks)
        self.put(target_file(path, bundle.digest), content)
        blocks_target = path.removesuffix(".zip") + ".blocks"
        self.put(target_file(blocks_target, digest_of(blocks)), blocks)
        self.publish()
        return bundle

    def deploy(self, deployment: Deployment) -> None:
        content = msgspec.json.encode(deployment)
        files = {deployment.pipeline: content}
        self.deployments = roles_online.next_deployments(self.deployments, files, self.now_s)
        path = deployment_path(deployment.pipeline)
        self.put(target_file(path, digest_of(content)), content)
        self.publish()

    def rotate(self, *names: RoleName) -> None:
        """New keys for these roles: a new root, signed by the old and the new root key."""
        old = self.keys["root"]
        changed: dict[RoleName, Role] = {n: Role((self.new_key(n).public,)) for n in names}
        self.root = roles_root.next_root(self.root, changed, self.now_s)
        self.root = roles.signed(self.root, [old, self.keys["root"]])
        self.put(f"metadata/{roles.version_of(self.root)}.root.json", self.root)

    def publish(self) -> None:
        """Sign what changed, and then snapshot and timestamp, as the depot does."""
        self.targets = self._sign(self.targets, "targets")
        self.deployments = self._sign(self.deployments, "deployments")
        self.put(f"metadata/{roles.version_of(self.targets)}.targets.json", self.targets)
        version = roles.version_of(self.deployments)
        self.put(f"metadata/{version}.deployments.json", self.deployments)
        snapshot = roles_online.snapshot_of(
            self.snapshot, self.targets, self.deployments, self.now_s
        )
        self.snapshot = self._sign(snapshot, "snapshot")
        self.put(f"metadata/{roles.version_of(self.snapshot)}.snapshot.json", self.snapshot)
        self.publish_timestamp()

    def publish_timestamp(self) -> None:
        assert self.snapshot is not None
        timestamp = roles_online.timestamp_of(self.timestamp, self.snapshot, self.now_s)
        self.timestamp = self._sign(timestamp, "timestamp")
        self.put("metadata/timestamp.json", self.timestamp)

    def _sign(self, metadata: bytes, name: str) -> bytes:
        return roles.signed(metadata, [self.keys[name]])


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def block_digests(content: bytes) -> bytes:
    pieces = (content[at : at + BLOCK] for at in range(0, max(1, len(content)), BLOCK))
    return b"".join(hashlib.sha256(piece).digest() for piece in pieces)
