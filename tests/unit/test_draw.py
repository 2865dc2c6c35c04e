"""What is drawn is where it belongs, can be read, and stays inside, whatever the labels say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import lettering
from runtime.canvas import Canvas
from runtime.draw import COLOURS, colour_of, draw, ink_on, linear
from runtime.frames import Layout, Pixels
from runtime.tasks import Box, Class, Found, Stats

FORMATS = ("RGB3", "BGR3", "GREY", "YUYV", "NV12")


def ground(width: int, height: int, value: int = 128) -> Pixels:
    return np.full((height, width, 3), value, np.uint8)


def changed(before: Pixels, after: Pixels) -> tuple[int, int, int, int]:
    """left, top, right, bottom of what differs."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_a_box_counts_in_pixels_of_the_source_and_scales_with_the_picture() -> None:
    picture = ground(640, 480)
    draw(picture, (Box(0, "7", 0.9, 640, 480, 320, 240),), (1280, 960))
    left, top, right, bottom = changed(ground(640, 480), picture)
    line = 6
    assert abs(left - 320) <= line and abs(right - 480) <= line
    assert abs(bottom - 360) <= line and 240 - 30 <= top <= 240  # its plate is above


def test_colours_are_stable_distinct_and_their_labels_can_be_read() -> None:
    assert len(set(COLOURS)) == len(COLOURS)
    assert colour_of(3) == colour_of(3 + len(COLOURS))

    def light(colour: tuple[int, int, int]) -> float:
        blue, green, red = (linear(c / 255) for c in colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for colour in COLOURS:
        low, high = sorted((light(colour), light(ink_on(colour))))
        assert (high + 0.05) / (low + 0.05) >= 4.5  # WCAG 2 AA for text


@pytest.mark.parametrize("behind", [(0, 0, 0), (128, 128, 128), (255, 255, 255), None])
@pytest.mark.parametrize("index", range(len(COLOURS)))
def test_an_outline_is_seen_on_any_ground(behind: tuple[int, int, int] | None, index: int) -> None:
    picture = ground(640, 480)
    picture[:] = behind or colour_of(index)  # even on its own colour
    before = picture[300, 90:110].astype(int)  # through the left edge of the box
    draw(picture, (Box(index, "x", 0.9, 100, 200, 200, 200),), (640, 480))
    assert np.abs(picture[300, 90:110] - before).max() >= 60


@pytest.mark.parametrize(("y", "height"), [(0, 200), (0, 480), (300, 180), (5, 100)])
def test_a_label_is_whole_wherever_its_box_is(y: float, height: float) -> None:
    picture = ground(640, 480)
    draw(picture, (Box(0, "x", 0.9, 100, y, 200, height),), (640, 480))
    plate = (picture == colour_of(0)).all(axis=2).sum(axis=1)
    assert (plate[plate > 20] < 400).all() and (plate > 20).sum() >= 18


def test_a_box_that_lies_nowhere_is_not_drawn() -> None:
    picture = ground(640, 480)
    nan, far = float("nan"), float("inf")
    boxes = tuple(
        Box(0, "x", 0.9, *place)
        for place in ((nan, 9, 9, 9), (9, 9, nan, 9), (far, 9, 9, 9), (700, 9, 9, 9), (9, 9, 0, 9))
    )
    draw(picture, boxes, (640, 480))
    assert (picture == 128).all()


def test_the_better_box_keeps_its_plate_when_two_are_in_one_place() -> None:
    boxes = (Box(0, "worse", 0.5, 100, 100, 200, 200), Box(1, "better", 0.9, 100, 100, 200, 200))
    both, alone = ground(640, 480), ground(640, 480)
    draw(both, boxes, (640, 480))
    draw(alone, boxes[1:], (640, 480))
    assert (both[80:98, 100:160] == alone[80:98, 100:160]).all()


def test_the_ranking_shows_scores_as_bars() -> None:
    picture = ground(640, 480)
    draw(picture, (Class(0, "seven", 1.0), Class(1, "three", 0.5)), (640, 480))
    first = (picture == colour_of(0)).all(axis=2).any(axis=0).sum()
    second = (picture == colour_of(1)).all(axis=2).any(axis=0).sum()
    assert first > 100 and abs(second / first - 0.5) < 0.05


def test_letters_of_the_world_are_different_pictures() -> None:
    """With OpenCV 5; before it each foreign letter is one question mark."""
    seen = set()
    for label in ("犬", "猫", "собака", "grün", "grun"):
        picture = ground(320, 240)
        draw(picture, (Box(0, label, 0.9, 20, 60, 200, 100),), (320, 240))
        seen.add(picture.tobytes())
    assert len(seen) == 5 if lettering.UNICODE else 3


def test_without_the_unicode_font_labels_fall_back_to_plain_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lettering, "UNICODE", False)
    assert lettering.clean("grüne Ampel 犬\u200d") == "grune Ampel ?"
    picture = ground(640, 480)
    draw(picture, (Box(0, "grüne Ampel", 0.9, 100, 100, 200, 200),), (640, 480))
    plate = picture[78:99, 104:200]
    assert (plate == 0).all(axis=2).sum() > 50  # black letters on the light plate


LABELS = st.text(st.characters(), max_size=200) | st.sampled_from(["\ud800", "\x1b[31m", "\0", ""])
NUMBERS = st.floats(width=32) | st.floats(-2000, 2000)
BOXES = st.builds(Box, st.integers(-5, 2000), LABELS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
CLASSES = st.builds(Class, st.integers(-5, 2000), LABELS, NUMBERS)
STATS = st.builds(Stats, LABELS, st.just((1, 9)), NUMBERS, NUMBERS, NUMBERS)
FOUND = (
    st.lists(BOXES, max_size=6) | st.lists(CLASSES, max_size=12) | st.lists(STATS, max_size=12)
).map(tuple)


@pytest.mark.parametrize("unicode", [True, False])
@settings(max_examples=60)
@given(FOUND, st.integers(1, 400), st.integers(1, 300))
def test_nothing_is_drawn_outside_and_nothing_raises(
    unicode: bool, found: Found, width: int, height: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lettering, "UNICODE", unicode and lettering.UNICODE)
        sheet = ground(width + 40, height + 40)
        draw(sheet[20 : 20 + height, 20 : 20 + width], found, (640, 480))
    sheet[20 : 20 + height, 20 : 20 + width] = 128
    assert (sheet == 128).all()


def stored(rgb: tuple[int, int, int], format: str, layout: Layout) -> Pixels:
    """A picture of one colour as a camera stores it, its row padding filled with rubbish."""
    flat = np.full(layout.nbytes, 255, np.uint8)
    pixels = layout.shape(flat)
    red, green, blue = rgb
    luma = 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255  # ITU-R BT.601
    u = 128 + (-37.797 * red - 74.203 * green + 112.0 * blue) / 255
    v = 128 + (112.0 * red - 93.786 * green - 18.214 * blue) / 255
    if format == "NV12":
        pixels[: layout.height] = round(luma)
        pixels[layout.height :, 0::2], pixels[layout.height :, 1::2] = round(u), round(v)
    else:
        pixels[:] = np.array(
            {
                "RGB3": rgb,
                "BGR3": rgb[::-1],
                "GREY": round(0.299 * red + 0.587 * green + 0.114 * blue),
                "YUYV": (round(luma), round(u), round(luma), round(v)),
            }[format]
        )
    return flat


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("width", "height", "shown"),
    [(64, 48, (512, 384)), (640, 480, (640, 480)), (1920, 1080, (1280, 720))],
)
def test_every_layout_becomes_the_right_colours_at_a_size_that_can_be_read(
    format: str, width: int, height: int, shown: tuple[int, int]
) -> None:
    rgb = (200, 60, 30)
    per_pixel = {"RGB3": 3, "BGR3": 3, "YUYV": 2}.get(format, 1)
    layout = Layout(format, width, height, width * per_pixel + 32)
    canvas = Canvas(layout)
    np.copyto(canvas.raw, layout.shape(stored(rgb, format, layout)))
    # the box is in source pixels: the lower right quarter, whatever the size
    box = Box(0, "x", 0.9, width / 2, height / 2, width / 2, height / 2)
    picture = cv2.imdecode(np.frombuffer(canvas.jpeg((box,)), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None and (picture.shape[1], picture.shape[0]) == shown
    wanted = (96, 96, 96) if format == "GREY" else rgb[::-1]
    corner = picture[: shown[1] // 4, : shown[0] // 4].reshape(-1, 3)
    assert np.abs(corner.mean(axis=0) - wanted).max() < 6
    edge = picture[shown[1] * 3 // 4, shown[0] // 2 - 8 : shown[0] // 2 + 8].astype(int)
    assert np.abs(edge - wanted).max() > 60


@pytest.mark.parametrize("format", FORMATS)
def test_a_canvas_writes_into_its_own_memory(format: str) -> None:
    """cv2 replaces an output of the wrong shape by a new one, silently: then nothing would show."""
    layout = Layout(format, 1920, 1080, 1920 * {"RGB3": 3, "BGR3": 3, "YUYV": 2}.get(format, 1))
    canvas = Canvas(layout)
    pictures = []
    for rgb in ((250, 10, 10), (10, 10, 250)):
        np.copyto(canvas.raw, layout.shape(stored(rgb, format, layout)))
        pictures.append(canvas.jpeg(()))
    assert pictures[0] != pictures[1]


def test_a_picture_that_a_decoder_shrank_keeps_its_boxes_in_place() -> None:
    layout = Layout("RGB3", 640, 360, 640 * 3, shrunk_from=(1280, 720))
    canvas = Canvas(layout)
    canvas.raw[:] = 128
    jpeg = canvas.jpeg((Box(0, "x", 0.9, 640, 360, 400, 200),))
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    differs = np.abs(picture.astype(int) - 128) > 48  # more than what JPEG smears
    left, _, right, bottom = changed(ground(640, 360, 0), differs.astype(np.uint8))
    assert abs(left - 320) < 12 and abs(right - 520) < 12 and abs(bottom - 280) < 12
