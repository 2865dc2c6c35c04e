"""Colours of a film, by whatever rule its camera wrote them."""

from __future__ import annotations

import av
import cv2
import numpy as np
import pytest

from runtime.ahead import Slot
from runtime.cameras.video_colours import Colours

PATCHES = np.array(
    [
        [(200, 30, 40), (30, 160, 60), (40, 50, 190), (128, 128, 128)],
        [(230, 210, 60), (20, 20, 20), (235, 235, 235), (90, 170, 180)],
    ],
    np.uint8,
)
BT601, BT709, UNTOLD = 6, 1, 2
LIMITED, FULL = 1, 2


def codes(rgb: np.ndarray, by: int, span: int) -> list[np.ndarray]:
    """Three planes in 4:2:0, as ITU-R BT.601 and 709 define them. rgb: of even sides."""
    red, blue = (0.299, 0.114) if by == BT601 else (0.2126, 0.0722)
    r, g, b = (rgb[..., number] / 255 for number in range(3))
    y = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)
    if span == LIMITED:
        planes = [16 + 219 * y, 128 + 224 * u[::2, ::2], 128 + 224 * v[::2, ::2]]
    else:
        planes = [255 * y, 128 + 255 * u[::2, ::2], 128 + 255 * v[::2, ::2]]
    return [np.rint(plane).clip(0, 255).astype(np.uint8) for plane in planes]


@pytest.mark.parametrize("span", [LIMITED, FULL])
@pytest.mark.parametrize(
    ("by", "told", "height"),
    [(BT601, BT601, 64), (BT709, BT709, 64), (BT709, UNTOLD, 720), (BT601, UNTOLD, 480),
     (BT601, BT601, 720)],
)  # fmt: skip
def test_colours_come_out_as_they_went_in(by: int, told: int, height: int, span: int) -> None:
    rgb = cv2.resize(PATCHES, (128, height), interpolation=cv2.INTER_NEAREST)
    frame = av.VideoFrame(128, height, "yuv420p")
    for plane, content in zip(frame.planes, codes(rgb, by, span), strict=True):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, : plane.width] = content
        plane.update(rows.tobytes())
    frame.colorspace, frame.color_range = told, span
    slot, colours = Slot(), Colours()
    for _ in range(2):  # the second time in the same memory
        colours.write(frame, slot)
        found = cv2.cvtColor(slot.layout.shape(slot.pixels), cv2.COLOR_YUV2RGB_NV12)
        middles = found[height // 4 :: height // 2, 16::32].astype(int)
        assert np.abs(middles - PATCHES).max() <= 5, middles.tolist()
