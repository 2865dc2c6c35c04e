"""How an operator's command hands releases to the depot, and asks it to deploy. See docs/wire.md.

The command asks for metadata by `ask`, says what it has by `offer`, and serves the blocks that the
depot asks for by `want`; the depot says by `answer` how far it is. A deployment is signed by a
command key: the depot holds the online key that devices believe, and uses it for nobody else.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from wire.deployments import Deployment
from wire.messages import Identity, Natural, Text
from wire.names import Digest, Name
from wire.orders import Time

MOST_FILES = 1000
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
