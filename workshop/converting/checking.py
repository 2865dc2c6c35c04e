"""What can be said of a wish before anything long begins."""

from __future__ import annotations

import os
from pathlib import Path

from models import manifest
from wire.troubles import Refused, Unavailable
from workshop.converting import Wanted
from workshop.samples.opening import open_samples


def check(wanted: Wanted) -> None:
    """Raises Refused where something is missing or contradicts something else, Unavailable where
    the place for what is made cannot be written."""
    _check_place(wanted, Path(wanted.out))
    if wanted.keep_within is not None and wanted.data is None:
        raise Refused("--keep-within needs samples with a truth to judge by: give --data")
    if wanted.keep_within is not None and wanted.precision == "float32":
        raise Refused("--keep-within is about smaller numbers: give --precision int8, for example")
    if wanted.precision in ("int8", "int8x16") and wanted.calibrate is None:
        raise Refused(
            f"{wanted.precision} learns the ranges of all layers from samples: give --calibrate "
            "with a folder of pictures, a video or a camera"
        )
    if wanted.labels is not None and not Path(wanted.labels).is_file():
        raise Refused(f"{wanted.labels}: there is no such file of labels, one a line")
    words = wanted.preprocessing
    if words is not None and ":" not in words and not Path(words).expanduser().exists():
        raise Refused(
            f"{words}: there is no such file; a function is written package.module:function"
        )
    for samples in (wanted.calibrate, wanted.data):
        if samples is not None and "://" not in samples:  # a camera is opened when it is needed
            open_samples(samples, (), 1, wanted.seed)


def _check_place(wanted: Wanted, out: Path) -> None:
    if out.exists() and not wanted.replacing:
        raise Refused(f"{out}: is there already: give --replace, or another --out")
    if out.exists() and not (out / manifest.FILE_NAME).is_file():
        raise Refused(f"{out}: is no model folder, and is not replaced: give another --out")
    parent = out.resolve().parent
    if not parent.is_dir():
        raise Refused(f"{out}: there is no folder {parent}: make it first")
    if os.statvfs(parent).f_flag & os.ST_RDONLY or not os.access(parent, os.W_OK):
        raise Unavailable(f"{out}: nothing can be written in {parent}: give another --out")
