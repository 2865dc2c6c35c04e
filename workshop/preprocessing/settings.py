"""The runtime's own prepare on pictures at hand, and which of its settings comes closest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, get_args, get_type_hints

import msgspec
import numpy as np
import numpy.typing as npt

from models.manifest import Input
from runtime.frames import Frame, Pixels, packed
from runtime.memory import aligned_zeros
from runtime.prepare import make_prepare

Floats = npt.NDArray[np.float32]

HINTS = get_type_hints(Input)
FITS = get_args(HINTS["fit"])
MOST_RESIZED = 1.7  # a training resizes to this many times of what it then crops, at most
INTERPOLATIONS = get_args(HINTS["interpolation"])


def real_of(picture: Pixels, wanted: Input) -> Floats:
    """What the network gets of an RGB picture: (height, width, channels), not quantised."""
    real = msgspec.structs.replace(
        wanted, dtype="float32", layout="NHWC", scale=None, zero_point=None
    )
    out = aligned_zeros(real.shape, "float32")
    height, width = picture.shape[:2]
    flat: Any = np.ascontiguousarray(picture).reshape(-1)
    with Frame(0, 0, packed("RGB3", width, height), flat, lambda: None) as frame:
        make_prepare(real)(frame, out)
    first: Floats = out[0]
    return first


def pixels_of(picture: Pixels, wanted: Input) -> Floats:
    """The same in pixel values, 0 to 255, before mean and std."""
    return real_of(picture, msgspec.structs.replace(wanted, mean=(0.0,), std=(1.0,)))


def in_pixels(real: Floats, wanted: Input) -> Floats:
    """Real values as the pixel values that they stand for by mean and std: same shape."""
    pixels: Floats = real * np.array(wanted.std, np.float32) + np.array(wanted.mean, np.float32)
    return pixels


def difference(real: Floats, picture: Pixels, wanted: Input) -> Floats:
    """How far the runtime is from what the training made of a picture: absolute, in pixel values,
    for each value of the tensor."""
    apart: Floats = np.abs(in_pixels(real, wanted) - pixels_of(picture, wanted))
    return apart


def mean_difference(reals: Sequence[Floats], pictures: Sequence[Pixels], wanted: Input) -> float:
    """Its mean over all pictures."""
    each = [
        float(difference(real, picture, wanted).mean())
        for real, picture in zip(reals, pictures, strict=True)
    ]
    return float(np.mean(each))


def closest_input(
    reals: Sequence[Floats], pictures: Sequence[Pixels], others: Iterator[Input]
) -> tuple[Input, float]:
    """Of some inputs the one by which the runtime comes closest, and its mean difference."""
    judged = [(mean_difference(reals, pictures, each), place, each)
              for place, each in enumerate(others)]  # fmt: skip
    least = min(judged, key=lambda one: one[:2])
    return least[2], least[0]


def every_scaling(wanted: Input) -> Iterator[Input]:
    """This input, and then with every other way to bring a picture to its size."""
    yield wanted
    for fit, interpolation in product(FITS, INTERPOLATIONS):
        yield msgspec.structs.replace(wanted, fit=fit, resize=None, interpolation=interpolation)


def cropped_after_resizing(
    reals: Sequence[Floats], pictures: Sequence[Pixels], wanted: Input
) -> tuple[Input, float]:
    """Of all sizes from which the middle may have been cropped the one that comes closest, and its
    mean difference."""
    side = max(wanted.width, wanted.height)
    step = max(1, side // 28)

    def judged(sides: range, ways: Sequence[str]) -> tuple[Input, float]:
        tried = [
            msgspec.structs.replace(wanted, fit="crop", resize=resize, interpolation=how)
            for how in ways
            for resize in sides
        ]
        return closest_input(reals, pictures, iter(tried))

    near, _ = judged(range(side, round(side * MOST_RESIZED), step), ["antialias"])
    assert near.resize is not None
    around = range(max(side, near.resize - step), near.resize + step + 1)
    near, _ = judged(around, ["antialias"])
    assert near.resize is not None
    return judged(range(near.resize, near.resize + 1), INTERPOLATIONS)
