"""What the update of one pipeline may do to the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from models.store import Store
from wire.local import FromAgent


@dataclass(frozen=True)
class Deeds:
    """tell: whether the pipeline's process took it. hurry: ask it what it has counted, and say
    whether it is there. sweep: models may be needed no longer. examine: a model may be damaged."""

    pipeline: str
    store: Store
    tell: Callable[[FromAgent], bool]
    hurry: Callable[[], bool]
    sweep: Callable[[], None]
    examine: Callable[[str], None]
