"""MJPG over V4L2: pictures are decoded beside the reader, at the size that the model needs."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
import simplejpeg

from runtime.cameras import open_camera
from runtime.cameras.v4l2 import V4l2Camera
from runtime.frames import Aim, Frame
from tests.system import loopback

pytestmark = [
    pytest.mark.skipif(not loopback.can_be(), reason="no v4l2loopback here: use scripts/vm-test"),
    pytest.mark.slow,
]

URI = f"v4l2://{loopback.NODE}?format=MJPG"
SIZE = (320, 240)
FPS = 10


def picture(left: int) -> bytes:
    """A light square on dark ground, `left` pixels from the left."""
    pixels = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
    pixels[80:160, left : left + 80] = 220
    return bytes(simplejpeg.encode_jpeg(pixels, quality=90))


PICTURES = [picture(left) for left in (0, 80, 160, 240)]


@pytest.fixture
def source() -> Iterator[loopback.Source]:
    with loopback.loaded(), loopback.Source(PICTURES, SIZE, FPS) as source:
        yield source


def frame_of(camera: V4l2Camera) -> Frame:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        frame = camera.read(1.0)
        if frame is not None:
            return frame
    raise AssertionError(f"no frame; absent: {camera.absent}")


def square(frame: Frame) -> float:
    """Where the square begins, as a share of the width."""
    row = frame.pixels[frame.pixels.shape[0] // 2, :, 1]
    return float(np.argmax(row > 128) / row.size)


@pytest.mark.parametrize(
    ("aim", "size"),
    [
        (None, (320, 240)),
        (Aim(80, 80, cover=False), (80, 60)),
        (Aim(80, 80, cover=True), (120, 90)),
        (Aim(224, 224, cover=False), (320, 240)),
    ],
)
def test_decoded_at_the_size_the_model_needs(
    source: loopback.Source, aim: Aim | None, size: tuple[int, int]
) -> None:
    with open_camera(URI, aim) as camera:
        assert isinstance(camera, V4l2Camera)
        assert camera.layout.source == SIZE
        seen, last = set(), -1
        for _ in range(12):
            with frame_of(camera) as frame:
                assert (frame.layout.width, frame.layout.height) == size
                assert frame.layout.source == SIZE and frame.layout == camera.layout
                assert frame.seq > last
                last = frame.seq
                seen.add(round(square(frame) * 4))
        assert len(seen) >= 3  # different pictures, each where it should be
        assert seen <= {0, 1, 2, 3}
        assert camera.losses.decode == 0


def test_a_damaged_picture_is_counted_and_the_next_one_comes(source: loopback.Source) -> None:
    broken = [PICTURES[0][: len(PICTURES[0]) // 2], b"\xff\xd8 no picture", b"\x00" * 500]
    source.pictures = [PICTURES[1], *broken]
    with open_camera(URI) as camera:
        assert isinstance(camera, V4l2Camera)
        seen = []
        while seen[-6:] != [1] * 6:  # what was written before lies ready
            assert len(seen) < 20
            with frame_of(camera) as frame:
                seen.append(round(square(frame) * 4))
        assert camera.losses.decode >= 5


def test_a_slow_reader_gets_a_new_picture(source: loopback.Source) -> None:
    with open_camera(URI) as camera:
        assert isinstance(camera, V4l2Camera)
        frame_of(camera).release()
        before = camera.losses.skipped + camera.losses.driver
        time.sleep(15 / FPS)
        with frame_of(camera) as frame:
            assert time.monotonic_ns() - frame.captured_ns < 4e9 / FPS
        assert camera.losses.skipped + camera.losses.driver - before >= 5
