"""Samples for calibration: prepared inputs in an .npy file, handed out one by one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wire.troubles import Refused
from workshop.quantizing import Request
from workshop.quantizing.ranges import Ranges, gathered, kept_ranges, write_ranges
from workshop.step import say

Tensor = npt.NDArray[np.float32]
Activations = dict[str, Tensor]


def samples_in(path: str, shape: tuple[int, ...], most: int | None = None) -> list[Tensor]:
    """Each of `shape`, whose batch is 1; read from the disk when it is looked at. Raises Refused.

    most: spread evenly over all of them.
    """
    try:
        whole = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise Refused(f"{path}: no .npy file of samples: {error}") from None
    if whole.shape[1:] not in (shape, shape[1:]) or whole.dtype != np.float32 or not len(whole):
        raise Refused(
            f"{path}: holds {whole.dtype} {whole.shape}; the network takes float32 "
            f"(n, {', '.join(map(str, shape[1:]))})"
        )
    places = np.arange(len(whole))
    if most is not None and len(whole) > most:
        places = np.linspace(0, len(whole) - 1, most).round().astype(int)
    return [whole[place].reshape(shape) for place in places]


def ranges_of(
    asked: Request,
    shape: tuple[int, ...],
    heads: Collection[str],
    run: Callable[[Tensor], Activations],
) -> Ranges:
    """The range of each activation. heads: those that are never clipped. run: what all of them are
    for one input.

    Raises Refused where samples are missing or hold what is no number.
    """
    wanted = f"percentile {asked.percentile:g}" if asked.method == "percentile" else asked.method
    known = None if asked.ranges is None else kept_ranges(Path(asked.ranges), wanted)
    if known is not None:
        return known
    if asked.calibration is None:
        raise Refused("integers need samples to learn the ranges from: name some (--calibrate)")
    samples = samples_in(asked.calibration, shape)
    runs = _all_of(samples, run, asked.calibration)
    ranges = gathered(runs, asked.method, asked.percentile, heads)
    if asked.ranges is not None:
        write_ranges(Path(asked.ranges), wanted, ranges)
    return ranges


def _all_of(
    samples: list[Tensor], run: Callable[[Tensor], Activations], where: str
) -> Iterator[Activations]:
    for number, sample in enumerate(samples):
        if not np.isfinite(sample).all():
            raise Refused(f"{where}: sample {number} holds values that are no numbers")
        say("calibrating", number, len(samples))
        yield run(np.ascontiguousarray(sample))
    say("calibrating", len(samples), len(samples))
