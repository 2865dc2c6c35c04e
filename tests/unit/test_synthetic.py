"""The synthetic camera shows what it says it shows: real digits, their boxes, in every format."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

import models
from runtime.cameras import Camera, Truthful, make_camera, open_camera
from runtime.cameras.synthetic import SyntheticCamera, parse
from runtime.frames import Frame
from runtime.tasks import Box
from wire.troubles import Refused

Picture = npt.NDArray[Any]
HELD_OUT = Path(models.__file__).parent / "zoo" / "digits-heldout.npz"
FORMATS = ("RGB3", "BGR3", "GREY", "YUYV", "NV12")


def shown(camera: Camera) -> Frame:
    frame = camera.read(1)
    assert frame is not None
    return frame


def as_rgb(frame: Frame) -> Picture:
    """A copy of the picture as OpenCV reads it."""
    layout, pixels = frame.layout, np.ascontiguousarray(frame.pixels)
    if layout.format == "YUYV":
        pairs = pixels.reshape(layout.height, layout.width, 2)
        return cv2.cvtColor(pairs, cv2.COLOR_YUV2RGB_YUY2)
    codes = {
        "RGB3": None,
        "BGR3": cv2.COLOR_BGR2RGB,
        "GREY": cv2.COLOR_GRAY2RGB,
        "NV12": cv2.COLOR_YUV2RGB_NV12,
    }
    code = codes[layout.format]
    return pixels.copy() if code is None else cv2.cvtColor(pixels, code)


def pictures(uri: str, count: int) -> tuple[list[Picture], list[tuple[Box, ...]]]:
    """So many frames as RGB, and the truth about each."""
    found, truths = [], []
    with open_camera(uri) as camera:
        assert isinstance(camera, Truthful)
        for _ in range(count):
            with shown(camera) as frame:
                found.append(as_rgb(frame))
                truths.append(camera.truth(frame.seq))
    return found, truths


def ink_of(found: list[Picture]) -> npt.NDArray[np.int64]:
    """What the digits add to the still background, which shines through in some of the frames."""
    stack = np.stack([picture[:, :, 1] for picture in found]).astype(np.int64)
    return stack - stack.min(axis=0)


def inside(shape: tuple[int, ...], boxes: tuple[Box, ...], beside: float) -> npt.NDArray[np.bool_]:
    """Which pixels lie in one of the boxes, each grown by a share of its height."""
    mask = np.zeros(shape, bool)
    for box in boxes:
        rim = box.height * beside
        top, left = max(0, int(box.y - rim)), max(0, int(box.x - rim))
        mask[top : int(box.y + box.height + rim) + 1, left : int(box.x + box.width + rim) + 1] = (
            True
        )
    return mask


@pytest.mark.parametrize("digits", [1, 2, 7, 12])
def test_there_is_ink_in_every_box_and_none_elsewhere(digits: int) -> None:
    found, truths = pictures(f"synthetic://320x240?digits={digits}&seed=5", 300)
    for ink, boxes in zip(ink_of(found)[::10], truths[::10], strict=True):
        assert len(boxes) == digits
        for box in boxes:
            assert ink[inside(ink.shape, (box,), 0)].max() >= 40
        # bilinear edges reach one cell, an eighth of a digit, beyond the box; the thinnest ink,
        # less than a quarter of the full, may lie outside
        assert ink[~inside(ink.shape, boxes, 0.15)].max() < 32
        assert ink[~inside(ink.shape, boxes, 0.8)].max(initial=0) <= 1


def test_the_box_is_tight() -> None:
    found, truths = pictures("synthetic://320x240?seed=5", 300)
    for ink, (box,) in zip(ink_of(found)[::10], truths[::10], strict=True):
        rows, columns = np.nonzero(ink >= ink.max() / 4)
        slack = box.height / 6
        assert abs(columns.min() - box.x) < slack
        assert abs(columns.max() + 1 - box.x - box.width) < slack
        assert abs(rows.min() - box.y) < slack
        assert abs(rows.max() + 1 - box.y - box.height) < slack


def test_the_label_is_that_of_the_handwriting() -> None:
    """By comparing the picture with every held-out sample, without asking the camera."""
    with np.load(HELD_OUT) as file:
        images, labels = file["images"], file["labels"]
    templates = [np.pad(image, 1).astype(np.float32) for image in images]
    found, truths = pictures("synthetic://128x96?seed=5", 300)
    for ink, (box,) in zip(ink_of(found)[::15], truths[::15], strict=True):
        scores = [
            cv2.matchTemplate(ink.astype(np.float32), grown(each, box), cv2.TM_CCOEFF_NORMED).max()
            for each in templates
        ]
        assert str(labels[int(np.argmax(scores))]) == box.label == str(box.index)
        assert max(scores) > 0.98


def grown(template: npt.NDArray[np.float32], box: Box) -> Picture:
    """A sample (10, 10) at the size at which its inked rows are as high as the box."""
    rows = np.flatnonzero((template >= 4).any(axis=1))
    side = round(box.height / (rows[-1] - rows[0] + 1) * len(template))
    return cv2.resize(template, (side, side))


def test_every_held_out_sample_has_its_turn() -> None:
    with np.load(HELD_OUT) as file:
        labels = file["labels"]
    camera = make_camera("synthetic://64x48")
    assert isinstance(camera, Truthful)
    seen = [camera.truth(seq)[0].index for seq in range(len(labels))]
    assert np.bincount(seen).tolist() == np.bincount(labels).tolist()


def test_hold_keeps_a_digit_for_so_many_frames() -> None:
    camera = make_camera("synthetic://64x48?hold=30")
    assert isinstance(camera, Truthful)
    turns = [{camera.truth(30 * turn + k)[0].index for k in range(30)} for turn in range(20)]
    assert all(len(turn) == 1 for turn in turns)
    assert len(set.union(*turns)) > 3


@pytest.mark.parametrize("size", ["640x480", "1280x720", "240x320"])
@pytest.mark.parametrize("digits", [2, 5, 12])
def test_digits_stay_in_the_picture_and_apart(size: str, digits: int) -> None:
    width, height = map(int, size.split("x"))
    camera = make_camera(f"synthetic://{size}?digits={digits}")
    assert isinstance(camera, Truthful)
    for seq in range(0, 3000, 7):
        boxes = camera.truth(seq)
        assert len(boxes) == digits
        for box in boxes:
            assert 0 <= box.x < box.x + box.width <= width
            assert 0 <= box.y < box.y + box.height <= height
        assert max(shared(a, b) for a, b in itertools.combinations(boxes, 2)) < 0.1


def shared(one: Box, other: Box) -> float:
    """Which share of the smaller box the other covers."""
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    least = min(one.width * one.height, other.width * other.height)
    return max(0.0, across) * max(0.0, down) / least


@pytest.mark.parametrize("size", ["32x32", "640x480", "33x400"])
@pytest.mark.parametrize("digits", [1, 2, 12])
def test_who_walks_stays_who_it_is_and_crosses_the_picture(size: str, digits: int) -> None:
    camera = make_camera(f"synthetic://{size}?digits={digits}&motion=walk")
    assert isinstance(camera, Truthful)
    wide, tall = map(int, size.split("x"))
    frames = [camera.truth(seq) for seq in range(0, 1200, 3)]
    for digit in range(digits):
        way = [truth[digit] for truth in frames]
        assert len({box.label for box in way}) == 1
        assert len({(box.y, box.width, box.height) for box in way}) == 1
        assert all(b.x >= 0 and b.x + b.width <= wide and b.y + b.height <= tall for b in way)
        middles = [box.x + box.width / 2 for box in way]
        assert min(middles) < wide / 2 - 2 and max(middles) > wide / 2 + 2


def test_things_move() -> None:
    _, truths = pictures("synthetic://320x240", 200)
    middles = np.array([(box.x + box.width / 2, box.y + box.height / 2) for (box,) in truths])
    assert (np.ptp(middles, axis=0) > 20).all()
    assert (abs(np.diff(middles, axis=0)) < 60).all()


def test_a_seed_is_a_scene() -> None:
    uri = "synthetic://96x64?digits=3&seed={}"
    first, truths = pictures(uri.format(1), 20)
    again, same_truths = pictures(uri.format(1), 20)
    other, _ = pictures(uri.format(2), 20)
    assert truths == same_truths
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("digits", [1, 6])
def test_all_formats_show_the_same(digits: int) -> None:
    uri = f"synthetic://320x240?digits={digits}&seed=3&format="
    wanted, truths = pictures(uri + "RGB3", 12)
    for name in FORMATS[1:]:
        found, same_truths = pictures(uri + name, 12)
        assert same_truths == truths
        for one, other in zip(wanted, found, strict=True):
            if name == "GREY":
                one = np.repeat(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
            error = abs(one.astype(int) - other.astype(int))
            assert error.mean() < 1.5 and error.max() <= 8, name


@pytest.mark.parametrize("name", FORMATS)
def test_padding_lies_beside_the_picture(name: str) -> None:
    uri = f"synthetic://96x64?format={name}&digits=2"
    plain, _ = pictures(uri, 30)
    padded, _ = pictures(f"{uri}&padding=16", 30)
    assert all(np.array_equal(a, b) for a, b in zip(plain, padded, strict=True))
    layouts = [make_camera(each).layout for each in (uri, f"{uri}&padding=16")]
    assert layouts[1].stride == layouts[0].stride + 16


class Time:
    """A clock that only sleeping and waiting move."""

    def __init__(self) -> None:
        self.now_ns = 7_000_000_000

    def clock(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


def live(uri: str) -> tuple[SyntheticCamera, Time]:
    time = Time()
    camera = SyntheticCamera(parse(uri), time.clock, time.sleep)
    camera.start()
    return camera, time


def test_a_live_frame_comes_when_it_is_due() -> None:
    camera, time = live("synthetic://64x48@50")
    start = time.now_ns
    for n in range(100):
        with shown(camera) as frame:
            assert frame.seq == n
            assert time.now_ns == frame.captured_ns == start + n * 20_000_000
    assert camera.losses.skipped == 0


def test_a_late_reader_gets_the_newest_and_hears_what_was_skipped() -> None:
    camera, time = live("synthetic://64x48@50")
    start = time.now_ns
    shown(camera).release()
    time.sleep(0.11)  # frames 1 to 5 fell due
    with shown(camera) as frame:
        assert frame.seq == 5
        assert frame.captured_ns == start + 100_000_000
        assert time.now_ns == start + 110_000_000, "a frame that is there is not waited for"
        assert frame.pixels.tobytes() == still("synthetic://64x48", 5)
    assert camera.losses.skipped == 4
    with shown(camera) as frame:
        assert frame.seq == 6
    assert camera.losses.skipped == 4


def still(uri: str, seq: int) -> bytes:
    """Frame `seq` of a camera of which every frame was read."""
    with open_camera(uri) as camera:
        for _ in range(seq):
            shown(camera).release()
        with shown(camera) as frame:
            return frame.pixels.tobytes()


def test_read_waits_no_longer_than_it_may_and_misses_nothing() -> None:
    camera, time = live("synthetic://64x48@2")
    shown(camera).release()
    start = time.now_ns
    assert camera.read(0.2) is None
    assert time.now_ns == start + 200_000_000
    with shown(camera) as frame:
        assert (frame.seq, time.now_ns) == (1, start + 500_000_000)
    assert camera.losses.skipped == 0


def test_with_all_buffers_on_loan_it_waits_and_then_says_none() -> None:
    camera, time = live("synthetic://64x48")
    held = []
    while (frame := camera.read(0.25)) is not None:
        held.append(frame)
    assert len(held) >= 3
    assert time.now_ns == 7_250_000_000
    assert len({frame.seq for frame in held}) == len(held)
    held.pop().release()
    assert camera.read(0.25) is not None


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("synthetic://", "WIDTHxHEIGHT"),
        ("synthetic://640", "WIDTHxHEIGHT"),
        ("synthetic://640x480@fast", "WIDTHxHEIGHT"),
        ("synthetic://640x480@0", "0.1 to 1000"),
        ("synthetic://8x8", "32 to 8192"),
        ("synthetic://99999x99999", "32 to 8192"),
        ("synthetic://999999x999999", "must be from 32 to 8192"),
        (f"synthetic://{'9' * 5000}x480", "32 to 8192"),
        ("synthetic://640x480?format=MJPG", "RGB3, BGR3, YUYV, GREY or NV12"),
        ("synthetic://641x480?format=NV12", "even"),
        ("synthetic://640x480?digits=0", "from 1 to 12"),
        ("synthetic://640x480?digits=13", "from 1 to 12"),
        ("synthetic://640x480?digits=1.5", "whole"),
        ("synthetic://640x480?seed=-1", "from 0"),
        ("synthetic://640x480?seed=nan", "from 0"),
        ("synthetic://640x480?colour=red", "format, digits"),
        ("synthetic://640x480?motion=run", "roam or walk"),
        ("synthetic://640x480?motion=walk&hold=2", "leave hold out"),
    ],
)
def test_a_wrong_uri_is_refused_with_what_is_right(uri: str, says: str) -> None:
    with pytest.raises(Refused) as refused:
        make_camera(uri)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)
