"""Preprocessing as transformers (preprocessor_config.json) and timm (config.json) write it down."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec import Struct

from wire.troubles import Refused
from wire.unreadable import UNREADABLE
from workshop.preprocessing import Kernel, Preprocessing, closest
from workshop.preprocessing.known_geometry import (
    Geometry,
    cropped,
    stretched,
    uncropped,
    unresized,
)

PILLOW: tuple[Kernel, ...] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""By their numbers in Pillow, which transformers writes as `resample`."""

Sides = dict[str, int | None] | int | tuple[int, ...]


class Processor(Struct, frozen=True):
    """What image processors of transformers have in common. size: {height, width}, {shortest_edge},
    or a number: of the shorter side where the middle is cropped, or else of both."""

    do_resize: bool = True
    size: Sides | None = None
    resample: int = 2
    do_center_crop: bool | None = None
    crop_size: Sides | None = None
    crop_pct: float | None = None
    do_rescale: bool = True
    rescale_factor: float = 1 / 255
    rescale_offset: bool = False
    do_normalize: bool = True
    image_mean: tuple[float, ...] | float | None = None
    image_std: tuple[float, ...] | float | None = None
    do_flip_channel_order: bool = False
    do_pad: bool = False


class Pretrained(Struct, frozen=True):
    """timm's pretrained_cfg."""

    input_size: tuple[int, int, int]
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bicubic"
    crop_pct: float = 0.875
    crop_mode: str = "center"


def read_json(text: str, path: Path) -> Preprocessing:
    """Raises Refused."""
    try:
        tables = msgspec.json.decode(text, type=dict[str, Any])
        if "pretrained_cfg" in tables or "input_size" in tables:
            return _timm(msgspec.convert(tables.get("pretrained_cfg", tables), Pretrained), path)
        if {"image_mean", "do_normalize", "do_rescale", "do_resize"} & set(tables):
            return _transformers(msgspec.convert(tables, Processor), path)
    except UNREADABLE as error:
        raise Refused(f"{path}: {error}") from None
    raise Refused(
        f"{path}: says nothing of preprocessing: give preprocessor_config.json of transformers or "
        "config.json of timm"
    )


def _timm(told: Pretrained, path: Path) -> Preprocessing:
    _, height, width = told.input_size
    kernel = _kernel(told.interpolation, path)
    interpolation, note = closest(kernel, antialias=True)
    shown = stretched((width, height))
    if told.crop_mode != "squash":
        shown = cropped(int(min(width, height) / told.crop_pct), (width, height))
    return Preprocessing(
        width=shown.width, height=shown.height, fit=shown.fit, resize=shown.resize,
        colour="grey" if told.input_size[0] == 1 else "rgb", layout="NCHW",
        mean=tuple(255 * value for value in told.mean),
        std=tuple(255 * value for value in told.std),
        interpolation=interpolation, source=f"{path.name} of timm",
        notes=tuple(filter(None, (note, *shown.notes))),
    )  # fmt: skip


def _transformers(told: Processor, path: Path) -> Preprocessing:
    mean, std, notes = _scaling(told)
    shown = _geometry(told)
    interpolation = None
    if told.do_resize:
        if told.resample not in range(len(PILLOW)):
            raise Refused(f"{path}: resample {told.resample} is none of Pillow's, 0 to 5")
        interpolation, note = closest(PILLOW[told.resample], antialias=True)
        notes.append(note)
    if told.do_pad:
        notes.append("do_pad: pictures of a batch are padded to the largest; here there is one")
    return Preprocessing(
        width=shown.width, height=shown.height, fit=shown.fit, resize=shown.resize,
        colour="bgr" if told.do_flip_channel_order else "rgb", layout="NCHW", mean=mean, std=std,
        interpolation=interpolation, source=f"{path.name} of transformers",
        notes=tuple(filter(None, (*notes, *shown.notes))),
    )  # fmt: skip


def _scaling(
    told: Processor,
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None, list[str]]:
    """mean and std in pixel values: real = (pixel * factor - offset - mean) / std."""
    factor = told.rescale_factor if told.do_rescale else 1.0
    offset = 1.0 if told.do_rescale and told.rescale_offset else 0.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    if told.do_normalize:
        if told.image_mean is None or told.image_std is None:
            return None, None, ["do_normalize without image_mean and image_std: give both"]
        mean, std = _values(told.image_mean), _values(told.image_std)
    return (
        tuple((each + offset) / factor for each in mean),
        tuple(each / factor for each in std),
        [],
    )


def _geometry(told: Processor) -> Geometry:
    crops = told.do_center_crop if told.do_center_crop is not None else told.crop_size is not None
    crop = _both(told.crop_size) if crops else None
    if not told.do_resize:
        return unresized(crop)
    shortest = told.size.get("shortest_edge") if isinstance(told.size, dict) else None
    if isinstance(told.size, int) and (crops or told.crop_pct is not None):
        shortest = told.size
    if shortest is None:
        both = _both(told.size)
        if both is None:
            return Geometry(notes=(f"size {told.size}: is not known here: say what fit is meant",))
        return stretched(both, crop)
    if crop is not None:
        return cropped(shortest, crop)
    if told.crop_pct is None:
        return uncropped(shortest)
    both = shortest, shortest
    # as ConvNextImageProcessor has it
    return cropped(int(shortest / told.crop_pct), both) if shortest < 384 else stretched(both)


def _both(sides: Sides | None) -> tuple[int, int] | None:
    """(width, height) where both are said."""
    if isinstance(sides, int):
        return sides, sides
    if isinstance(sides, tuple):
        return (sides[-1], sides[0]) if len(sides) in (1, 2) else None
    if sides is None:
        return None
    width, height = sides.get("width"), sides.get("height")
    return None if width is None or height is None else (width, height)


def _values(given: tuple[float, ...] | float) -> tuple[float, ...]:
    return given if isinstance(given, tuple) else (given,)


def _kernel(name: str, path: Path) -> Kernel:
    for kernel in get_args(Kernel):
        if kernel == name:
            return kernel  # type: ignore[no-any-return]
    raise Refused(f"{path}: interpolation {name!r} is none of {', '.join(get_args(Kernel))}")
