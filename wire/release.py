"""What the fleet's signed files are called and what stands beside their digests. See docs/wire.md.

The layout is TUF's with consistent snapshots, so any web server can be a mirror:

    metadata/timestamp.json, metadata/7.snapshot.json, metadata/3.targets.json, metadata/1.root.json
    targets/models/digits/7/DIGEST.tflite.zip      a bundle, one for each variant
    targets/models/digits/7/DIGEST.tflite.blocks   the sha256 of each of its blocks, 32 bytes each
    targets/deployments/DIGEST.lane.json           which device runs what in pipeline `lane`
    targets/keys/DIGEST.commands.json              whose commands devices obey
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from wire.block.blocks import path_key
from wire.complaints import KEY_PATTERN
from wire.names import Name, Version

METADATA, TARGETS = "metadata/", "targets/"
DEPLOYMENTS = "deployments"  # the delegated role, and the folder that it speaks for
COMMAND_KEYS = "keys/commands.json"
ISSUED = "issued"  # in the timestamp metadata: Unix time when it was signed
WARN_S = 30 * 24 * 3600.0  # before metadata expires


class Variant(Struct, frozen=True, omit_defaults=True):
    """`custom` of a bundle's target: for whom it is. boards: empty for all."""

    model: Name
    version: Version
    format: str
    boards: tuple[str, ...] = ()
    memory_mb: float | None = None


class CommandKeys(Struct, frozen=True):
    """Ed25519 public keys, in hex."""

    keys: Annotated[tuple[Annotated[str, Meta(pattern=KEY_PATTERN)], ...], Meta(max_length=64)]


def bundle_path(model: str, version: str, variant: str) -> str:
    """variant: tells bundles of one version apart: the format, and more where that is not enough"""
    return f"models/{model}/{version}/{variant}.zip"


def blocks_path(bundle: str) -> str:
    """The list of block digests that belongs to a bundle."""
    return bundle.removesuffix(".zip") + ".blocks"


def deployment_path(pipeline: str) -> str:
    return f"{DEPLOYMENTS}/{pipeline}.json"


def target_file(path: str, digest: str) -> str:
    """Where a target lies: its digest stands in the name."""
    folder, slash, name = path.rpartition("/")
    return f"{TARGETS}{folder}{slash}{digest}.{name}"


def file_key(path: str) -> str:
    """The key by which the blocks of a file of this layout are asked for.

    That of a target is its digest, which stands in its name; that of metadata is of its path.
    """
    if not path.startswith(TARGETS):
        return path_key(path)
    return path.rpartition("/")[2].partition(".")[0]
