"""What the training did to its pictures, carried into the manifest and checked."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from models.manifest import Input

Interpolation = Literal[
    "nearest", "nearest-exact", "bilinear", "area", "antialias", "antialias-bicubic"
]
Kernel = Literal["nearest", "box", "hamming", "bilinear", "bicubic", "lanczos"]
CLOSE = 1.0  # of 255 pixel values, on average: training and runtime agree


class Preprocessing(Struct, frozen=True, omit_defaults=True):
    """What is known of a training's preprocessing, in the manifest's words; None: it is not said.

    mean, std: in pixel values, 0 to 255. source: what says so. notes: what the runtime cannot do
    in the same way, or what was guessed, a line each. labels: where the source has them.
    """

    width: int | None = None
    height: int | None = None
    colour: Literal["rgb", "bgr", "grey"] | None = None
    layout: Literal["NHWC", "NCHW"] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    fit: Literal["letterbox", "stretch", "crop"] | None = None
    resize: int | None = None
    interpolation: Interpolation | None = None
    padding: int | None = None
    source: str = ""
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


CARRIED = ("colour", "mean", "std", "fit", "resize", "interpolation", "padding")
"""What a network does not say itself; its sizes and its layout are its own."""


class Carried(Struct, frozen=True):
    """A model's input with what is known of its training. notes: what does not fit, a line each."""

    input: Input
    notes: tuple[str, ...]


def carried(known: Preprocessing, wanted: Input) -> Carried:
    """Put what is known into a model's input. Size and layout stay the network's own: where the
    training's are others, a note says so."""
    values = {key: getattr(known, key) for key in CARRIED if getattr(known, key) is not None}
    notes = list(known.notes)
    if wanted.colour == "grey" and values.get("colour", "grey") != "grey":
        notes.append(f"the training's pictures are {known.colour}, the network takes one channel")
        values = {key: value for key, value in values.items() if key == "fit"}
    if wanted.colour != "grey" and values.get("colour") == "grey":
        notes.append("the training's pictures are grey, the network takes three channels")
        values = {key: value for key, value in values.items() if key == "fit"}
    size = (known.width or wanted.width, known.height or wanted.height)
    if size != (wanted.width, wanted.height):
        notes.append(
            f"the training's pictures have {size[0]}x{size[1]} pixels, "
            f"the network takes {wanted.width}x{wanted.height}"
        )
        values.pop("resize", None)  # of the other size
    told = msgspec.structs.replace(wanted, **values)
    if told.fit != "crop" or (known.fit is not None and known.resize is None):
        told = msgspec.structs.replace(told, resize=None)
    return Carried(told, tuple(notes))


def closest(kernel: Kernel, antialias: bool) -> tuple[Interpolation, str]:
    """The runtime's interpolation for one of Pillow, torch or TensorFlow, and what is to be said
    where it only comes close. antialias: the kernel grows as the picture shrinks, or Pillow's."""
    exact: dict[tuple[str, bool], Interpolation] = {
        ("nearest", True): "nearest-exact", ("nearest", False): "nearest",
        ("box", True): "area", ("box", False): "area",
        ("bilinear", True): "antialias", ("bilinear", False): "bilinear",
        ("bicubic", True): "antialias-bicubic",
    }  # fmt: skip
    if (kernel, antialias) in exact:
        return exact[kernel, antialias], ""
    near: dict[str, Interpolation] = {"hamming": "area", "lanczos": "antialias-bicubic"}
    found = near.get(kernel, "bilinear") if antialias else "bilinear"
    how = "with antialiasing" if antialias else "without antialiasing"
    return found, f"pictures are scaled {kernel} {how}: {found} comes closest"
