"""A snapshot fits in its bytes, shows what was found, and never holds the loop up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from runtime.canvas import Canvas
from runtime.frames import Frame, Layout, Pixels, packed
from runtime.snapshot import PATIENCE_S, Shot, Snapshot, encoded
from runtime.tasks import Box, Found
from tests.by_hand import VGA, grey, noise, result_at

BOX = Box(3, "three", 0.9, 100.0, 120.0, 200.0, 160.0)
NOW_S = 1000.0


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    end = time.monotonic() + 10
    while left := set(threading.enumerate()) - before:
        assert time.monotonic() < end, left
        time.sleep(0.01)


def frame_of(pixels: Pixels, seq: int, layout: Layout = VGA) -> Frame:
    return Frame(seq, time.monotonic_ns(), layout, pixels, lambda: None)


def give(snapshot: Snapshot, pixels: Pixels, seq: int, found: Found, layout: Layout = VGA) -> None:
    with frame_of(pixels, seq, layout) as frame:
        snapshot.glance(frame)
    snapshot.show(result_at(time.monotonic_ns(), found, seq))


def shot_of(snapshot: Snapshot, pixels: Pixels, found: Found = (), layout: Layout = VGA) -> Shot:
    """Feed it until it is done."""
    end = time.monotonic() + 30
    for seq in range(10**9):
        give(snapshot, pixels, seq, found, layout)
        shot = snapshot.shot(NOW_S)
        if shot is not None:
            return shot
        assert time.monotonic() < end
        time.sleep(0.001)
    raise AssertionError


def decoded(jpeg: bytes | None) -> npt.NDArray[np.uint8]:
    assert jpeg is not None
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture  # type: ignore[return-value]


def test_it_shows_the_frame_and_what_was_found_in_it() -> None:
    picture = decoded(shot_of(Snapshot(VGA, 60_000, NOW_S), grey(), (BOX,)).jpeg).astype(int)
    assert picture.shape == (480, 640, 3)
    assert abs(picture[10:60, 10:60] - 128).max() < 20, "the frame"
    edge = picture[118:124, 150:250].reshape(-1, 3)
    assert abs(edge - 128).max() > 60, "the upper edge of the box"
    assert abs(picture[180:220, 180:220] - 128).max() < 20, "nothing inside of it"


@pytest.mark.parametrize("most_bytes", [60_000, 20_000, 5_000, 2_000])
def test_a_noisy_picture_is_made_to_fit(most_bytes: int) -> None:
    shot = shot_of(Snapshot(VGA, most_bytes, NOW_S), noise(), (BOX,))
    assert shot.jpeg is not None and len(shot.jpeg) <= most_bytes
    picture = decoded(shot.jpeg)
    assert picture.shape[1] / picture.shape[0] == pytest.approx(640 / 480, rel=0.1)
    assert "quality" in shot.text and "640x480" in shot.text


def test_what_cannot_be_made_to_fit_is_said() -> None:
    shot = shot_of(Snapshot(VGA, 100, NOW_S), noise())
    assert shot == Shot(None, "no JPEG of this picture is as small as 100 bytes")


@pytest.mark.parametrize("format", ["RGB3", "GREY", "YUYV", "NV12"])
def test_every_kind_of_frame(format: str) -> None:
    layout = packed(format, 320, 240)
    if format == "NV12":
        layout = Layout("NV12", 320, 240, 320)
    shot = shot_of(Snapshot(layout, 60_000, NOW_S), grey(layout), (), layout)
    assert decoded(shot.jpeg).shape[1] >= 320


def test_the_layout_may_change_meanwhile() -> None:
    small = packed("RGB3", 64, 48)
    shot = shot_of(Snapshot(VGA, 60_000, NOW_S), grey(small), (), small)
    assert shot.jpeg is not None and "64x48" in shot.text


def test_a_frame_without_its_result_is_not_taken() -> None:
    snapshot = Snapshot(VGA, 60_000, NOW_S)
    for seq in range(200):
        with frame_of(grey(), seq) as frame:
            snapshot.glance(frame)
        snapshot.show(result_at(time.monotonic_ns(), (), seq + 1000))
        time.sleep(0.001)
    assert snapshot.shot(NOW_S) is None
    assert shot_of(snapshot, grey()).jpeg is not None


def test_an_old_picture_is_not_passed_off_as_a_new_one() -> None:
    snapshot = Snapshot(VGA, 60_000, NOW_S)
    assert snapshot.shot(NOW_S + PATIENCE_S - 0.1) is None
    shot = snapshot.shot(NOW_S + PATIENCE_S)
    assert shot == Shot(None, "no frame came within 3 s")


def test_giving_up_is_quick_and_what_comes_later_is_ignored() -> None:
    snapshot = Snapshot(VGA, 60_000, NOW_S)
    begun = time.monotonic()
    snapshot.close()
    assert time.monotonic() - begun < 2
    give(snapshot, grey(), 1, ())


def test_the_smallest_canvas() -> None:
    layout = packed("RGB3", 2, 2)
    canvas = Canvas(layout)
    canvas.raw.fill(0)
    assert encoded(canvas, (), 60_000).jpeg is not None
