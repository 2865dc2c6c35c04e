"""Whether runtime and training make the same of the same pictures; and if not, what to change."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from models.manifest import Input
from runtime.cameras import open_camera
from tests.unit.test_preprocessing_probing import caffe, cropped, imagenet, letterboxed
from wire.troubles import Refused
from workshop.preprocessing.agreement import (
    Agreement,
    agreement,
    as_rgb,
    check_agreement,
    first_pictures,
)
from workshop.preprocessing.asking import Function, seen
from workshop.preprocessing.probe_pictures import texture
from workshop.samples.opening import open_samples

Array = Any
change = msgspec.structs.replace
PICTURES = [texture(size, 7) for size in ((320, 240), (240, 320), (400, 240))]
IMAGENET = Input(
    160, 120, "rgb", "NCHW", "float32", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375),
    fit="stretch",
)  # fmt: skip
CAFFE = Input(
    96, 96, "bgr", "NHWC", "int8", (103.9, 116.8, 123.7), (1.0,), 0.5, 3, "crop", "area"
)  # fmt: skip
BOXED = Input(192, 192, "rgb", "NCHW", "float32", std=(255.0,), padding=114)


def compared(function: Callable[[Array], Array], wanted: Input) -> Agreement:
    reals = [seen(np.asarray(function(each), np.float32), "it").real for each in PICTURES]
    return agreement(reals, PICTURES, ["a", "b", "c"], wanted)


@pytest.mark.parametrize(
    ("function", "wanted"), [(imagenet, IMAGENET), (caffe, CAFFE), (letterboxed, BOXED)]
)
def test_the_same_preprocessing_agrees(function: Callable[[Array], Array], wanted: Input) -> None:
    found = compared(function, wanted)
    assert found.agrees and found.mean <= found.worst_mean <= found.p99 + 0.1 and found.mean < 0.1
    assert (found.pictures, found.notes, found.closest) == (3, (), None)


@pytest.mark.parametrize(
    ("function", "right", "wrong"),
    [
        (imagenet, IMAGENET, {"colour": "bgr"}),
        (imagenet, IMAGENET, {"mean": (127.5,), "std": (127.5,)}),
        (imagenet, IMAGENET, {"fit": "letterbox"}),
        (imagenet, IMAGENET, {"fit": "crop"}),
        (imagenet, IMAGENET, {"interpolation": "nearest"}),
        (caffe, CAFFE, {"interpolation": "bilinear"}),
        (caffe, CAFFE, {"fit": "stretch", "colour": "rgb"}),
        (letterboxed, BOXED, {"padding": 0}),
        (letterboxed, BOXED, {"fit": "stretch", "padding": 0, "std": (1.0,)}),
    ],
)
def test_what_is_wrong_is_named_and_nothing_else(
    function: Callable[[Array], Array], right: Input, wrong: dict[str, Any]
) -> None:
    found = compared(function, change(right, **wrong))
    assert not found.agrees and found.mean > 1
    assert found.closest is not None and found.closest_mean is not None
    assert found.closest_mean < 0.5
    for key in ("colour", "fit", "interpolation", "padding"):
        assert getattr(found.closest, key) == getattr(right, key), found.notes
    said = {
        word for word in ("colour", "fit", "interpolation", "padding") if word in found.notes[0]
    }
    assert said == set(wrong) - {"mean", "std"}
    assert ("std" in found.notes[0]) == ("std" in wrong)


def test_what_hardly_matters_is_left_as_it_is() -> None:
    """Mean and std that fit a shade better are no reason to change them."""
    found = compared(lambda each: imagenet(each) * 1.0005 + 0.0005, change(IMAGENET, colour="bgr"))
    assert 'set colour = "rgb": then' in found.notes[0]
    assert found.closest == IMAGENET


def test_the_worst_picture_is_named() -> None:
    reals = [seen(np.asarray(imagenet(each), np.float32), "it").real for each in PICTURES]
    reals[1] = reals[1] + 1
    found = agreement(reals, PICTURES, ["a", "b", "c"], IMAGENET)
    assert found.worst == "b" and found.worst_mean == pytest.approx(57.6, abs=0.5)
    assert found.mean == pytest.approx(57.6 / 3, abs=0.5) and 57 < found.p99 < 59


CUT = Input(
    112, 112, "rgb", "NHWC", "float32", fit="crop", resize=128, interpolation="area"
)  # fmt: skip


def test_a_crop_after_resizing_is_a_setting() -> None:
    assert compared(cropped, CUT).mean < 0.01
    found = compared(cropped, change(CUT, resize=None))
    assert not found.agrees and found.closest == CUT
    assert "set resize = 128: then they are 0.00/255 apart" in found.notes


def test_other_rules_are_said() -> None:
    found = compared(lambda p: imagenet(cv2.blur(p, (9, 9))), IMAGENET)
    assert not found.agrees and "by other rules" in found.notes[-1]


MINE = """
    import numpy as np

    def scaled(picture): return picture[::2, ::2].astype(np.float32) / 255
    def normal(picture): return (picture.astype(np.float32) - 127.5)[..., ::-1] / 127.5
    def none(picture): return scaled(picture) * np.float32("nan")
"""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(textwrap.dedent(MINE))
    return str(tmp_path)


def test_the_whole_way_from_samples(folder: str) -> None:
    samples = open_samples("synthetic://128x96?format=BGR3", limit=5)
    wanted = Input(
        64, 48, "rgb", "NHWC", "uint8", std=(255.0,), scale=1 / 255, interpolation="nearest"
    )
    found = check_agreement(Function("mine:scaled", folder), samples, wanted)
    assert found.agrees and found.pictures == 5 and found.notes == ()


def test_a_function_that_resizes_nothing_gets_pictures_of_the_models_size(folder: str) -> None:
    samples = open_samples("synthetic://128x96", limit=3)
    wanted = Input(64, 64, "bgr", "NHWC", "float32", (127.5,), (127.5,))
    found = check_agreement(Function("mine:normal", folder), samples, wanted)
    assert found.agrees and found.mean < 0.6 and "size and fit were not compared" in found.notes[0]
    found = check_agreement(Function("mine:normal", folder), samples, change(wanted, mean=(0.0,)))
    assert not found.agrees and "set mean = [127.5]" in found.notes[1]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("mine:scaled", "gives 64x48 pixels of 3 channels, the model takes 60x48 of 3"),
        ("mine:none", "values that are no numbers"),
    ],
)
def test_what_cannot_be_compared(name: str, why: str, folder: str) -> None:
    samples = open_samples("synthetic://128x96", limit=2)
    side = 60 if "scaled" in name else 64
    with pytest.raises(Refused, match=why):
        check_agreement(Function(name, folder), samples, Input(side, 48, "rgb", "NHWC", "float32"))


@pytest.mark.parametrize("format", ["RGB3", "BGR3", "GREY", "YUYV", "NV12"])
def test_frames_of_every_format_become_rgb(format: str) -> None:
    uri = f"synthetic://64x48?format={format}&padding=6"
    (name,), (picture,) = first_pictures(open_samples(uri, limit=3), 1)
    with open_camera("synthetic://64x48?format=RGB3") as camera:
        frame = camera.read(1)
        assert frame is not None
        with frame:
            plain = as_rgb(frame)
    assert name == "frame 0" and picture.shape == (48, 64, 3)
    assert np.abs(picture.astype(int) - plain).mean() < 12 and picture.std() > 5


def sizes(pictures: Sequence[Array]) -> set[tuple[int, ...]]:
    return {picture.shape for picture in pictures}


def test_so_many_pictures_are_enough() -> None:
    names, pictures = first_pictures(open_samples("synthetic://64x48", limit=40))
    assert len(names) == 16 and sizes(pictures) == {(48, 64, 3)}
