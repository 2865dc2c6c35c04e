"""What a model folder gets last: how it was made, how right it is; and its place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import asdict, replace

from models import manifest
from models.made import Made, Origin
from models.manifest import Manifest, Measured
from wire.durable import sync_file, sync_folder
from wire.version import VERSION
from workshop.converting import Judged, Wanted
from workshop.converting.floating import Floated
from workshop.converting.lowering import Lowered
from workshop.converting.origins import origin
from workshop.samples import Samples

NOT_OPTIONS = ("source", "out", "replacing", "golden")  # say nothing of the numbers in the file
PATHS = ("like", "labels", "preprocessing", "calibrate", "data")  # only names stay of them
LONGEST = 300  # of a line in a manifest


def made_of(wanted: Wanted, start: Floated, low: Lowered, used: Sequence[Samples]) -> Made:
    """How it was made, for the manifest. used: the samples that had a say in it."""
    origins = [*start.origins, *start.training.origins]
    if wanted.labels is not None:
        origins.append(origin("labels", Path(wanted.labels)))
    for each in used:
        origins.append(Origin("samples", _name(each.name), each.digest))
    options = {
        name: _word(name, value)
        for name, value in asdict(wanted).items()
        if name not in (*NOT_OPTIONS, *_idle(wanted)) and not _is_unsaid(value)
    }
    tools = dict(sorted((start.read.tools | low.tools).items()))
    steps = (*start.read.steps, *low.steps)
    return Made(
        f"vedette {VERSION}",
        tuple(origins),
        options,
        tools,
        tuple(each[:LONGEST] for each in steps),
    )


def _is_unsaid(value: object) -> bool:
    return value is None or value is False or value == ()


def _idle(wanted: Wanted) -> tuple[str, ...]:
    """Options that had no say in this."""
    idle: tuple[str, ...] = () if wanted.method == "percentile" else ("percentile",)
    idle += () if wanted.to == "onnx" and wanted.precision == "int8" else ("suits",)
    return idle if wanted.calibrate else (*idle, "calibrate_count", "method")


def _word(name: str, value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))[:LONGEST]
    return _name(str(value)) if name in PATHS else str(value)[:LONGEST]


def _name(words: str) -> str:
    """What a path or a camera is called, without where it lies."""
    return words[:LONGEST] if "://" in words or ":" in words else Path(words).name[:LONGEST]


def with_accuracy(described: Manifest, judged: Judged, samples: Samples) -> Manifest:
    """The card says how right this very file is."""
    measured = Measured(judged.metric, round(judged.made, 4), _name(samples.name), judged.samples)
    return replace(described, card=replace(described.card, accuracy=(measured,)))


def put(folder: Path, out: Path, replacing: bool) -> None:
    """Lay what the manifest of `folder` names at `out`, whole or not at all; what is there before
    is gone only when the new one is there."""
    parent = out.resolve().parent
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=parent) as scratch:
        ready = Path(scratch) / "new"
        ready.mkdir()
        for name in manifest.load(folder).files:
            shutil.copyfile(folder / name, ready / name)
            with open(ready / name, "rb") as file:
                sync_file(file)
        sync_folder(ready)
        if replacing and out.exists():
            os.rename(out, Path(scratch) / "old")
        os.rename(ready, out)
        sync_folder(parent)
