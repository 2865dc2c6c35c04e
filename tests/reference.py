"""Plain float64 pictures: what preprocessing must come close to. Slow, and easy to believe.

Colours: ITU-R BT.601, limited range. Samples at pixel centres, edges repeated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.manifest import Input
from runtime.antialias import KERNELS
from runtime.frames import Frame, Layout
from runtime.tasks import View

Floats = npt.NDArray[np.float64]


def picture_of(layout: Layout) -> npt.NDArray[np.uint8]:
    """Camera memory with a smooth coloured picture in it; padding bytes are garbage."""
    memory = np.random.default_rng(1).integers(0, 256, layout.nbytes, dtype=np.uint8)
    y, x = np.mgrid[0 : layout.height, 0 : layout.width]
    u, v = x / layout.width, y / layout.height
    red = 128 + 100 * np.sin(5 * u + 2 * v)
    green = 128 + 90 * np.cos(4 * v - 3 * u)
    blue = 40 + 170 * u * (1 - v)
    rgb = np.stack((red, green, blue), axis=2)
    _write(layout.shape(memory), layout, rgb)
    return memory


def _write(pixels: npt.NDArray[np.uint8], layout: Layout, rgb: Floats) -> None:
    if layout.format in ("RGB3", "BGR3"):
        pixels[...] = np.rint(rgb if layout.format == "RGB3" else rgb[..., ::-1])
        return
    if layout.format == "GREY":
        pixels[...] = np.rint(rgb @ [0.299, 0.587, 0.114])
        return
    luma = 16 + 219 / 255 * (rgb @ [0.299, 0.587, 0.114])
    blue = 128 + 224 / 255 * (rgb @ [-0.168736, -0.331264, 0.5])
    red = 128 + 224 / 255 * (rgb @ [0.5, -0.418688, -0.081312])
    if layout.format == "YUYV":
        pixels[..., 0], pixels[..., 2] = np.rint(luma[:, ::2]), np.rint(luma[:, 1::2])
        pixels[..., 1] = np.rint((blue[:, ::2] + blue[:, 1::2]) / 2)
        pixels[..., 3] = np.rint((red[:, ::2] + red[:, 1::2]) / 2)
        return
    pixels[: layout.height] = np.rint(luma)
    chroma = pixels[layout.height :].reshape(layout.height // 2, layout.width // 2, 2)
    for place, plane in enumerate((blue, red)):
        quads = plane.reshape(layout.height // 2, 2, layout.width // 2, 2)
        chroma[..., place] = np.rint(quads.mean(axis=(1, 3)))


def to_rgb(frame: Frame) -> Floats:
    """The whole frame as (height, width, 3), 0 to 255; a GREY camera gives three equal channels."""
    pixels, layout = frame.pixels, frame.layout
    if layout.format == "RGB3":
        return pixels.astype(np.float64)
    if layout.format == "BGR3":
        return pixels[..., ::-1].astype(np.float64)
    if layout.format == "GREY":
        return np.repeat(pixels.astype(np.float64)[..., None], 3, axis=2)
    if layout.format == "YUYV":
        luma = pixels[..., ::2].reshape(layout.height, layout.width)
        blue, red = (np.repeat(pixels[..., place], 2, axis=1) for place in (1, 3))
    else:
        luma = pixels[: layout.height]
        chroma = pixels[layout.height :].reshape(layout.height // 2, layout.width // 2, 2)
        blue, red = (chroma[..., place].repeat(2, 0).repeat(2, 1) for place in (0, 1))
    bright = (luma.astype(np.float64) - 16) * 255 / 219
    b, r = ((plane.astype(np.float64) - 128) * 255 / 224 for plane in (blue, red))
    rgb = np.stack((bright + 1.402 * r, bright - 0.344136 * b - 0.714136 * r, bright + 1.772 * b))
    return np.clip(rgb.transpose(1, 2, 0), 0, 255)


def sample_grid(rgb: Floats, view: View, wanted: Input) -> Floats:
    """What the tensor must show, in pixel values: (height, width, channels) of the model."""
    colours = _in_model_colour(rgb, wanted)
    scaled_y = _weights(rgb.shape[0], wanted.height, view.y0, view.step_y, wanted)
    scaled_x = _weights(rgb.shape[1], wanted.width, view.x0, view.step_x, wanted)
    sampled: Any = np.einsum("yi,xj,ijc->yxc", scaled_y, scaled_x, colours, optimize=True)
    outside_y = scaled_y.sum(axis=1) == 0
    outside_x = scaled_x.sum(axis=1) == 0
    sampled[outside_y] = wanted.padding
    sampled[:, outside_x] = wanted.padding
    return np.asarray(sampled, np.float64)


def _in_model_colour(rgb: Floats, wanted: Input) -> Floats:
    if wanted.colour == "grey":
        return np.asarray(rgb @ [0.299, 0.587, 0.114], np.float64)[..., None]
    return rgb if wanted.colour == "rgb" else rgb[..., ::-1]


def _weights(source: int, target: int, start: float, step: float, wanted: Input) -> Floats:
    """How much each source line gives to each target line; rows of padding are all zero."""
    weights = np.zeros((target, source))
    for place in range(target):
        low, high = start + place * step, start + (place + 1) * step
        middle = (low + high) / 2
        if not 0 <= middle < source:
            continue
        if wanted.interpolation == "area" and step > 1:
            for line in range(max(0, int(low)), min(source, int(np.ceil(high)))):
                weights[place, line] = min(high, line + 1) - max(low, line)
            weights[place] /= weights[place].sum()
        elif wanted.interpolation in KERNELS and step > 1:
            away = (np.arange(source) + 0.5 - middle) / step
            weights[place] = KERNELS[wanted.interpolation](away)
            weights[place] /= weights[place].sum()
        elif wanted.interpolation == "nearest":
            weights[place, min(source - 1, int(low + 1e-9))] = 1
        elif wanted.interpolation == "nearest-exact":
            weights[place, int(middle)] = 1
        else:
            left = int(np.floor(middle - 0.5))
            share = middle - 0.5 - left
            weights[place, min(max(left, 0), source - 1)] += 1 - share
            weights[place, min(max(left + 1, 0), source - 1)] += share
    return weights
