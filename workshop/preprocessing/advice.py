"""What to change where runtime and training do not agree: the settings that come closest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import msgspec
import numpy as np
import numpy.typing as npt

from models.manifest import Input
from runtime.frames import Pixels
from workshop.preprocessing import CLOSE
from workshop.preprocessing.asking import Floats
from workshop.preprocessing.settings import (
    FITS,
    INTERPOLATIONS,
    cropped_after_resizing,
    in_pixels,
    mean_difference,
    pixels_of,
)

PICTURES = 4  # every setting is tried on these
WORTH = 0.1  # pixel values: what changes less is not worth a word
KEYS = ("colour", "mean", "std", "fit", "resize", "interpolation", "padding")


@dataclass(frozen=True)
class Advice:
    """input: what comes closest, None where nothing is better. mean: of it, in pixel values."""

    words: tuple[str, ...]
    input: Input | None
    mean: float | None


def advice(
    reals: Sequence[Floats], pictures: Sequence[Pixels], wanted: Input, apart: float
) -> Advice:
    """Try every setting of the runtime, with the mean and std that fit it best.

    reals: what the training made of the pictures. apart: the mean difference as it is now.
    """
    reals, pictures = reals[:PICTURES], pictures[:PICTURES]
    least, best = min(_tried(reals, pictures, wanted), key=lambda one: one[0])
    if least > CLOSE:
        other, with_it = cropped_after_resizing(reals, pictures, best)
        if with_it < least - WORTH:
            least, best = with_it, other
    if least > apart - WORTH:
        return Advice((NO_BETTER,), None, None)
    best = _fewest_changes(reals, pictures, wanted, best, least)
    least = mean_difference(reals, pictures, best)
    changes = [
        f"{key} = {_toml(getattr(best, key))}"
        for key in KEYS
        if getattr(best, key) != getattr(wanted, key)
    ]
    words = [f"set {', '.join(changes)}: then they are {least:.2f}/255 apart"]
    if least > CLOSE:
        words.append(STILL)
    return Advice(tuple(words), best, least)


NO_BETTER = "no setting of the runtime comes closer: the training scales pictures by other rules"
STILL = "the rest is how the training scales pictures, which the runtime does by other rules"


def _tried(
    reals: Sequence[Floats], pictures: Sequence[Pixels], wanted: Input
) -> Iterator[tuple[float, Input]]:
    """Every setting with its mean difference."""
    colours = ("grey",) if wanted.colour == "grey" else ("rgb", "bgr")
    theirs = np.stack(reals)
    for colour, fit, interpolation in product(colours, FITS, INTERPOLATIONS):
        each = msgspec.structs.replace(
            wanted, colour=colour, fit=fit, resize=None, interpolation=interpolation
        )
        shown = np.stack([pixels_of(picture, each) for picture in pictures])
        yield float(np.abs(in_pixels(theirs, each) - shown).mean()), each
        beside = np.zeros(shown.shape[:3], np.bool_)
        if fit == "letterbox":
            beside = np.stack([_beside(picture, each) for picture in pictures])
        fitted = _fitted(theirs, shown, beside, each)
        if fitted is not None:
            shown[beside] = fitted.padding
            yield float(np.abs(in_pixels(theirs, fitted) - shown).mean()), fitted


def _fitted(
    theirs: Floats, shown: Floats, beside: npt.NDArray[np.bool_], wanted: Input
) -> Input | None:
    """With the mean and std by which the runtime's pixels become the training's values, by least
    squares, and the padding that is then there. None where they have nothing to do with each other.

    theirs, shown: (pictures, height, width, channels). beside: where nothing is shown.
    """
    x, y = shown[~beside].astype(np.float64), theirs[~beside].astype(np.float64)
    if len(x) < 2 or (x.std(axis=0) == 0).any():
        return None
    slope = ((x - x.mean(axis=0)) * (y - y.mean(axis=0))).mean(axis=0) / x.var(axis=0)
    if (slope <= 0).any():
        return None
    mean, std = x.mean(axis=0) - y.mean(axis=0) / slope, 1 / slope
    fitted = msgspec.structs.replace(wanted, mean=_neat(mean), std=_neat(std))
    if not beside.any():
        return fitted
    padding = float(np.median(in_pixels(theirs, fitted)[beside]))
    return msgspec.structs.replace(fitted, padding=round(min(max(padding, 0.0), 255.0)))


def _beside(picture: Pixels, wanted: Input) -> npt.NDArray[np.bool_]:
    """Where the tensor shows nothing of a picture: (height, width)."""
    black, white = (
        pixels_of(picture, msgspec.structs.replace(wanted, padding=each)) for each in (0, 255)
    )
    found: npt.NDArray[np.bool_] = (black != white).any(axis=2)
    return found


def _fewest_changes(
    reals: Sequence[Floats], pictures: Sequence[Pixels], wanted: Input, best: Input, least: float
) -> Input:
    """The same with every key as it was that makes hardly a difference."""
    for keys in (("mean", "std"), ("interpolation",), ("fit", "resize"), ("padding",), ("colour",)):
        before = {key: getattr(wanted, key) for key in keys}
        other = msgspec.structs.replace(best, **before)
        if mean_difference(reals, pictures, other) < least + WORTH:
            best = other
    return best


def _neat(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    neat = tuple(float(f"{value:.4g}") for value in values)
    return neat[:1] if len(set(neat)) == 1 else neat


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f"{each:g}" for each in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
