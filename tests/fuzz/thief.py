"""A thief of a repository's keys: signs what those who made the keys would not even read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal, get_args

from securesystemslib.exceptions import FormatError
from securesystemslib.formats import encode_canonical

from fleet.roles import roles
from fleet.roles import root as roles_root
from tests.repository import Repository
from wire.signing import SigningKey

Stolen = Literal["root", "targets", "deployments", "snapshot", "timestamp"]
STEALABLE: tuple[Stolen, ...] = get_args(Stolen)


class Thief:
    """Has all keys, and offers one forged role with what leads a device to it."""

    def __init__(self, repository: Repository) -> None:
        assert repository.snapshot is not None and repository.timestamp is not None
        self._keys = repository.keys
        self._right: dict[Stolen, bytes] = {
            "root": roles_root.next_root(repository.root, {}, repository.now_s),
            "targets": repository.targets,
            "deployments": repository.deployments,
            "snapshot": repository.snapshot,
            "timestamp": repository.timestamp,
        }

    def seed(self, role: Stolen) -> bytes:
        """What is right, without signatures."""
        return json.dumps({"signatures": [], "signed": self._said(role)}).encode()

    def files(self, role: Stolen, content: bytes) -> dict[str, bytes]:
        """The role with this content, signed, and what is served with it."""
        forged = signed(content, [self._keys[role]])
        if role == "timestamp":
            return {"metadata/timestamp.json": forged}
        version = version_in(forged)
        files = {f"metadata/{version}.{role}.json": forged}
        if role in ("targets", "deployments"):
            return files | self._named("snapshot", f"{role}.json", version, forged)
        if role == "snapshot":
            return files | self._named("timestamp", "snapshot.json", version, forged)
        return files

    def _named(
        self, by: Literal["snapshot", "timestamp"], name: str, version: int, forged: bytes
    ) -> dict[str, bytes]:
        """The role that names a file names the forged one, and so on up."""
        said = self._said(by)
        digest = hashlib.sha256(forged).hexdigest()
        said["meta"][name] = {"version": version, "length": len(forged)} | {
            "hashes": {"sha256": digest}
        }
        return self.files(by, json.dumps({"signatures": [], "signed": said}).encode())

    def _said(self, role: Stolen) -> Any:
        return json.loads(self._right[role])["signed"]


def signed(content: bytes, keys: Sequence[SigningKey]) -> bytes:
    """Whatever it says, signed with these keys too; as it is if nothing can be signed."""
    try:
        whole = json.loads(content)
        text = (encode_canonical(whole["signed"]) or "").encode()
        others = whole.get("signatures")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, FormatError):
        return content
    made = [{"keyid": roles.key_of(key.public).keyid, "sig": key.sign(text).hex()} for key in keys]
    whole["signatures"] = made + (others if isinstance(others, list) else [])
    return json.dumps(whole).encode()


def version_in(content: bytes) -> int:
    """The version that it says it has; 2 if it says none that a device would ask for."""
    try:
        version = json.loads(content)["signed"]["version"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return 2
    return version if type(version) is int and 0 < version < 10**9 else 2
