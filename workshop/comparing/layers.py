"""Where inside a network an error begins: each model beside another one of its format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from wire.troubles import Trouble
from workshop.comparing.differences import Pair
from workshop.comparing.entrants import Entrant
from workshop.comparing.results import Compared, Layers
from workshop.step import Progress, Tell, run_step

LOOKED_AT = 8  # samples
STEPS = {"onnx": "workshop.comparing.layers_onnx", "tflite": "workshop.comparing.layers_tflite"}


def with_layers(
    rows: Sequence[Compared],
    entrants: Sequence[Entrant],
    leader: Entrant,
    folder: Path,
    tell: Tell,
) -> list[Compared]:
    """The rows with their layers, each beside the reference, or beside the first model of its
    format where that has another."""
    sound = [entrant for entrant in entrants if entrant.trouble is None]
    found = []
    for row in rows:
        entrant = next((each for each in sound if each.named.name == row.name), None)
        beside = None if entrant is None else _beside(entrant, leader, sound)
        if entrant is not None and beside is not None and STEPS.get(row.format):
            tell(Progress(f"layers of {row.name}"))
            layers = _layers(beside, entrant, STEPS[row.format], folder)
            row = replace(row, layers=replace(layers, beside=beside.named.name))
        found.append(row)
    return found


def _beside(entrant: Entrant, leader: Entrant, sound: Sequence[Entrant]) -> Entrant | None:
    for other in (leader, *sound):
        if other is entrant:
            return None  # it is the first of its format
        if other in sound and _ending(other) == _ending(entrant):
            return other
    return None


def _ending(entrant: Entrant) -> str:
    assert entrant.located is not None
    return entrant.located.file.suffix.lower()


def _layers(one: Entrant, other: Entrant, step: str, folder: Path) -> Layers:
    assert one.located is not None
    assert other.located is not None
    files = []
    for entrant in (one, other):
        file = folder / f"{entrant.named.name}.npy"
        if not file.exists():
            np.save(file, np.stack(entrant.inputs))
        files.append(str(file))
    pair = Pair(
        str(one.located.file.absolute()), str(other.located.file.absolute()), files[0], files[1]
    )
    try:
        return run_step(step, pair, Layers)
    except Trouble as trouble:
        return Layers(why_not=str(trouble))
