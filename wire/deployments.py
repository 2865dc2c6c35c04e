"""Deployments: which device runs which model in a pipeline. Each device judges for itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from wire.messages import Natural
from wire.names import Name, Version
from wire.troubles import Refused
from wire.unreadable import UNREADABLE, why

MOST_RULES = 64
LARGEST = 256 * 1024  # bytes of a deployment

Share = Annotated[float, Meta(ge=0, le=1)]
Names = Annotated[tuple[Name, ...], Meta(max_length=1000)]


class Gates(Struct, frozen=True, omit_defaults=True):
    """How long a model is on trial and what it must show; None: as its manifest says, or the usual.

    Meanings and units are those of the manifest's floors, and of its limits for p95_ms.
    """

    trial_s: Annotated[float, Meta(gt=0, le=604_800)] | None = None
    first_result_s: Annotated[float, Meta(gt=0, le=3600)] | None = None
    p95_ms: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    fps_share: Share | None = None
    score_drop: Share | None = None
    error_share: Share | None = None


class Rule(Struct, frozen=True, omit_defaults=True):
    """A model version, and who is to run it.

    groups, boards, devices: of those that are given, each must hold the device; boards by their
    names or the beginnings of these (see `nearness`). wave: the share of
    these devices, chosen by chance but always the same ones. canaries: of these devices, those
    which take it whatever the wave. attempt: a higher one than before lets devices that rejected
    this version or rolled it back try it again.
    """

    model: Name
    version: Version
    groups: Names = ()
    boards: Annotated[tuple[str, ...], Meta(max_length=64)] = ()
    devices: Names = ()
    wave: Share = 1.0
    canaries: Names = ()
    gates: Gates = Gates()
    attempt: Natural = 0


class Deployment(Struct, frozen=True):
    """What a pipeline of this name runs: the first rule that takes the device decides."""

    pipeline: Name
    rules: Annotated[tuple[Rule, ...], Meta(max_length=MOST_RULES)]


@dataclass(frozen=True)
class Who:
    """The device that a deployment is judged for."""

    device: str
    groups: tuple[str, ...]
    board: str


def rule_for(deployment: Deployment, who: Who) -> Rule | None:
    """What a device is to run; None: nothing is said about it, and it stays as it is."""
    return next((rule for rule in deployment.rules if takes(rule, who)), None)


def takes(rule: Rule, who: Who) -> bool:
    """Whether a rule is about this device, and its turn has come."""
    if rule.groups and not set(rule.groups) & set(who.groups):
        return False
    if nearness(rule.boards, who.board) is None:
        return False
    if rule.devices and who.device not in rule.devices:
        return False
    return who.device in rule.canaries or place_in_line(who.device, rule) < rule.wave


def nearness(boards: Sequence[str], board: str) -> int | None:
    """0: made for this very board, 1: for its kind, 2: for all, None: for others.

    board: as a device calls it, "Raspberry Pi 5 Model B Rev 1.0". Names in a manifest have no
    spaces: `raspberry-pi-5` is every Raspberry Pi 5, `raspberry-pi` every Raspberry Pi.
    """
    if not boards:
        return 2
    if board in boards:
        return 0
    own = f"{plain(board)}-"
    return 1 if any(own.startswith(f"{plain(one)}-") for one in boards) else None


def plain(board: str) -> str:
    """The name of a board as names in a manifest are written."""
    return re.sub(r"[^a-z0-9]+", "-", board.lower()).strip("-")


def place_in_line(device: str, rule: Rule) -> float:
    """0 to 1: a device takes part in waves larger than this. Differs from model to model, so that
    it is not always the same devices that go first."""
    words = f"{device}\n{rule.model}\n{rule.version}".encode()
    return int.from_bytes(hashlib.sha256(words).digest()[:8], "big") / 2**64


def read_deployment(content: bytes, pipeline: str) -> Deployment:
    """A deployment from its signed file. Raises Refused, whatever the bytes are."""
    if len(content) > LARGEST:
        raise Refused(f"{len(content)} bytes are too many for a deployment")
    try:
        deployment = msgspec.json.decode(content, type=Deployment)
    except UNREADABLE as error:
        raise Refused(f"not a deployment: {why(error)}") from None
    if deployment.pipeline != pipeline:
        raise Refused(f"a deployment of {deployment.pipeline} in the place of {pipeline}'s")
    return deployment
