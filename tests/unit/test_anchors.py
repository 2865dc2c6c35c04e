"""Anchors: by rule as SSD MobileNet is trained with, or from a file of a stranger."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.detection import anchor_count
from models.manifest import Anchors, Input
from runtime.tasks.anchors import by_rule, read_anchors
from wire.troubles import Refused

SSD_MOBILENET = Anchors(strides=(16, 32, 64, 128, 256, 512))


def eats(width: int, height: int) -> Input:
    return Input(width, height, "rgb", "NHWC", "uint8")


def test_ssd_mobilenet_has_1917_anchors() -> None:
    """Grids of 19, 10, 5, 3, 2 and 1 cells a side; 3 boxes in the first, 6 in the others."""
    boxes = by_rule(SSD_MOBILENET, eats(300, 300))
    assert len(boxes) == anchor_count(SSD_MOBILENET, eats(300, 300)) == 1917
    first, second = boxes[:3], boxes[19 * 19 * 3 : 19 * 19 * 3 + 6]
    half = 2**0.5
    assert first[:, :2].tolist() == [pytest.approx((0.5 / 19, 0.5 / 19))] * 3
    assert first[:, 2:].tolist() == [
        pytest.approx((0.1, 0.1)), pytest.approx((0.2 * half, 0.2 / half)),
        pytest.approx((0.2 / half, 0.2 * half)),
    ]  # fmt: skip
    scale, between = 0.35, (0.35 * 0.5) ** 0.5  # 0.2 + 0.75 / 5, and the next is 0.5
    ratios = [1.0, 2.0, 0.5, 3.0, 0.3333]
    expected = [(scale * r**0.5, scale / r**0.5) for r in ratios] + [(between, between)]
    assert second[:, 2:].tolist() == [pytest.approx(each, rel=1e-5) for each in expected]
    assert boxes[-1].tolist() == pytest.approx([0.5, 0.5, 0.95**0.5, 0.95**0.5])


def test_anchors_are_square_in_pixels_where_the_input_is_not() -> None:
    rule = Anchors(strides=(32,), aspect_ratios=(1.0,), interpolated_scale_aspect_ratio=0,
                   reduce_boxes_in_lowest_layer=False, min_scale=0.5)  # fmt: skip
    boxes = by_rule(rule, eats(320, 160))
    assert len(boxes) == 10 * 5
    assert (boxes[:, 2:] * (320, 160)).tolist() == [pytest.approx((80, 80))] * 50
    assert boxes[11, :2].tolist() == pytest.approx([1.5 / 10, 1.5 / 5])  # row by row


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("0.5,0.25,0.1,0.2\n\n0.6, 0.35, 1e-1, 2\n", [(0.5, 0.25, 0.1, 0.2), (0.6, 0.35, 0.1, 2)]),
        ("\ufeffCY, CX, H, W\r\n0.25,0.5,0.2,0.1\r\n", [(0.5, 0.25, 0.1, 0.2)]),
    ],
)
def test_a_file_of_anchors(tmp_path: Path, text: str, rows: list[tuple[float, ...]]) -> None:
    path = tmp_path / "anchors.csv"
    path.write_text(text, encoding="utf-8")
    assert read_anchors(path).tolist() == np.array(rows, np.float32).tolist()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no anchors in it: four numbers a line, cx, cy, w, h"),
        ("cx,cy,w,h\n", "no anchors in it"),
        ("0.5,0.5,0.1\n", r"anchors.csv:1: an anchor is four numbers"),
        ("0.5,0.5,0.1,0.1\n0.5,0.5,0.1,x\n", r"anchors.csv:2: an anchor is four numbers"),
        ("0.5,0.5,0.1,nan\n", r"anchors.csv:1: an anchor is four numbers, .* in shares"),
        ("150,150,30,30\n", r"anchors.csv:1: .* in shares of the input"),
        ("0.5,0.5,0.1,0.1\n0.5,0.5,0,0.1\n", "anchor 2 has no size"),
        ("0.5,0.5,0.1,0.1\n" * 250_001, "250001 lines; 250000 anchors can be used"),
        ("#" * (16 * 1024 * 1024 + 1), "larger than 16 MiB"),
    ],
)
def test_what_is_no_file_of_anchors_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "anchors.csv"
    path.write_text(text)
    with pytest.raises(Refused, match=why):
        read_anchors(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="anchors cannot be read"):
        read_anchors(tmp_path / "anchors.csv")
