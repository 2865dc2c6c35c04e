"""From the source to a described model folder in float32, proven against the source framework."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from models import manifest
from models.made import Origin
from models.manifest import Manifest
from workshop.converting import Wanted
from workshop.converting.describing import Like, described, quantised, write_labels
from workshop.converting.origins import origins_of
from workshop.converting.proving import difference
from workshop.converting.training import Training, training_of
from workshop.reading import READERS, Read, Request
from workshop.reading.kinds import kind_of
from workshop.step import Progress, Tell, run_step


@dataclass(frozen=True)
class Floated:
    """A float32 model folder. difference: from the source, as `Wanted.tolerance` counts it."""

    folder: Path
    manifest: Manifest
    read: Read
    difference: float
    labels: tuple[str, ...]
    guesses: tuple[str, ...]
    training: Training
    origins: tuple[Origin, ...]

    @property
    def file(self) -> Path:
        return self.folder / self.manifest.file


def floated(wanted: Wanted, like: Like | None, folder: Path, tell: Tell) -> Floated:
    """Read the source into `folder`, which is empty. Raises Refused, Unavailable."""
    kind = kind_of(wanted.source)
    tell(Progress(f"reads {wanted.source}"))
    path = wanted.source if kind == "torch_module" else str(Path(wanted.source).resolve())
    request = Request(
        kind, path, wanted.to, str(folder), wanted.input_shape, seed=wanted.seed,
        folder=os.getcwd(), trusted=wanted.trusted, signature=wanted.signature,
    )  # fmt: skip
    read = run_step(READERS[kind], request, Read, tell)
    apart = difference(read, wanted.tolerance)
    labels = write_labels(folder, wanted, like, read)
    training = training_of(wanted, kind, read, tell)
    told, guesses = described(Path(read.file), wanted, like, training)
    if told.row is not None and not told.row.columns and len(read.columns) == told.row.count:
        told = replace(told, row=replace(told.row, columns=read.columns))
        guesses = tuple(each for each in guesses if not each.startswith("assumed: its numbers"))
    file = folder / told.file
    os.rename(read.file, file)
    told = quantised(told, file)
    manifest.write(folder, told)
    origins = origins_of("source", wanted.source, Path.cwd())
    return Floated(folder, told, read, apart, labels, guesses, training, origins)
