"""Shrinking as Pillow and torch do it: with a kernel that grows as the picture shrinks.

They weigh the pixels around each place anew. Here the picture is smoothed once, in eight bits, and
then sampled between two pixels, so that it costs no more than a resize by area: the kernel is the
one by which both together come closest to theirs, by least squares over all places between two
pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from runtime.frames import Pixels

Floats = npt.NDArray[np.float64]

PLACES = 32  # between two pixels, for which the kernel is fitted
FINE = 64  # kernels are made for scales in steps of 1 / FINE
KEPT = 3  # a picture that is to shrink more is first shrunk by whole numbers, to as much as this
SMALLEST = 1 / 256  # of a kernel's weights: less changes nothing in eight bits


def triangle(distance: Floats) -> Floats:
    """Pillow's BILINEAR and torch's "bilinear", antialiased: up to 1 to each side."""
    weights: Floats = np.maximum(0.0, 1 - np.abs(distance))
    return weights


def cubic(distance: Floats) -> Floats:
    """Pillow's BICUBIC and torch's "bicubic", antialiased: up to 2 to each side, and below 0 from
    1 on. R. Keys, Cubic convolution interpolation, 1981, with a = -0.5."""
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights: Floats = np.where(x < 1, near, np.where(x < 2, far, 0.0))
    return weights


KERNELS = {"antialias": triangle, "antialias-bicubic": cubic}
REACH = {triangle: 1, cubic: 2}


def shrunk_before(source: int, target: int) -> int:
    """The side to which a side of `source` pixels is shrunk by area before it is smoothed."""
    return max(1, round(source / max(1, int(source / target / KEPT))))


def smoothing(name: str, scale: float) -> npt.NDArray[np.float32]:
    """The odd number of weights to smooth by before every `scale`-th pixel is sampled."""
    return _weights(name, max(1, round(scale * FINE)))


@lru_cache(maxsize=256)
def _weights(name: str, scale: int) -> npt.NDArray[np.float32]:
    shrink = scale / FINE
    if shrink <= 1:
        return np.ones(1, np.float32)
    kernel = KERNELS[name]
    reach = int(np.ceil(REACH[kernel] * shrink))
    places = np.arange(-reach - 1, reach + 3)
    sampled, wanted = [], []
    for share in _shares():
        theirs = kernel(np.asarray((places - share) / shrink, np.float64))
        wanted.append(theirs / theirs.sum())
        sampled.append(_sampled(len(places), reach, share))
    half = np.linalg.lstsq(np.concatenate(sampled), np.concatenate(wanted), rcond=None)[0]
    while len(half) > 1 and abs(half[-1]) < SMALLEST:
        half = half[:-1]
    whole = np.concatenate([half[:0:-1], half])
    return np.asarray(whole / whole.sum(), np.float32)


@cache
def _shares() -> tuple[float, ...]:
    return tuple((np.arange(PLACES) + 0.5) / PLACES)


def _sampled(count: int, reach: int, share: float) -> Floats:
    """What each weight gives to the pixels around, where its smoothed picture is sampled `share` of
    a pixel beyond pixel 0: (pixels, weights from the middle on)."""
    given = np.zeros((count, reach + 1))
    for place in range(-reach, reach + 1):
        given[place + reach + 1, abs(place)] += 1 - share
        given[place + reach + 2, abs(place)] += share
    return given


def compile_shrink(
    name: str, source: tuple[int, int], into: Pixels, take: Callable[..., Pixels]
) -> Callable[[Pixels], None]:
    """A step that brings a picture of (width, height) to the size of `into`, uint8 with as many
    channels. take: gives memory of a shape. What is enlarged is enlarged bilinear."""
    height, width = into.shape[:2]
    before = shrunk_before(source[0], width), shrunk_before(source[1], height)
    across, down = smoothing(name, before[0] / width), smoothing(name, before[1] / height)
    if len(across) == len(down) == 1:
        return lambda pixels: _resized(pixels, into, cv2.INTER_LINEAR)
    smoothed = take(before[1], before[0], *into.shape[2:])
    small = smoothed if before == source else take(*smoothed.shape)

    def step(pixels: Pixels) -> None:
        if small is not smoothed:
            _resized(pixels, small, cv2.INTER_AREA)
            pixels = small
        cv2.sepFilter2D(pixels, -1, across, down, smoothed, borderType=cv2.BORDER_REPLICATE)
        _resized(smoothed, into, cv2.INTER_LINEAR)

    return step


def _resized(pixels: Pixels, into: Pixels, method: int) -> None:
    cv2.resize(pixels, (into.shape[1], into.shape[0]), into, interpolation=method)
