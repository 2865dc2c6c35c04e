"""From the float32 file to the wished precision; mixed, where it must stay near to float32."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from models import manifest
from workshop.converting import Wanted
from workshop.converting.describing import quantised
from workshop.converting.floating import Floated
from workshop.quantizing import QUANTIZERS, Layer, Made, Precision, Request
from workshop.samples import Samples
from workshop.samples.tensors import write_tensors
from workshop.step import Progress, Tell, run_step

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


@dataclass(frozen=True)
class Lowering:
    """All that a try of one set of layers needs. scratch: a folder for what is made."""

    wanted: Wanted
    start: Floated
    precision: Precision
    calibration: Path | None
    scratch: Path
    tell: Tell

    def tried(self, keep: frozenset[str], name: str) -> tuple[Path, Made]:
        """A model folder in which these layers stay float32."""
        wanted = self.wanted
        folder = self.scratch / name
        folder.mkdir()
        request = Request(
            str(self.start.file),
            str(folder / self.start.manifest.file),
            self.precision,
            None if self.calibration is None else str(self.calibration),
            wanted.method,
            wanted.percentile,
            str(self.scratch / "ranges.json"),
            (*wanted.keep, *sorted(keep)),
            wanted.whole,
        )
        made = run_step(QUANTIZERS[wanted.to], request, Made, self.tell)
        for beside in self.start.manifest.files[1:]:
            if beside != self.start.manifest.file:
                shutil.copyfile(self.start.folder / beside, folder / beside)
        manifest.write(folder, quantised(self.start.manifest, Path(made.file)))
        return folder, made


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

        write_tensors(samples, start.manifest.input, calibration, count)
    return Lowering(wanted, start, wanted.precision, calibration, scratch, tell)


def lowered(job: Lowering, judge: Judge | None, float_value: float | None) -> Lowered:
    """The model with as many layers lowered as may be. judge, float_value: how right it is, and the
    float32 model was; None where nothing tells."""
    folder, made = job.tried(frozenset(), "whole")
    steps = list(made.steps)
    return Lowered(folder, made.layers, tuple(steps), made.notes, made.tools)
