"""Signed metadata as bytes: read it, sign it, say which signatures it lacks, verify what is next.

Pure: bytes in, bytes out. What the roles say is written in roles_root.py, roles_targets.py and
roles_online.py; a change there takes away all signatures. Keys are Ed25519 public keys in hex.
Every function raises Refused, whatever the bytes are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal, TypeVar

from securesystemslib.signer import Key, Signature, SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from wire.complaints import shortened
from wire.release import DEPLOYMENTS, ISSUED
from wire.signing import SigningKey
from wire.troubles import Refused

RoleName = Literal["root", "targets", "snapshot", "timestamp", "deployments"]
DAY_S = 24 * 3600.0
LIFETIME_S: dict[RoleName, float] = {
    "root": 730 * DAY_S,
    "targets": 365 * DAY_S,
    "snapshot": 30 * DAY_S,
    "deployments": 30 * DAY_S,
    "timestamp": 7 * DAY_S,
}
AnyMetadata = Metadata[Root] | Metadata[Targets] | Metadata[Snapshot] | Metadata[Timestamp]
T = TypeVar("T", Root, Targets, Snapshot, Timestamp)


@dataclass(frozen=True)
class Role:
    """Who signs for a role: so many (`threshold`) of these public keys."""

    keys: tuple[str, ...]
    threshold: int = 1


@dataclass(frozen=True)
class Lacking:
    """What metadata still lacks. count: signatures, at least; keys: any of these can give one."""

    count: int
    keys: tuple[str, ...] = ()


NOTHING = Lacking(0)


def version_of(metadata: bytes) -> int:
    return parsed(metadata).signed.version


def expires_of(metadata: bytes) -> float:
    """Unix time."""
    return parsed(metadata).signed.expires.timestamp()


def issued_of(timestamp: bytes) -> int:
    """When a timestamp was signed, in Unix time."""
    issued = read(timestamp, Timestamp).signed.unrecognized_fields.get(ISSUED)
    if type(issued) is not int:
        raise Refused("the timestamp does not say when it was issued")
    return issued


def role_of(delegator: bytes, role: RoleName) -> Role:
    """Who signs for a role. delegator: the root; for deployments the release metadata."""
    by = _delegator(delegator)
    try:
        found = by.get_delegated_role(role)
        keys = tuple(str(by.get_key(name).keyval["public"]) for name in found.keyids)
    except (ValueError, KeyError):
        raise Refused(f"the {by.type} metadata does not say who signs for {role}") from None
    return Role(keys, found.threshold)


def signed(metadata: bytes, keys: Iterable[SigningKey]) -> bytes:
    """The metadata with the signatures of these keys beside those that it has."""
    whole = parsed(metadata)
    content = _signed_content(whole)
    for key in keys:
        name = key_of(key.public).keyid
        whole.signatures[name] = Signature(name, key.sign(content).hex())
    return whole.to_bytes()


def lacking(metadata: bytes, delegator: bytes, role: RoleName) -> Lacking:
    """Which signatures metadata lacks. delegator: as for role_of."""
    whole, by = parsed(metadata), _delegator(delegator)
    try:
        result = by.get_verification_result(role, _signed_content(whole), whole.signatures)
    except ValueError:
        raise Refused(f"the {by.type} metadata does not say who signs for {role}") from None
    return Lacking(max(0, result.missing), tuple(map(_public, result.unsigned.values())))


def lacking_root(new: bytes, before: bytes) -> Lacking:
    """Which signatures a root lacks: its own keys must sign it, and those of the one before."""
    both = [one for by in (before, new) if (one := lacking(new, by, "root")).count]
    keys = [key for one in both for key in one.keys]
    return Lacking(max((one.count for one in both), default=0), tuple(dict.fromkeys(keys)))


def verify_root(new: bytes, trusted: bytes, now_s: float) -> None:
    """Refuses a root that may not follow the one that is trusted."""
    wanted = version_of(trusted) + 1
    if read(new, Root).signed.version != wanted:
        raise Refused(f"root {version_of(new)} does not follow root {wanted - 1}")
    _verify(new, lacking_root(new, trusted), "root", now_s)


def verify_targets(new: bytes, root: bytes, before: bytes | None, now_s: float) -> None:
    """Refuses release metadata that may not follow `before`."""
    targets = read(new, Targets).signed
    wanted = 1 if before is None else version_of(before) + 1
    if targets.version != wanted:
        raise Refused(f"release {targets.version} does not follow release {wanted - 1}")
    _verify(new, lacking(new, root, "targets"), "targets", now_s)
    delegations = targets.delegations
    if delegations is None or list(delegations.roles or {}) != [DEPLOYMENTS]:
        raise Refused(f"release {targets.version} must delegate deployments, and nothing else")


def parsed(metadata: bytes) -> AnyMetadata:
    try:
        whole: AnyMetadata = Metadata.from_bytes(metadata)
        return whole
    except (RepositoryError, RecursionError) as error:
        raise Refused(f"not signed metadata: {shortened(str(error))}") from None


def _signed_content(whole: AnyMetadata) -> bytes:
    """What signatures are made over: a form of JSON that has no fractions."""
    try:
        return whole.signed_bytes
    except (RepositoryError, RecursionError, ValueError) as error:
        reason = shortened(str(error.__cause__ or error))
        raise Refused(f"not metadata that can be signed: {reason}") from None


def read(metadata: bytes, kind: type[T]) -> Metadata[T]:
    """The metadata, of this kind."""
    whole = parsed(metadata)
    if not isinstance(whole.signed, kind):
        raise Refused(f"not {kind.type} metadata, but {whole.signed.type}")
    return whole


def unsigned(content: T) -> bytes:
    """Metadata without a signature."""
    return Metadata(content).to_bytes()


def renewed(metadata: bytes, role: RoleName, now_s: float) -> bytes:
    """The next version of metadata, unsigned, that is valid as long as its role's usually is."""
    whole = parsed(metadata)
    whole.signed.version += 1
    whole.signed.expires = moment(now_s + LIFETIME_S[role])
    whole.signatures.clear()
    return whole.to_bytes()


def key_of(public: str) -> SSlibKey:
    """The key as metadata writes it; it is called by the digest of its canonical form."""
    fields = {"keytype": "ed25519", "keyval": {"public": public}, "scheme": "ed25519"}
    text = json.dumps(fields, separators=(",", ":"), sort_keys=True)
    return SSlibKey(hashlib.sha256(text.encode()).hexdigest(), **fields)  # type: ignore[arg-type]


def moment(at_s: float) -> datetime:
    return datetime.fromtimestamp(int(at_s), timezone.utc)


def _verify(metadata: bytes, lack: Lacking, role: RoleName, now_s: float) -> None:
    if lack.count:
        raise Refused(
            f"the {role} metadata lacks {lack.count} signature{'s' * (lack.count > 1)}: "
            f"of one of {', '.join(key[:8] for key in lack.keys)}"
        )
    check_lasts(metadata, role, now_s)


def check_lasts(metadata: bytes, role: RoleName, now_s: float) -> None:
    """Refuses what has expired."""
    if expires_of(metadata) <= now_s:
        day = moment(expires_of(metadata)).date()
        raise Refused(f"the {role} metadata expired on {day}: sign it anew")


def _delegator(metadata: bytes) -> Root | Targets:
    content = parsed(metadata).signed
    if not isinstance(content, Root | Targets):
        raise Refused(f"{content.type} metadata says nothing about who signs")
    return content


def _public(key: Key) -> str:
    return str(key.keyval["public"])
