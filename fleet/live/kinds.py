"""The kinds of trouble as people read them, and how bad a device is with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fleet.concerns import FAILED, NOTE, Concern, Kind

Level = Literal["bad", "warn", "good"]

# in words that follow a number: "3 offline"
LABELS: dict[Kind, str] = {
    "offline": "offline",
    "silent": "silent",
    "no_frames": "without frames",
    "fault": "with a fault",
    "rolled_back": "rolled back",
    "rejected": "rejected a model",
    "trust": "cannot get models",
    "slow": "slow",
    "throttled": "throttled",
    "hot": "hot",
    "disk": "disk nearly full",
    "memory": "memory nearly full",
    "lost": "lost records",
    "config": "refused a config",
    "late": "behind with records",
    "clock": "clock is wrong",
    "garbage": "cannot be understood",
    "trial": "on trial",
    "note": "with a note",
}
# what nobody has to do anything about
QUIET: frozenset[Kind] = frozenset(("trial", "note"))


def level_of(weight: int) -> Level:
    """How bad a concern of this weight is."""
    if weight >= FAILED:
        return "bad"
    return "warn" if weight > NOTE else "good"


def pressing(concerns: Sequence[Concern]) -> tuple[Concern, ...]:
    """Those of them that somebody should do something about."""
    return tuple(one for one in concerns if level_of(one.weight) != "good")
