"""What a set of verified metadata says: versions, bundles, and where the other signed files are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import msgspec
from tuf.api.metadata import Metadata, TargetFile, Targets

from wire.block.blocks import BLOCK, MOST_BLOCKS
from wire.messages import Trusted
from wire.names import DIGEST_PATTERN
from wire.release import Variant
from wire.trust.kept import Chain

_BUNDLE = re.compile(r"models/([^/]+)/([^/]+)/[A-Za-z0-9][A-Za-z0-9._-]{0,127}\.zip\Z")
_DIGEST = re.compile(DIGEST_PATTERN)


@dataclass(frozen=True)
class Bundle:
    """A variant that can be had. size: in bytes."""

    path: str
    digest: str
    size: int
    variant: Variant


@dataclass(frozen=True)
class SmallFile:
    """Another signed file. size: in bytes."""

    path: str
    digest: str
    size: int


class Accepted:
    """The contents of one Chain, read when they are asked for."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain

    @cached_property
    def trusted(self) -> Trusted:
        parts = [
            Metadata.from_bytes(content).signed
            for content in (
                self.chain.root, self.chain.timestamp, self.chain.snapshot,
                self.chain.targets, self.chain.deployments,
            )
        ]  # fmt: skip
        root, timestamp, _, targets, deployments = (part.version for part in parts)
        expires = min(expires for _, expires in self.expiries)
        return Trusted(root, timestamp, targets, deployments, expires)

    @cached_property
    def expiries(self) -> tuple[tuple[str, float], ...]:
        """Each role, and when its metadata expires, in Unix time."""
        chain = self.chain
        parts = (
            ("root", chain.root), ("timestamp", chain.timestamp), ("snapshot", chain.snapshot),
            ("targets", chain.targets), ("deployments", chain.deployments),
        )  # fmt: skip
        return tuple(
            (role, Metadata.from_bytes(content).signed.expires.timestamp())
            for role, content in parts
        )

    @cached_property
    def released(self) -> dict[str, SmallFile]:
        """All files that the release key signed, bundles included, by path."""
        return _files(self._targets)

    @cached_property
    def deployed(self) -> dict[str, SmallFile]:
        """All files that the key of deployments signed."""
        return _files(Metadata[Targets].from_bytes(self.chain.deployments).signed)

    @cached_property
    def bundles(self) -> tuple[Bundle, ...]:
        """Those that we understand: newer releases may hold others."""
        return tuple(filter(None, map(_bundle, self._targets.targets.values())))

    @property
    def small_digests(self) -> frozenset[str]:
        """Of all files that are not bundles."""
        bundles = {one.digest for one in self.bundles}
        every = (*self.released.values(), *self.deployed.values())
        return frozenset(one.digest for one in every if one.digest not in bundles)

    @cached_property
    def _targets(self) -> Targets:
        return Metadata[Targets].from_bytes(self.chain.targets).signed


def _files(targets: Targets) -> dict[str, SmallFile]:
    found = ((one.path, _sha256(one), one.length) for one in targets.targets.values())
    return {path: SmallFile(path, digest, size) for path, digest, size in found if digest}


def _bundle(file: TargetFile) -> Bundle | None:
    place, digest = _BUNDLE.match(file.path), _sha256(file)
    if place is None or digest is None or not 0 < file.length <= BLOCK * MOST_BLOCKS:
        return None
    try:
        variant = msgspec.convert(file.custom, Variant)
    except msgspec.ValidationError:
        return None
    if (variant.model, variant.version) != place.groups():
        return None
    return Bundle(file.path, digest, file.length, variant)


def _sha256(file: TargetFile) -> str | None:
    digest = file.hashes.get("sha256", "")
    return digest if _DIGEST.match(digest) else None
