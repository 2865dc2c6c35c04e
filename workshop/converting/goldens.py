"""Golden samples of a converted model, of the samples that it was calibrated or judged with."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import cv2
import numpy as np

from models import manifest
from runtime.canvas import to_bgr
from runtime.engines import EngineOptions
from runtime.frames import Frame, Pixels
from runtime.goldens import Wish, make_goldens
from wire.troubles import Refused
from workshop.samples import Samples
from workshop.step import Progress, Tell

MOST = 60  # pictures that are looked at
TASKS = ("classify", "detect", "regress")  # that golden samples are easily made for


def add_goldens(folder: Path, samples: Samples | None, count: int, tell: Tell) -> str | None:
    """Write up to `count` golden samples into a model folder. Returns why there are none, or None.

    They are what this very file answers, so they guard against another engine or a damaged file,
    not against a bad conversion.
    """
    described = manifest.load(folder)
    if count == 0:
        return None
    if samples is None or described.task not in TASKS:
        what = "PICTURES" if described.row is None else "TABLE.csv"
        return f"no golden samples: vedette fleet pack --golden {what} makes them"
    with tempfile.TemporaryDirectory(prefix="vedette-golden-") as scratch:
        source = Path(scratch)
        if described.row is None:
            _write_pictures(samples, source)
        else:
            source /= "samples.csv"
            _write_rows(samples, source)

        def say(what: str) -> None:
            tell(Progress(what))

        try:
            make_goldens(folder, source, EngineOptions(threads=1), Wish(count, say))
        except Refused as trouble:
            return f"no golden samples: {trouble}".replace(scratch, samples.name)
    return None


def _write_pictures(samples: Samples, folder: Path) -> None:
    for number, sample in enumerate(samples):
        if number == MOST:
            break
        cv2.imwrite(str(folder / f"{number:04}.png"), _bgr(sample.frame))


def _write_rows(samples: Samples, table: Path) -> None:
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        for number, sample in enumerate(samples):
            if number == 0 and sample.frame.layout.columns:
                writer.writerow(sample.frame.layout.columns)
            if number == MOST:
                break
            writer.writerow(sample.frame.pixels.view(np.float32)[0].tolist())


def _bgr(frame: Frame) -> Pixels:
    out: Pixels = np.empty((frame.layout.height, frame.layout.width, 3), np.uint8)
    to_bgr(np.ascontiguousarray(frame.pixels), out, frame.layout.format)
    return out
