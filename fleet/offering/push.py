"""What a release needs, worked out before anything is sent: targets, files, signatures."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from fleet.offering.files import OfferFile, in_memory
from fleet.offering.release import Parcel, block_digests
from fleet.roles import roles
from fleet.roles.roles import Lacking
from fleet.roles.targets import Target, with_bundle
from wire.release import blocks_path, target_file
from wire.signing import SigningKey
from wire.trust.kept import Chain


@dataclass(frozen=True)
class Draft:
    """Release metadata as far as it is signed, and the files that the depot lacks. lack: the
    signatures that are missing."""

    targets: bytes
    files: tuple[OfferFile, ...]
    lack: Lacking


def draft(chain: Chain, parcels: Iterable[Parcel], keys: Iterable[SigningKey]) -> Draft:
    """The release that follows the one in force, with these bundles more. Raises Refused."""
    targets = roles.renewed(chain.targets, "targets", time.time())
    files: list[OfferFile] = []
    for parcel in parcels:
        digests = block_digests(parcel.file)
        bundle = Target(parcel.path, parcel.digest, parcel.size, parcel.variant)
        targets = with_bundle(targets, bundle, digests)
        files.append(
            OfferFile(
                target_file(parcel.path, parcel.digest), parcel.digest, parcel.size, parcel.file
            )
        )
        listed = in_memory("", digests)
        where = target_file(blocks_path(parcel.path), listed.digest)
        files.append(in_memory(where, digests))
    return signed(targets, keys, chain, files)


def signed(
    targets: bytes, keys: Iterable[SigningKey], chain: Chain, files: Iterable[OfferFile] = ()
) -> Draft:
    """Release metadata with the signatures of these keys beside those that it has."""
    done = roles.signed(targets, keys)
    return Draft(done, tuple(files), roles.lacking(done, chain.root, "targets"))
