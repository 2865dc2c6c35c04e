"""What the fetch thread tells the main one: what the fleet signed, and what was fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wire.deployments import Rule
from wire.messages import Trusted

if TYPE_CHECKING:  # a device without [updates] root never loads the update framework
    from wire.trust.trust import Bundle

Kind = Literal["refused", "unavailable", "no_room", "no_budget"]


@dataclass(frozen=True)
class Desired:
    """What the fleet wants a pipeline to run. rule: None: nothing. bundles: all variants of it."""

    pipeline: str
    rule: Rule | None
    bundles: tuple[Bundle, ...] = ()


@dataclass(frozen=True)
class Refreshed:
    """The metadata that is believed now. issued_s: the newest signed time ever accepted.

    expiries: of each role, in Unix time. desired: one for each pipeline; none while it is not known
    whether the metadata has expired.
    """

    trusted: Trusted
    issued_s: float
    expiries: tuple[tuple[str, float], ...]
    command_keys: tuple[str, ...]
    desired: tuple[Desired, ...]


@dataclass(frozen=True)
class Asked:
    """All is as the newest metadata says: a source has answered."""


@dataclass(frozen=True)
class NotRefreshed:
    """Newer metadata was not believed, or could not be had."""

    why: str
    kind: Kind


@dataclass(frozen=True)
class Progress:
    """So much of a bundle is there."""

    digest: str
    have_bytes: int


@dataclass(frozen=True)
class Fetched:
    """A bundle is in the store."""

    digest: str


@dataclass(frozen=True)
class NotFetched:
    """Why a bundle is not in the store. refused: it never will be; no_room: the disk does not take
    it."""

    digest: str
    why: str
    kind: Kind


@dataclass(frozen=True)
class Examined:
    """Whether a model in the store is what was signed. bundle: what it came from, None: the fleet
    has released it no longer."""

    digest: str
    is_whole: bool
    bundle: Bundle | None

    @property
    def words(self) -> str:
        """What is wrong with which model."""
        variant = None if self.bundle is None else self.bundle.variant
        name = "model" if variant is None else f"{variant.model} {variant.version}"
        return f"{name} ({self.digest[:12]}) is damaged on disk"


FromFetch = Refreshed | Asked | NotRefreshed | Progress | Fetched | NotFetched | Examined
