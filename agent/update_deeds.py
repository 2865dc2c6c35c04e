"""What the update of one pipeline may do to the device, and how a runtime says "later"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from models.store import Store
from wire.local import Answer, FromAgent


@dataclass(frozen=True)
class Deeds:
    """tell: whether the pipeline's process took it. hurry: ask it what it has counted. sweep:
    models may be needed no longer."""

    pipeline: str
    store: Store
    tell: Callable[[FromAgent], bool]
    hurry: Callable[[], None]
    sweep: Callable[[], None]


def is_for_later(answer: Answer) -> bool:
    """Whether a runtime had no time for us, or no life left: that says nothing of the model."""
    return not answer.ok and answer.text.startswith(("busy:", "the pipeline ends"))
