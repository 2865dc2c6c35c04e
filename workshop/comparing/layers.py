"""Where inside a network an error begins: each model beside another one of its format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from runtime.locating import locate
from wire.troubles import Trouble
from workshop.comparing.differences import Pair
from workshop.comparing.names import Named
from workshop.comparing.results import Compared, Layers
from workshop.step import Progress, Tell, run_step

STEPS = {"onnx": "workshop.comparing.layers_onnx", "tflite": "workshop.comparing.layers_tflite"}


def with_layers(
    rows: Sequence[Compared], models: Sequence[Named], reference: str, folder: Path, tell: Tell
) -> list[Compared]:
    """The rows with their layers, each beside the reference, or beside the first model of its
    format where that has another. folder: has an input tensor for each sample, NAME.npy."""
    named = {model.name: model for model in models}
    leader = [row for row in rows if row.name == reference]
    sound = [row for row in (*leader, *rows) if row.trouble is None]
    found = []
    for row in rows:
        beside = _beside(row, sound)
        if beside is not None and row.format in STEPS:
            tell(Progress(f"layers of {row.name}"))
            layers = _layers(named[beside.name], named[row.name], STEPS[row.format], folder)
            row = replace(row, layers=replace(layers, beside=beside.name))
        found.append(row)
    return found


def _beside(row: Compared, sound: Sequence[Compared]) -> Compared | None:
    """The first of its format; None where that is itself."""
    if row.trouble is not None:
        return None
    first = next(each for each in sound if each.format == row.format)
    return None if first.name == row.name else first


def _layers(one: Named, other: Named, step: str, folder: Path) -> Layers:
    try:
        with locate(one.path, one.engine) as ours, locate(other.path, other.engine) as theirs:
            files = [str(each.file.absolute()) for each in (ours, theirs)]
            inputs = [str(folder / f"{each.name}.npy") for each in (one, other)]
            return run_step(step, Pair(files[0], files[1], inputs[0], inputs[1]), Layers)
    except Trouble as trouble:
        return Layers(why_not=str(trouble))
