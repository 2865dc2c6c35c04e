"""What bundles become in the signed metadata: which are new, and which contradict what is there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.offering.files import OfferFile, in_memory
from models import bundle
from models.bundle import Bundle
from models.plain import open_plain
from wire.block.blocks import BLOCK
from wire.offers import candidate_blocks_path, candidate_path
from wire.release import Variant, bundle_path
from wire.troubles import Refused, Unavailable
from wire.trust.trust import Bundle as Released


@dataclass(frozen=True)
class Parcel:
    """A bundle on our disk. path: of its target."""

    file: Path
    path: str
    digest: str
    size: int
    variant: Variant


@dataclass(frozen=True)
class Parcels:
    """The variants of one version of one model."""

    model: str
    version: str
    parcels: tuple[Parcel, ...]

    @property
    def words(self) -> str:
        return f"{self.model} {self.version}"


def read_parcels(files: Sequence[Path]) -> Parcels:
    """Verify bundles to their last byte. Raises Refused unless they are variants of one version."""
    found: dict[str, Parcel] = {}
    first: Parcel | None = None
    for file in files:
        parcel = _parcel(file, bundle.inspect(file))
        first = first or parcel
        if _release(parcel) != _release(first):
            raise Refused(
                f"{file} is {' '.join(_release(parcel))} and {first.file} is "
                f"{' '.join(_release(first))}: push one version at a time"
            )
        same = found.setdefault(parcel.path, parcel)
        if same.digest != parcel.digest:
            raise Refused(
                f"{same.file} and {file} are both for {_audience(parcel)}: a device could not "
                "choose: set `boards` in their manifests, or leave one out"
            )
    if first is None:
        raise Refused("name a bundle: vedette fleet pack makes one")
    return Parcels(first.variant.model, first.variant.version, tuple(found.values()))


def new_parcels(wanted: Parcels, there: Iterable[Released]) -> tuple[Parcel, ...]:
    """Those that the signed metadata does not name yet. there: what it names of this version.

    Raises Refused if one of them has other bytes.
    """
    known = {bundle.path: bundle.digest for bundle in there}
    for parcel in wanted.parcels:
        if known.get(parcel.path, parcel.digest) != parcel.digest:
            raise Refused(f"{wanted.words} exists with other bytes: give this one another version")
    digests = set(known.values())
    return tuple(parcel for parcel in wanted.parcels if parcel.digest not in digests)


def block_digests(file: Path) -> bytes:
    """The sha256 of each of its blocks, 32 bytes each. Raises Unavailable."""
    digests = bytearray()
    try:
        with open_plain(file) as opened:
            while content := opened.read(BLOCK):
                digests += hashlib.sha256(content).digest()
    except OSError as error:
        raise Unavailable(f"{file}: cannot be read: {error.strerror}") from None
    return bytes(digests)


def _parcel(file: Path, found: Bundle) -> Parcel:
    manifest = found.manifest
    variant = Variant(
        model=manifest.name,
        version=manifest.version,
        format=manifest.format,
        boards=manifest.boards,
        memory_mb=manifest.limits.memory_mb,
    )
    path = bundle_path(manifest.name, manifest.version, _variant_name(variant))
    return Parcel(file, path, found.digest, found.size, variant)


def _release(parcel: Parcel) -> tuple[str, str]:
    return parcel.variant.model, parcel.variant.version


def _variant_name(variant: Variant) -> str:
    """`tflite`, `onnx-jetson`: the same for the same audience, so that one cannot be there twice.

    Where many boards would make it too long, their digest stands for them.
    """
    boards = "-".join(sorted(variant.boards))
    if len(boards) > 64:
        boards = hashlib.sha256(boards.encode()).hexdigest()[:16]
    return f"{variant.format}-{boards}" if boards else variant.format


def _audience(parcel: Parcel) -> str:
    boards = ", ".join(sorted(parcel.variant.boards)) or "any board"
    return f"{parcel.variant.format} on {boards}"


def candidate_files(parcel: Parcel) -> tuple[OfferFile, OfferFile]:
    """A bundle as it is offered unsigned."""
    blocks = in_memory(candidate_blocks_path(parcel.digest), block_digests(parcel.file))
    path = candidate_path(parcel.digest)
    return OfferFile(path, parcel.digest, parcel.size, parcel.file), blocks
