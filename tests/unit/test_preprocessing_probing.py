"""What a training's function does, told from what it makes of made pictures."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from wire.troubles import Refused
from workshop.preprocessing import CLOSE
from workshop.preprocessing.asking import Function, ask, seen
from workshop.preprocessing.probe_pictures import make_probes, plain
from workshop.preprocessing.probing import Probed, probe, read_answers

Array = Any
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])  # type: ignore[arg-type]


def squeezed(
    picture: Array, size: tuple[int, int] = (160, 120), how: int = cv2.INTER_LINEAR
) -> Array:
    return cv2.resize(picture, size, interpolation=how)


def middle(picture: Array, width: int, height: int) -> Array:
    left, top = round((picture.shape[1] - width) / 2), round((picture.shape[0] - height) / 2)
    return picture[top : top + height, left : left + width]


def imagenet(picture: Array) -> Array:
    return ((squeezed(picture) / np.float32(255) - MEAN) / STD).transpose(2, 0, 1)[None]


def caffe(picture: Array) -> Array:
    side = min(picture.shape[:2])
    small = squeezed(middle(picture, side, side), (96, 96), cv2.INTER_AREA)
    return small[..., ::-1].astype(np.float32) - np.array([103.9, 116.8, 123.7], np.float32)


def letterboxed(picture: Array, middle: bool = True) -> Array:
    height, width = picture.shape[:2]
    scale = min(192 / height, 192 / width)
    small = squeezed(picture, (round(width * scale), round(height * scale)))
    out = np.full((192, 192, 3), 114, np.uint8)
    top, left = ((192 - each) // 2 if middle else 0 for each in small.shape[:2])
    out[top : top + small.shape[0], left : left + small.shape[1]] = small
    return out.transpose(2, 0, 1).astype(np.float32) / 255


def grey(picture: Array) -> Array:
    small = squeezed(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (48, 48), cv2.INTER_NEAREST)
    return small / 127.5 - 1


def raw(picture: Array) -> Array:
    return squeezed(picture, (64, 64), cv2.INTER_AREA)[None]


def probed(function: Callable[[Array], Array]) -> Probed:
    answers = {
        name: seen(np.asarray(function(picture), np.float32), "mine:it")
        for name, picture in make_probes().pictures.items()
    }
    return read_answers(answers, "mine:it")


@pytest.mark.parametrize(
    ("function", "expected", "mean", "std"),
    [
        (
            imagenet,
            ("rgb", "NCHW", 160, 120, "stretch", "bilinear", None),
            (123.675, 116.28, 103.53),
            (58.395, 57.12, 57.375),
        ),
        (caffe, ("bgr", "NHWC", 96, 96, "crop", "area", None), (103.9, 116.8, 123.7), (1,)),
        (letterboxed, ("rgb", "NCHW", 192, 192, "letterbox", "bilinear", 114), (0,), (255,)),
        (grey, ("grey", "NHWC", 48, 48, "stretch", "nearest", None), (127.5,), (127.5,)),
        (raw, ("rgb", "NHWC", 64, 64, "stretch", "area", None), (0,), (1,)),
    ],
)
def test_every_setting_is_found(
    function: Callable[[Array], Array], expected: Any, mean: Any, std: Any
) -> None:
    found = probed(function)
    known = found.known
    assert expected == (
        known.colour, known.layout, known.width, known.height, known.fit, known.interpolation,
        known.padding,
    )  # fmt: skip
    assert known.mean == pytest.approx(mean, abs=1e-3) and known.std == pytest.approx(std, rel=1e-5)
    assert found.difference is not None and found.difference < 0.01 and known.notes == ()


def test_a_function_that_resizes_nothing() -> None:
    known = probed(lambda picture: picture[..., ::-1] / 127.5 - 1).known
    assert (known.colour, known.mean, known.std) == ("bgr", (127.5,), (127.5,))
    assert (known.width, known.fit, known.interpolation) == (None, None, None)
    assert "resizes nothing" in known.notes[0]


def cropped(picture: Array, resized: int = 128, crop: int = 112) -> Array:
    shorter = min(picture.shape[:2])
    size = picture.shape[1] * resized // shorter, picture.shape[0] * resized // shorter
    return middle(squeezed(picture, size, cv2.INTER_AREA), crop, crop)


def test_what_is_cropped_after_resizing() -> None:
    found = probed(cropped)
    known = found.known
    assert (known.fit, known.resize, known.interpolation) == ("crop", 128, "area")
    assert found.difference is not None and found.difference < 0.01 and known.notes == ()


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda p: cropped(p, 128, 64), "shows 31.2 to 68.8 % across and 25 to 75 % down"),
        (lambda p: squeezed(p, how=cv2.INTER_AREA)[:, ::-1], "mirrors the picture"),
        (lambda p: letterboxed(p, middle=False), "pads on one side only"),
        (lambda p: squeezed(cv2.blur(p, (15, 15))), "scale it by other rules"),
    ],
)
def test_what_the_runtime_cannot_do_is_said(function: Callable[[Array], Array], why: str) -> None:
    found = probed(function)
    assert found.difference is not None and found.difference > CLOSE
    assert why in found.known.notes[0] and "come closest" in found.known.notes[0]


def standardised(picture: Array) -> Array:
    small = squeezed(picture).astype(np.float32)
    return (small - small.mean()) / max(float(small.std()), 1e-3)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (standardised, "the same of black and of white: it scales each picture by itself"),
        (lambda p: (squeezed(p) / 255) ** 2.2, "is not linear in the pixels"),
        (lambda p: 1 - squeezed(p) / 255, "less of white than of black"),
        (lambda p: squeezed(p)[..., [0, 2, 1]], "mixed of red, green, blue as 1.00, 0.00, 0.00; 0"),
        (lambda p: squeezed(p).mean(axis=2), "as 0.33, 0.33, 0.33: the runtime gives"),
        (lambda p: p[::2, ::2], "by the size of what it gets: the network takes one size"),
        (lambda p: squeezed(p)[..., :2], r"array of shape \(120, 160, 2\)"),
    ],
)
def test_what_no_setting_can_be(function: Callable[[Array], Array], why: str) -> None:
    with pytest.raises(Refused, match=why):
        probed(function)


MINE = """
    import os, sys
    import numpy as np

    class Tensor:
        def __init__(self, array): self.array = array
        def detach(self): return self
        cpu = detach
        def __array__(self, dtype=None, copy=None): return self.array

    class Two:
        @staticmethod
        def deep(picture):
            print("frameworks are loud")
            return {"pixel_values": [Tensor(picture[None, ::8, ::8] / 255)]}

    def fails(picture): return picture[10_000]
    def words(picture): return "no numbers"
    number = 3
"""


def folder(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(textwrap.dedent(MINE))
    return str(tmp_path)


def test_the_function_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    picture = plain((255, 0, 0), (64, 48))
    (answer,) = ask(Function("mine:Two.deep", folder(tmp_path)), [picture])
    assert answer.layout == "NHWC" and answer.real.shape == (6, 8, 3)
    assert answer.real[0, 0].tolist() == [1, 0, 0]
    assert "mine" not in sys.modules and folder(tmp_path) not in sys.path


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("mine:fails", r"fails on a uint8 array .* IndexError: .*\(mine.py:17\)"),
        ("mine:words", "gives str, and no array of numbers"),
        ("mine:number", "is no function that takes a picture"),
        ("mine:none", "mine has no 'none'"),
        ("yours:it", "cannot be imported: ModuleNotFoundError: No module named 'yours'"),
        ("mine", "names no function: write package.module:function"),
    ],
)
def test_a_function_that_cannot_be_used(name: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=why):
        probe(Function(name, folder(tmp_path)))


def test_textures_have_the_spectrum_of_photographs() -> None:
    """Amplitude falls as 1 / frequency: twice the frequency, half of it."""
    plane = make_probes().pictures["texture 0"][..., 0].astype(float)
    across = np.abs(np.fft.rfft2(plane))[0]
    assert across[8:16].mean() / across[32:64].mean() == pytest.approx(4, rel=0.2)
    code = "from workshop.preprocessing.probe_pictures import *; print(texture((64, 48), 3).sum())"
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    from workshop.preprocessing.probe_pictures import texture

    assert int(again.stdout) == texture((64, 48), 3).sum()
