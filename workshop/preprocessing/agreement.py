"""Whether the runtime prepares pictures as the training did: both on the same pictures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import cv2
import msgspec
import numpy as np
from msgspec import Struct

from models.manifest import Input
from runtime.canvas import to_bgr
from runtime.frames import Frame, Pixels
from wire.troubles import Refused
from workshop.preprocessing import CLOSE
from workshop.preprocessing.advice import advice
from workshop.preprocessing.asking import Floats, Function, Seen, ask
from workshop.preprocessing.settings import difference, pixels_of
from workshop.samples import Samples
from workshop.step import Tell

PICTURES = 16  # are enough for a mean; a function may take long for each
BINS = 4096  # of the histogram by which p99 is found, from 0 to 256 pixel values


class Agreement(Struct, frozen=True):
    """How far the runtime's prepare is from the training's, in pixel values (1/255 of the range).

    mean, p99: of all values of all pictures. worst: the picture that is furthest, and its mean.
    agrees: the mean is at most 1. notes: what was not compared, and where they do not agree why, as
    far as can be told. closest: the settings by which the runtime would come closest, with their
    mean; None where those at hand do.
    """

    pictures: int
    mean: float
    p99: float
    worst: str
    worst_mean: float
    agrees: bool
    notes: tuple[str, ...] = ()
    closest: Input | None = None
    closest_mean: float | None = None


def check_agreement(
    function: Function, samples: Samples, wanted: Input, tell: Tell | None = None
) -> Agreement:
    """Compare the training's own function with the runtime on the first pictures of some samples.

    A function that resizes nothing is given pictures that the runtime has brought to the model's
    size. Raises Refused where the function fails or gives another size, Unavailable.
    """
    names, pictures = first_pictures(samples)
    answers = ask(function, pictures, tell)
    notes = []
    if _resizes_nothing(answers, pictures, wanted):
        notes.append("the training's function resizes nothing: size and fit were not compared")
        rgb = msgspec.structs.replace(wanted, colour="rgb")
        pictures = [np.rint(pixels_of(each, rgb)).astype(np.uint8) for each in pictures]
        answers = ask(function, pictures, tell)
    reals = [_fitting(answer, wanted, function.name) for answer in answers]
    return agreement(reals, pictures, names, wanted, notes)


def agreement(
    reals: Sequence[Floats],
    pictures: Sequence[Pixels],
    names: Sequence[str],
    wanted: Input,
    notes: Sequence[str] = (),
) -> Agreement:
    """Compare what a training made of pictures, (height, width, channels) each, with the runtime.

    pictures: uint8 (height, width, 3) RGB.
    """
    counts = np.zeros(BINS, np.int64)
    means = []
    for real, picture in zip(reals, pictures, strict=True):
        apart = difference(real, picture, wanted)
        means.append(float(apart.mean()))
        places = np.minimum(apart * (BINS / 256), BINS - 1).astype(np.int64)
        counts += np.bincount(places.reshape(-1), minlength=BINS)
    mean = float(np.mean(means))
    worst = int(np.argmax(means))
    found = Agreement(
        len(pictures), mean, _share(counts, 0.99), names[worst], means[worst], mean <= CLOSE,
        tuple(notes),
    )  # fmt: skip
    if found.agrees:
        return found
    advised = advice(reals, pictures, wanted, mean)
    return msgspec.structs.replace(
        found,
        notes=(*notes, *advised.words),
        closest=advised.input,
        closest_mean=advised.mean,
    )


def first_pictures(samples: Samples, most: int = PICTURES) -> tuple[list[str], list[Pixels]]:
    """Names and pictures, uint8 (height, width, 3) RGB, of the first samples."""
    names, pictures = [], []
    for sample in islice(samples, most):
        names.append(sample.name)
        pictures.append(as_rgb(sample.frame))
    return names, pictures


def as_rgb(frame: Frame) -> Pixels:
    """A frame of any format as uint8 (height, width, 3) RGB, in memory of its own."""
    layout = frame.layout
    if layout.format == "RGB3":
        return np.array(frame.pixels, order="C")
    bgr = np.empty((layout.height, layout.width, 3), np.uint8)
    to_bgr(frame.pixels, bgr, layout.format)
    cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, bgr)
    return bgr


def _resizes_nothing(answers: Sequence[Seen], pictures: Sequence[Pixels], wanted: Input) -> bool:
    there = [answer.real.shape[:2] for answer in answers]
    came = [picture.shape[:2] for picture in pictures]
    return there == came and set(came) != {(wanted.height, wanted.width)}


def _fitting(answer: Seen, wanted: Input, name: str) -> Floats:
    height, width, channels = answer.real.shape
    if (height, width, channels) != (wanted.height, wanted.width, wanted.channels):
        raise Refused(
            f"{name}: gives {width}x{height} pixels of {channels} channels, the model takes "
            f"{wanted.width}x{wanted.height} of {wanted.channels}: it was trained for another size,"
            " or this is another function"
        )
    if not np.isfinite(answer.real).all():
        raise Refused(f"{name}: gives values that are no numbers, or infinite")
    return answer.real


def _share(counts: np.ndarray[tuple[int, ...], np.dtype[np.int64]], share: float) -> float:
    """The value below which this share of them is, by the upper edge of its bin."""
    place = int(np.searchsorted(np.cumsum(counts), share * counts.sum()))
    return (place + 1) * 256 / BINS
