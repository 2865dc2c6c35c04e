"""How an operator's command hands releases to the depot, and asks it to deploy. See docs/wire.md.

The command asks for metadata by `ask`, says what it has by `offer`, and serves the blocks that the
depot asks for by `want`; the depot says by `answer` how far it is. A deployment is signed by a
command key: the depot holds the online key that devices believe, and uses it for nobody else.

What is asked by `ask` has the keys of wire.release.file_key. What the depot asks by `want` has keys
of its own, `offered_key`: many listen to the blocks of `metadata/4.targets.json`, and the depot
must not take another one's "there is no such file" for the operator's.

Of a release the depot asks first for the metadata that the offer names (`metadata/4.targets.json`,
and new roots, `metadata/2.root.json`), then for the targets that this metadata names and the depot
lacks, by their paths in wire.release's layout: `targets/models/digits/7/DIGEST.tflite.zip`. What
the offer says of those is not needed, but lets the depot answer sooner.

Candidates: an offer of kind "candidate" names one bundle, `candidate_path(DIGEST)`, and the list of
its block digests, `candidate_blocks_path(DIGEST)`. Who wants to sign one asks by `ask` for
CANDIDATE_LIST (a CandidateList), then for these two, under their file_key as everything else.
A candidate goes away when a release lists a bundle of its digest, or after MOST_CANDIDATES others.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from wire.block.blocks import path_key
from wire.deployments import Deployment
from wire.messages import Identity, Natural, Text
from wire.names import Digest, Name, Version
from wire.orders import Time
from wire.troubles import Refused
from wire.unreadable import UNREADABLE, why

MOST_FILES = 1000
LARGEST = 512 * 1024  # bytes of an offer, or of a wish in its envelope
LONGEST_WISH_S = 24 * 3600.0  # from issued to expires
CANDIDATES = "candidates/"
CANDIDATE_LIST = CANDIDATES + "index.json"
MOST_CANDIDATES = 16
DOMAIN = b"vedette deployment 1\n"  # begins what is signed, so that it fits nothing else

OfferKind = Literal["release", "candidate"]
AnswerPhase = Literal["fetching", "done", "refused"]


class OfferedFile(Struct, frozen=True):
    """A file of the layout in wire/release.py, as `metadata/4.targets.json`. size: in bytes."""

    path: Annotated[str, Meta(max_length=300)]
    digest: Digest
    size: Natural


class Offer(Struct, frozen=True):
    """What the operator has. release: signed metadata and all it names that the depot may lack.
    candidate: one bundle without a signature, which waits for `vedette fleet sign`."""

    id: Identity
    kind: OfferKind
    files: Annotated[tuple[OfferedFile, ...], Meta(min_length=1, max_length=MOST_FILES)]


class OfferAnswer(Struct, frozen=True):
    """How far the depot is with an offer or a wish. done_bytes: of total_bytes are there."""

    id: Identity
    phase: AnswerPhase
    text: Text
    done_bytes: Natural = 0
    total_bytes: Natural = 0


class Wish(Struct, frozen=True):
    """A deployment that an operator wants, in place of the one before.

    id: of the offer topics it is sent on. after: the version of the deployments metadata that the
    operator saw; the depot refuses a wish that overlooks a newer one, and thus one that is
    replayed. issued, expires: Unix seconds.
    """

    fleet: Name
    id: Identity
    issued: Time
    expires: Time
    after: Natural
    deployment: Deployment


class Candidate(Struct, frozen=True):
    """A bundle that waits for `vedette fleet sign`. size: in bytes. since: Unix time of arrival.

    The rest is as its manifest says.
    """

    digest: Digest
    size: Natural
    model: Name
    version: Version
    format: str
    boards: tuple[str, ...]
    since: float


class CandidateList(Struct, frozen=True):
    """All that wait, the newest first."""

    candidates: tuple[Candidate, ...]


def read_offer(payload: bytes, identity: str) -> Offer:
    """What an operator has, as it came on the topic of this id. Raises Refused, whatever the bytes
    are."""
    if len(payload) > LARGEST:
        raise Refused(f"not an offer: {len(payload)} bytes are too many")
    try:
        offer = msgspec.json.decode(payload, type=Offer)
    except UNREADABLE as error:
        raise Refused(f"not an offer: {why(error)}") from None
    if offer.id != identity:
        raise Refused("not an offer: it belongs to another conversation")
    return offer


def candidate_path(digest: str) -> str:
    """A bundle that waits to be signed."""
    return f"{CANDIDATES}{digest}.zip"


def candidate_blocks_path(digest: str) -> str:
    """The sha256 of each of its blocks, 32 bytes each."""
    return f"{CANDIDATES}{digest}.blocks"


def offered_key(identity: str, path: str) -> str:
    """The key by which the depot asks, on `want` of this offer, for a file."""
    return path_key(offered_path(identity, path))


def offered_path(identity: str, path: str) -> str:
    """A path whose wire.release.file_key is offered_key."""
    return f"offer/{identity}/{path}"
