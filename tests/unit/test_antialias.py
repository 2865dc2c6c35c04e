"""Shrinking with a kernel that grows, against Pillow's and torch's rule in plain float64."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from models.manifest import Input
from runtime.antialias import compile_shrink, smoothing
from runtime.frames import Frame, packed
from runtime.pixels import Scratch
from tests.reference import sample_grid
from workshop.preprocessing.probe_pictures import texture

NAMES = ("antialias", "antialias-bicubic")
# Shrinks by 1.2 to 2 come less close: of so few pixels one is between two of them, and is sampled.
LARGEST_MEAN = {(224, 224): 0.6, (213, 160): 0.8, (96, 72): 0.8, (48, 48): 0.8, (448, 300): 1.6}


def shrunk(name: str, picture: Any, size: tuple[int, int]) -> Any:
    out = np.empty((size[1], size[0], *picture.shape[2:]), np.uint8)
    compile_shrink(name, picture.shape[1::-1], out, Scratch().take)(picture)
    return out


def expected(name: Any, picture: Any, size: tuple[int, int]) -> Any:
    wanted = Input(*size, "rgb", "NHWC", "uint8", fit="stretch", interpolation=name)
    layout = packed("RGB3", picture.shape[1], picture.shape[0])
    with Frame(0, 0, layout, picture.reshape(-1), lambda: None) as frame:
        from runtime.prepare import make_prepare

        view = make_prepare(wanted)(frame, np.zeros((1, size[1], size[0], 3), np.uint8))
    return np.clip(sample_grid(picture.astype(np.float64), view, wanted), 0, 255)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", LARGEST_MEAN)
def test_textures_come_out_as_pillow_has_them(name: str, size: tuple[int, int]) -> None:
    """By area they are 1.8 to 4 apart."""
    picture = texture((640, 480), 5)
    apart = np.abs(shrunk(name, picture, size) - expected(name, picture, size)).mean()
    assert apart < LARGEST_MEAN[size]
    area = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    assert np.abs(area - expected(name, picture, size)).mean() > apart + 0.4


@pytest.mark.parametrize("name", NAMES)
def test_a_plain_picture_stays_plain_up_to_its_edges(name: str) -> None:
    for size in ((97, 31), (16, 16), (400, 300)):
        assert (shrunk(name, np.full((301, 403, 3), 77, np.uint8), size) == 77).all()


def test_what_is_enlarged_is_enlarged_bilinear() -> None:
    picture = texture((64, 48), 1)
    larger = cv2.resize(picture, (160, 120), interpolation=cv2.INTER_LINEAR)
    for name in NAMES:
        assert (shrunk(name, picture, (160, 120)) == larger).all()
    wider = shrunk("antialias", picture, (160, 12))  # enlarged across, shrunk down
    assert np.abs(wider - expected("antialias", picture, (160, 12))).mean() < 1


@pytest.mark.parametrize("name", NAMES)
def test_kernels(name: str) -> None:
    for scale in (1.0, 1.01, 1.5, 2.0, 2.9, 5.9):
        weights = smoothing(name, scale)
        assert len(weights) % 2 == 1 and weights.sum() == pytest.approx(1)
        assert (weights == weights[::-1]).all() and weights.argmax() == len(weights) // 2
    assert len(smoothing(name, 1.0)) == 1 < len(smoothing(name, 3.0))
    assert (smoothing("antialias-bicubic", 4.0) < 0).any()
