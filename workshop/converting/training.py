"""What the training side did to its pictures: known from a file, or found by asking its code."""

from __future__ import annotations

from dataclasses import dataclass

from models.made import Origin
from models.manifest import Input, Manifest
from workshop.converting import Wanted
from workshop.reading import Read
from workshop.samples import Samples
from workshop.step import Tell


@dataclass(frozen=True)
class Training:
    """input: as the training's files say it; None where nobody said."""

    input: Input | None = None
    origins: tuple[Origin, ...] = ()

    def check(self, told: Manifest, samples: Samples | None, tell: Tell) -> tuple[str, ...]:
        return ()


def training_of(wanted: Wanted, read: Read, tell: Tell) -> Training:
    return Training()
