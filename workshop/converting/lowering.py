"""From the float32 file to the wished precision; mixed, where it must stay near to float32."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from models import manifest
from wire.troubles import Refused
from workshop.converting import Kept, Wanted
from workshop.converting.describing import quantised
from workshop.converting.floating import Floated
from workshop.quantizing import (
    QUANTIZERS,
    SENSITIVITY,
    Layer,
    Made,
    Precision,
    Request,
    Sensitivity,
    SensitivityRequest,
)
from workshop.quantizing.mixed import find_mixed
from workshop.samples import Sample, Samples
from workshop.samples.tensors import write_tensors
from workshop.step import Progress, Tell, run_step

SHOWN = 4  # layers in a sentence
MOST_HELD = 16  # samples by which layers are ranked

Judge = Callable[[Path, str], float]
"""How right a model folder is, 0 to 1. The second: what it is called meanwhile."""


@dataclass(frozen=True)
class Lowered:
    """A model folder of fewer bits, and how it came about."""

    folder: Path
    layers: tuple[Layer, ...] = ()
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tools: dict[str, str] = field(default_factory=dict)
    mixed: Kept | None = None


@dataclass(frozen=True)
class Lowering:
    """All that a try of one set of layers needs. scratch: a folder for what is made."""

    wanted: Wanted
    start: Floated
    precision: Precision
    calibration: Path | None
    scratch: Path
    tell: Tell

    def tried(self, keep: frozenset[str]) -> Lowered:
        """A model folder in which these layers stay float32, in place of the one before."""
        wanted = self.wanted
        folder = self.scratch / "lowered"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        request = Request(
            source=str(self.start.file),
            file=str(folder / self.start.manifest.file),
            precision=self.precision,
            calibration=None if self.calibration is None else str(self.calibration),
            method=wanted.method,
            percentile=wanted.percentile,
            ranges=str(self.scratch / "ranges.json"),
            suits=wanted.suits,
            keep=(*wanted.keep, *sorted(keep)),
            whole=wanted.whole,
        )
        made = run_step(QUANTIZERS[wanted.to], request, Made, self.tell)
        if not keep and not any(layer.precision != "float32" for layer in made.layers):
            raise Refused(
                f"no layer of the network has an {self.precision} form: convert it with "
                "--precision float32"
            )
        for beside in self.start.manifest.files[1:]:
            if beside != self.start.manifest.file:
                shutil.copyfile(self.start.folder / beside, folder / beside)
        try:
            manifest.write(folder, quantised(self.start.manifest, Path(made.file)))
        except Refused as trouble:
            names = ", ".join(f"{each.name} ({each.kind})" for each in made.layers[:SHOWN])
            raise Refused(
                f"{trouble}: a layer has no {self.precision} form that the engine runs: keep it "
                f"float32 with --keep NAME (the first are {names}), or take another precision"
            ) from None
        return Lowered(folder, made.layers, made.steps, made.notes, made.tools)


def lowering_of(
    wanted: Wanted, start: Floated, samples: Samples | None, scratch: Path, tell: Tell
) -> Lowering | None:
    """What it takes to lower a model; None where it stays float32. samples: to calibrate on."""
    if wanted.precision == "float32":
        return None
    calibration = None
    if samples is not None and wanted.precision in ("int8", "int8x16"):
        calibration = scratch / "calibration.npy"

        def count(done: int, total: int) -> None:
            tell(Progress("prepares samples", done, total))

        write_tensors(samples, start.manifest.takes, calibration, count)
    return Lowering(wanted, start, wanted.precision, calibration, scratch, tell)


def lowered(
    job: Lowering, judge: Judge | None, float_value: float | None, data: Samples | None
) -> Lowered:
    """The model with as many layers lowered as may be. judge, float_value: how right it is, and the
    float32 model was, on `data`; None where nothing tells. Raises Refused, Unavailable."""
    within = job.wanted.keep_within
    if within is None or judge is None or float_value is None or data is None:
        return job.tried(frozenset())
    ranked = _ranked(job, data)
    last = [Lowered(job.start.folder)]

    def quantize(keep: frozenset[str]) -> Path:
        last[0] = job.tried(keep)
        return last[0].folder

    def score(folder: Path) -> float:
        return judge(folder, job.precision)

    mixed = find_mixed(
        quantize, score, float_value - within, [each.name for each in ranked.layers], tell=job.tell
    )
    steps = (
        *last[0].steps,
        f"layers ranked by what their {job.precision} does to the outputs of {MOST_HELD} samples",
        f"mixed precision: {len(mixed.keep)} of {len(ranked.layers)} layers kept float32 for an "
        f"accuracy of {mixed.score:.4f}; {len(mixed.trail)} sets tried",
    )
    kept = Kept(mixed.keep, len(ranked.layers), mixed.score, mixed.trail)
    return replace(last[0], steps=steps, tools=ranked.tools | last[0].tools, mixed=kept)


def _ranked(job: Lowering, data: Samples) -> Sensitivity:
    """Which layers suffer most, on samples that were not calibrated with."""
    held = job.scratch / "held.npy"
    write_tensors(_First(data, MOST_HELD), job.start.manifest.takes, held)
    wanted = job.wanted
    request = SensitivityRequest(
        source=str(job.start.file),
        precision=job.precision,
        held=str(held),
        calibration=None if job.calibration is None else str(job.calibration),
        method=wanted.method,
        percentile=wanted.percentile,
        ranges=str(job.scratch / "ranges.json"),
        suits=wanted.suits,
        most=MOST_HELD,
    )
    return run_step(SENSITIVITY, request, Sensitivity, job.tell)


class _First:
    """The first few of some samples."""

    def __init__(self, samples: Samples, most: int) -> None:
        self._samples, self._most = samples, min(most, len(samples))
        self.name, self.truth = samples.name, samples.truth
        self.labels, self.digest = samples.labels, samples.digest
        self.left_out = samples.left_out

    def __len__(self) -> int:
        return self._most

    def __iter__(self) -> Iterator[Sample]:
        return islice(iter(self._samples), self._most)
