"""The single changes of a pipeline's state, of which `Store` makes its steps: one file each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from models import pipelines
from models.pipelines import Lying, Record, Rejection, Trial
from wire.complaints import shortened
from wire.durable import link_durably, remove_durably, write_durably
from wire.troubles import Refused

Trials = tuple[Trial, ...]
Rejections = tuple[Rejection, ...]
MOST_REJECTIONS = 128  # the oldest are forgotten first


def refuse_rejected(lying: Lying, digest: str) -> None:
    rejection = lying.meant.rejection(digest)
    if rejection is not None and digest != lying.good:
        raise Refused(f"{digest[:12]} was rejected: {rejection.reason}: forgive it first")


def remember(place: Path, lying: Lying, digest: str, reason: str) -> None:
    others = [one for one in lying.rejected if one.digest != digest]
    kept = [*others, Rejection(digest, shortened(reason))][-MOST_REJECTIONS:]
    write(place / "rejected.json", kept, Rejections)


def fall_back(place: Path, lying: Lying) -> None:
    good = lying.good or lying.gone  # one that is gone for now is to come again
    if good is None:
        remove_durably(place / "active")
    else:
        link_durably(place / "active", pipelines.link_to(good))


def forget_trial(place: Path, lying: Lying, digest: str) -> None:
    left = [one for one in lying.trials if one.digest != digest]
    if left:
        write(place / "trial.json", left, Trials)
    else:
        remove_durably(place / "trial.json")


def write(path: Path, records: Sequence[Record], kind: type[tuple[Record, ...]]) -> None:
    content = msgspec.json.encode(records)
    try:
        msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise Refused(f"{path.name} cannot hold that: {error}") from None
    write_durably(path, msgspec.json.format(content, indent=1) + b"\n")
