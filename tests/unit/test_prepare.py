"""Every way from a frame to a tensor, against a plain float64 reference with named tolerances."""

from __future__ import annotations

import itertools
from typing import Any, Literal

import cv2
import numpy as np
import pytest

from models.manifest import Input
from runtime.frames import BYTES_PER_PIXEL, Aim, Frame, Layout, packed
from runtime.geometry import place
from runtime.memory import aligned_zeros
from runtime.prepare import aim_of, make_prepare, stored_values
from tests.reference import picture_of, sample_grid, to_rgb

# Largest mean error in pixel values (0 to 255) on a picture without hard edges, and why.
TOLERANCE = {
    "RGB3": 0.6,  # fixed-point weights and one rounding
    "BGR3": 0.6,
    "GREY": 0.6,
    "NV12": 2.5,  # chroma is scaled apart from luma, and these pictures are tiny and colourful
    "YUYV": 2.5,  # luma pairs are scaled together
}
AT_CAMERA_SIZE = 0.8  # every format, 640x480 to 224x224
FORMATS = sorted(BYTES_PER_PIXEL)
SIZES = {"smaller": (160, 120), "same": (64, 48), "larger": (40, 30), "wide": (192, 48)}
Colour = Literal["rgb", "bgr", "grey"]
Order = Literal["NHWC", "NCHW"]
HALVES: dict[str, Any] = {"mean": (127.5,), "std": (127.5,)}
DTYPES: dict[str, dict[str, Any]] = {
    "uint8": {"dtype": "uint8"},
    "int8": {"dtype": "int8", "std": (255.0,), "scale": 1 / 255, "zero_point": -128},
    "int8-halves": {"dtype": "int8", "scale": 1 / 127.5, "zero_point": -1, **HALVES},
    "int8-odd": {"dtype": "int8", "scale": 0.011, "zero_point": 3, **HALVES},
    "float": {"dtype": "float32", **HALVES},
    "float-01": {"dtype": "float32", "mean": (0.0,), "std": (255.0,)},
}  # fmt: skip


def make_frame(format: str, width: int, height: int, padding: int = 0) -> Frame:
    layout = Layout(format, width, height, width * BYTES_PER_PIXEL[format] + padding)
    return Frame(0, 0, layout, picture_of(layout), lambda: None)


def run(wanted: Input, frame: Frame) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """What prepare wrote, and what the reference says: both in pixel values, (h, w, channels)."""
    sides = (wanted.height, wanted.width)
    shape = (
        (1, *sides, wanted.channels) if wanted.layout == "NHWC" else (1, wanted.channels, *sides)
    )
    out = aligned_zeros(shape, wanted.dtype)
    view = make_prepare(wanted)(frame, out)
    written = out[0] if wanted.layout == "NHWC" else out[0].transpose(1, 2, 0)
    real = written.astype(np.float64)
    if wanted.scale is not None:
        real = (real - (wanted.zero_point or 0)) * wanted.scale
    pixels = real * np.array(wanted.std) + np.array(wanted.mean)
    expected = sample_grid(to_rgb(frame), view, wanted)
    return pixels, expected


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("fit", ["letterbox", "stretch", "crop"])
@pytest.mark.parametrize("colour", ["rgb", "bgr", "grey"])
@pytest.mark.parametrize("size", SIZES)
def test_geometry_and_colour(format: str, fit: Any, colour: Colour, size: str) -> None:
    wanted = Input(64, 48, colour, "NHWC", "uint8", fit=fit, padding=114)
    with make_frame(format, *SIZES[size]) as frame:
        pixels, expected = run(wanted, frame)
    assert np.abs(pixels - expected).mean() <= TOLERANCE[format]


@pytest.mark.parametrize("format", FORMATS)
def test_a_camera_picture_comes_out_as_the_reference_says(format: str) -> None:
    wanted = Input(224, 224, "rgb", "NHWC", "uint8")
    with make_frame(format, 640, 480) as frame:
        pixels, expected = run(wanted, frame)
    assert np.abs(pixels - expected).mean() <= AT_CAMERA_SIZE


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("order", ["NHWC", "NCHW"])
@pytest.mark.parametrize("colour", ["rgb", "grey"])
@pytest.mark.parametrize("format", ["RGB3", "YUYV"])
@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
def test_types_and_orders(kind: str, order: Order, colour: Colour, format: str, fit: Any) -> None:
    wanted = Input(48, 64, colour, order, fit=fit, padding=7, **DTYPES[kind])
    step = (wanted.scale or 0) * wanted.std[0] / 2  # half a quantisation step, in pixel values
    with make_frame(format, 128, 96) as frame:
        pixels, expected = run(wanted, frame)
    limits = stored_values(wanted, np.array([0.0, 255.0])).astype(np.float64)
    if wanted.scale is not None:  # a quantised input may not reach all of 0 to 255
        reach = (limits - (wanted.zero_point or 0)) * wanted.scale * wanted.std[0] + wanted.mean[0]
        expected = np.clip(expected, reach.min(), reach.max())
    assert np.abs(pixels - expected).mean() <= TOLERANCE[format] + step


@pytest.mark.parametrize(
    "interpolation",
    ["nearest", "nearest-exact", "bilinear", "area", "antialias", "antialias-bicubic"],
)
@pytest.mark.parametrize("format", ["RGB3", "GREY", "NV12"])
def test_interpolations(interpolation: Any, format: str) -> None:
    wanted = Input(96, 72, "rgb", "NHWC", "uint8", fit="stretch", interpolation=interpolation)
    with make_frame(format, 384, 288) as frame:
        pixels, expected = run(wanted, frame)
    assert np.abs(pixels - expected).mean() <= TOLERANCE[format]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("size", [(640, 480), (360, 480), (322, 240)])
def test_the_middle_of_a_resized_picture(format: str, size: tuple[int, int]) -> None:
    wanted = Input(112, 96, "rgb", "NHWC", "uint8", fit="crop", resize=128)
    with make_frame(format, *size) as frame:
        pixels, expected = run(wanted, frame)
        view = make_prepare(wanted)(frame, aligned_zeros((1, 96, 112, 3), "uint8"))
    assert np.abs(pixels - expected).mean() <= TOLERANCE[format]
    wide = size[0] * 128 // min(size)
    assert view.step_x == size[0] / wide and view.x0 == round((wide - 112) / 2) * view.step_x


def test_the_middle_of_a_slim_picture_costs_no_more_than_of_any_other() -> None:
    wanted = Input(112, 96, "rgb", "NHWC", "uint8", fit="crop", resize=128)
    placed = place(wanted, packed("RGB3", 8000, 8))
    assert placed.scaled is None and placed.source.height == 8


def test_a_decoder_leaves_enough_for_what_is_cropped_after_resizing() -> None:
    assert aim_of(Input(224, 200, "rgb", "NHWC", "uint8", fit="crop", resize=256)) == Aim(
        256, 256, cover=True
    )


def test_mean_and_std_per_channel_in_the_models_own_order() -> None:
    mean, std = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)
    for order, colour in itertools.product(("NHWC", "NCHW"), ("rgb", "bgr")):
        wanted = Input(32, 24, colour, order, "float32", mean=mean, std=std, fit="stretch")  # type: ignore[arg-type]
        with make_frame("BGR3", 64, 48) as frame:
            pixels, expected = run(wanted, frame)
        assert np.abs(pixels - expected).mean() <= TOLERANCE["BGR3"]


def test_a_plain_float_input_is_exact_at_model_size() -> None:
    wanted = Input(64, 48, "rgb", "NHWC", "float32", mean=(127.5,), std=(127.5,))
    with make_frame("RGB3", 64, 48) as frame:
        pixels, expected = run(wanted, frame)
    np.testing.assert_allclose(pixels, expected, atol=1e-3)


@pytest.mark.parametrize("format", FORMATS)
def test_rows_with_padding_and_odd_sizes(format: str) -> None:
    wanted = Input(37, 29, "rgb", "NHWC", "uint8", fit="stretch")
    with make_frame(format, 98, 66, padding=30) as frame:
        pixels, expected = run(wanted, frame)
    assert np.abs(pixels - expected).mean() <= TOLERANCE[format]


def test_a_new_layout_is_compiled_anew_and_the_letterbox_is_clean() -> None:
    wanted = Input(64, 64, "rgb", "NHWC", "uint8", padding=9)
    out = aligned_zeros((1, 64, 64, 3), "uint8")
    prepare = make_prepare(wanted)
    with make_frame("RGB3", 64, 64) as frame:
        prepare(frame, out)
    with make_frame("RGB3", 64, 32) as frame:
        view = prepare(frame, out)
    assert (out[0, :16] == 9).all() and (out[0, 48:] == 9).all()
    assert (view.y0, view.step_y) == (-16, 1)


def test_a_picture_shrunk_by_its_decoder_keeps_the_source_in_view() -> None:
    layout = Layout("RGB3", 64, 48, 64 * 3, shrunk_from=(1280, 960))
    frame = Frame(0, 0, layout, picture_of(layout), lambda: None)
    with frame:
        view = make_prepare(Input(32, 24, "rgb", "NHWC", "uint8"))(
            frame, aligned_zeros((1, 24, 32, 3), "uint8")
        )
    assert (view.source_width, view.source_height) == (1280, 960)
    assert (view.x0, view.step_x, view.step_y) == (0, 40, 40)


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_is_copied_on_the_way(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """cv2 must write into the memory that it was given: a fresh array means a hidden copy."""
    for name in ("resize", "cvtColor", "LUT", "cvtColorTwoPlane", "sepFilter2D"):
        monkeypatch.setattr(cv2, name, in_place_only(getattr(cv2, name)))
    ways = itertools.product(("rgb", "bgr", "grey"), ("NHWC", "NCHW"), ("bilinear", "antialias"))
    for colour, order, how in ways:
        wanted = Input(
            64, 96, colour, order, "int8", scale=1.1, zero_point=-128, interpolation=how  # type: ignore[arg-type]
        )  # fmt: skip
        sides = (3, 96, 64) if order == "NCHW" else (96, 64, 3)
        shape = (1, *sides) if colour != "grey" else (1, 1, 96, 64)
        with make_frame(format, 128, 96) as frame:
            make_prepare(wanted)(frame, aligned_zeros(shape, "int8"))


def in_place_only(function: Any) -> Any:
    def checked(*arguments: Any, **options: Any) -> Any:
        result = function(*arguments, **options)
        targets = [each for each in arguments if isinstance(each, np.ndarray)][1:]
        assert any(np.shares_memory(result, target) for target in targets), function.__name__
        return result

    return checked
