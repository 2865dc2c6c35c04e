"""A model while it is compared."""

from __future__ import annotations

from dataclasses import dataclass, field

from runtime.engines import Tensor
from runtime.locating import Located
from runtime.loop import Model
from workshop.comparing.answers import Answer
from workshop.comparing.names import Named


@dataclass
class Entrant:
    """trouble: why it is out. inputs: tensors of the first samples, as they are stored. located,
    model: None where it could not be opened; the engine is closed once all samples were asked."""

    named: Named
    trouble: str | None = None
    located: Located | None = None
    model: Model | None = None
    answers: list[Answer] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
