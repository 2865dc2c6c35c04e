"""A pipeline that looks closely at what another one found: one frame for each box, never a copy."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest

from models.manifest import Input
from runtime.cameras import Camera, make_camera, open_camera
from runtime.frames import BYTES_PER_PIXEL, Frame, Layout, Part, Rect
from runtime.geometry import region_around, unit_of
from runtime.memory import aligned_zeros
from runtime.prepare import make_prepare
from runtime.sharing.own import OwnCamera
from runtime.sharing.owner import make_shareable, shared
from runtime.tasks import Box, Class, Found
from tests.by_hand import model_of, result_at
from tests.reference import picture_of, sample_grid, to_rgb
from tests.sharing import Wrapped, lending
from tests.unit.test_sharing import frame_of, has_frame, until
from wire.troubles import Refused

LIVE = "synthetic://64x48@60"
PERSON = Box(0, "person", 0.9, 10.0, 5.0, 20.0, 30.0)
CAR = Box(2, "car", 0.8, 30.5, 10.2, 8.0, 8.0)
BIRD = Box(3, "bird", 0.95, 0.0, 0.0, 5.0, 5.0)
ALL: Found = (CAR, PERSON, BIRD)


def box_of(x: float, y: float, width: float, height: float) -> Box:
    return Box(0, "", 1.0, x, y, width, height)


def put(own: OwnCamera, found: Found) -> int:
    """The owner's loop reads a frame and finds this in it."""
    with frame_of(own) as frame:
        seq = frame.seq
    own.offer(result_at(time.monotonic_ns(), found, seq))
    return seq


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnCamera]:
    with lending(LIVE, tmp_path) as own:
        own.start()
        yield own
        own.stop()


def crops(tmp_path: Path, words: str) -> Any:
    return open_camera(f"pipeline://door?{words}&run={tmp_path}")


def named(camera: Camera, count: int) -> list[tuple[int, str]]:
    """The next frames: their numbers, and what they are of."""
    found = []
    for _ in range(count):
        with frame_of(camera) as frame:
            assert frame.part is not None
            found.append((frame.seq, frame.part.box.label))
    return found


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        ("crop=*", ["bird", "person", "car"]),
        ("crop=person,car", ["person", "car"]),
        ("crop=car,person&most=1", ["person"]),
        ("crop=*&min_score=0.85", ["bird", "person"]),
    ],
)
def test_each_chosen_box_of_a_result_is_a_frame(
    own: OwnCamera, tmp_path: Path, words: str, labels: list[str]
) -> None:
    with crops(tmp_path, words) as camera:
        for _ in range(12):  # more often than there are buffers
            assert camera.read(0) is None
            seq = put(own, ALL)
            assert named(camera, len(labels)) == [(seq, label) for label in labels]


def test_what_was_not_asked_for_gives_no_frame(own: OwnCamera, tmp_path: Path) -> None:
    with crops(tmp_path, "crop=person") as camera:
        assert camera.read(0) is None
        for found in ((CAR, BIRD), (), (Class(0, "person", 1.0),)):
            put(own, found)
            assert camera.read(0.1) is None
        seq = put(own, (CAR, PERSON))
        assert named(camera, 1) == [(seq, "person")]


def test_a_box_that_is_nowhere_is_left_out(own: OwnCamera, tmp_path: Path) -> None:
    away = Box(0, "person", 0.9, 1e30, 5.0, 20.0, 30.0)
    with crops(tmp_path, "crop=*") as camera:
        assert camera.read(0) is None
        seq = put(own, (away, Box(0, "person", 0.9, float("nan"), 5.0, 20.0, 30.0), CAR))
        assert named(camera, 1) == [(seq, "car")]
        assert camera.absent is None


def test_it_is_the_whole_frame_in_the_owners_memory_until_all_boxes_are_done(
    own: OwnCamera, tmp_path: Path
) -> None:
    with crops(tmp_path, "crop=*&margin=0") as camera:
        assert camera.read(0) is None
        mine = frame_of(own)
        address, seq, shape = mine.pixels.ctypes.data, mine.seq, mine.pixels.shape
        memory = np.frombuffer(mine.memory, np.uint8)  # type: ignore[arg-type]
        mine.release()
        own.offer(result_at(time.monotonic_ns(), ALL, seq))
        first, second, third = (frame_of(camera) for _ in range(3))
        assert first.pixels.shape == shape and address
        memory[:3] = 1, 77, 3
        assert first.pixels.flat[1] == third.pixels.flat[1] == 77, "it is a copy"
        first.release()
        second.release()
        before = third.pixels.copy()
        for _ in range(30):  # the camera goes through its buffers
            put(own, ())
        assert np.array_equal(third.pixels, before)
        assert third.part == Part(CAR, Rect(30, 10, 9, 9))
        third.release()
        del memory


def test_a_slow_one_gets_the_newest_result_and_knows_what_it_missed(
    own: OwnCamera, tmp_path: Path
) -> None:
    with crops(tmp_path, "crop=*") as camera:
        assert camera.read(0) is None
        first = put(own, ALL)
        until(lambda: own._newest._found is None)
        for _ in range(5):
            last = put(own, ALL)
            until(lambda: own._newest._found is None)  # its readers have heard of it
        seen = named(camera, 3)
        assert {seq for seq, _ in seen} == {first}, "it had asked for that"
        assert {seq for seq, _ in named(camera, 3)} == {last}
        assert camera.losses.skipped == 4 * 3


def test_what_was_overtaken_before_anybody_heard_of_it_is_counted(
    own: OwnCamera, tmp_path: Path
) -> None:
    with crops(tmp_path, "crop=*") as camera:
        assert camera.read(0) is None
        frame_of(own).release()
        newest = own._newest
        with newest.changed:  # nobody can hear anything meanwhile
            for found in (ALL, (CAR,), (PERSON,)):
                loan = newest.take(-1)
                assert loan is not None
                newest.keep_found(loan, found)
        assert [label for _, label in named(camera, 1)] == ["person"]
        assert camera.losses.skipped == 3 + 1


def test_memory_of_a_camera_that_is_gone_is_held_by_nobody(tmp_path: Path) -> None:
    class Fades(Wrapped):
        gone: str | None = None
        out = 0

        @property
        def absent(self) -> str | None:
            return self.gone

        def read(self, timeout: float) -> Frame | None:
            frame = self.inner.read(min(timeout, 0.02)) if self.gone is None else None
            if frame is not None:
                self.out, home = self.out + 1, frame._give_back
                frame._give_back = lambda: (self.come_home(), home())[1]  # type: ignore[func-returns-value]
            return frame

        def come_home(self) -> None:
            self.out -= 1

    camera = Fades(make_camera(LIVE))
    make_shareable(camera.inner, 1, 1)
    with shared(cast(Camera, camera), "door", tmp_path, 1) as own:
        own.start()
        with crops(tmp_path, "crop=*") as door:
            assert door.read(0) is None
            put(own, ALL)
            until(lambda: own._newest._found is None)
            put(own, ALL)  # waits for its reader, who has not taken the first
            until(lambda: own._newest._found is None)
            frame_of(own).release()  # and this one for its result, which never comes
            camera.gone = "was unplugged"
            until(lambda: not has_frame(own) and own.absent is not None)
            named(door, 3)
            until(lambda: not has_frame(door) and camera.out == 0)
        own.stop()


def absent(camera: Camera, why: str) -> bool:
    """Whether it says so when it is read."""
    assert camera.read(0.05) is None
    return why in (camera.absent or "-") if why else camera.absent is not None


def test_who_wants_what_the_owners_model_never_finds_is_told(
    own: OwnCamera, tmp_path: Path
) -> None:
    tiny = model_of()
    of_task = [msgspec.structs.replace(tiny.manifest, task=task) for task in ("detect", "classify")]
    detector, classifier = (replace(tiny, manifest=m, labels=("person", "car")) for m in of_task)
    with crops(tmp_path, "crop=persn") as wrong, crops(tmp_path, "crop=persn,car") as half:
        assert wrong.read(0.1) is None and wrong.absent is None, "nothing was found yet"
        for model, why in (
            (detector, "its model finds nothing called persn; did you mean person?"),
            (classifier, "crop= gets nothing: its model classifies whole pictures and finds no"),
        ):
            own.say_model(model)
            until(lambda why=why: absent(wrong, why))  # type: ignore[misc]
        own.say_model(detector)
        put(own, ALL)
        assert half.read(5.0) is not None and half.absent is None
        own.say_model(replace(detector, labels=("persn",)))
        until(lambda: not absent(wrong, ""))


def test_what_is_too_old_is_not_shown(
    own: OwnCamera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.sharing.reader.STALE_S", 0.05)
    with crops(tmp_path, "crop=*") as camera:
        put(own, ALL)  # nobody has asked yet
        time.sleep(0.2)
        assert camera.read(0.1) is None
        seq = put(own, (PERSON,))
        assert named(camera, 1) == [(seq, "person")]


def test_nothing_is_kept_for_who_left(own: OwnCamera, tmp_path: Path) -> None:
    for _ in range(15):
        with crops(tmp_path, "crop=*") as camera:
            assert camera.read(0) is None
            put(own, ALL)
            frame_of(camera)
            put(own, ALL)
    until(lambda: own._newest.cascades == 0)
    for _ in range(20):
        frame_of(own).release()


@pytest.mark.parametrize(
    "words",
    ["crop=", "crop=a,,b", "most=2", "margin=0.1", "crop=*&most=99", "crop=*&most=1.5",
     "crop=*&min_score=2", f"crop={'a' * 201}"],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(words: str) -> None:
    with pytest.raises(Refused, match="pipeline://door"):
        make_camera(f"pipeline://door?{words}")


@pytest.mark.parametrize("format", sorted(BYTES_PER_PIXEL))
def test_regions_lie_in_the_picture_and_take_no_colour_apart(format: str) -> None:
    chances = np.random.default_rng(5)
    layout = Layout(format, 320, 240, 320 * BYTES_PER_PIXEL[format], shrunk_from=(1280, 960))
    unit = unit_of(layout)
    for _ in range(500):
        x, y = chances.uniform(-50, 1400), chances.uniform(-50, 1000)
        width, height = chances.uniform(0, 900, 2)
        region = region_around(box_of(x, y, width, height), 0.1, layout)
        assert min(region.width, region.height) >= unit
        assert region.x >= 0 and region.x + region.width <= 320
        assert region.y >= 0 and region.y + region.height <= 240
        assert not any(side % unit for side in (region.x, region.y, region.width, region.height))
        if x > 0 and x + width < 1280 and y > 0 and y + height < 960:
            assert region.x * 4 <= x and (region.x + region.width) * 4 >= x + width
            assert region.y * 4 <= y and (region.y + region.height) * 4 >= y + height


def frames(format: str) -> Iterator[Frame]:
    """The same picture, looked at in several places."""
    layout = Layout(format, 64, 48, 64 * BYTES_PER_PIXEL[format] + 16)
    picture = picture_of(layout)
    boxes = [(10, 8, 30, 20), (0, 0, 64, 48), (50, 40, 20, 20), (3, 5, 16, 40), (33, 1, 7, 9)]
    for x, y, width, height in boxes:
        frame = Frame(0, 0, layout, picture, lambda: None)
        box = box_of(x, y, width, height)
        frame.part = Part(box, region_around(box, 0.0, layout))
        yield frame


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("colour", ["rgb", "grey"])
@pytest.mark.parametrize("order", ["NHWC", "NCHW"])
@pytest.mark.parametrize("format", sorted(BYTES_PER_PIXEL))
def test_the_tensor_shows_the_part_and_the_view_says_where_it_is(
    format: str, order: Any, colour: Any, fit: Any
) -> None:
    wanted = Input(40, 32, colour, order, "uint8", fit=fit)
    channels = wanted.channels
    shape = (1, 32, 40, channels) if order == "NHWC" else (1, channels, 32, 40)
    out, prepare = aligned_zeros(shape, "uint8"), make_prepare(wanted)
    for frame in frames(format):
        view = prepare(frame, out)
        assert (view.source_width, view.source_height) == (64, 48)
        shown = out[0] if order == "NHWC" else out[0].transpose(1, 2, 0)
        expected = sample_grid(to_rgb(frame), view, wanted)
        fresh = aligned_zeros(shape, "uint8")
        make_prepare(wanted)(frame, fresh)
        assert np.array_equal(out, fresh), "something of the frame before is left"
        assert frame.part is not None
        inside = shown_inside(view, frame.part.region, 40, 32)
        error = np.abs(shown.astype(float) - expected)[inside]
        assert error.mean() < 9, frame.part  # enlarged chroma of a tiny colourful picture


def shown_inside(view: Any, region: Rect, width: int, height: int) -> Any:
    """Which pixels of the tensor show the region, without its edge."""
    x = view.x0 + (np.arange(width) + 0.5) * view.step_x
    y = view.y0 + (np.arange(height) + 0.5) * view.step_y
    columns = (x > region.x + 1.5) & (x < region.x + region.width - 1.5)
    rows = (y > region.y + 1.5) & (y < region.y + region.height - 1.5)
    return np.ix_(rows, columns)


@pytest.mark.parametrize("format", sorted(BYTES_PER_PIXEL))
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_another_part_for_each_frame_allocates_nothing_of_a_pictures_size(
    format: str, dtype: Any
) -> None:
    layout = Layout(format, 640, 480, 640 * BYTES_PER_PIXEL[format])
    picture = np.full(layout.nbytes, 9, np.uint8)
    wanted = Input(224, 224, "rgb", "NCHW", dtype, fit="letterbox")
    out, prepare = aligned_zeros((1, 3, 224, 224), dtype), make_prepare(wanted)

    def look(number: int) -> None:
        box = box_of(5 * number, 3 * number, 100 + 7 * number, 200 - 5 * number)
        with Frame(0, 0, layout, picture, lambda: None) as frame:
            frame.part = Part(box, region_around(box, 0.1, layout))
            prepare(frame, out)

    # numpy widens bytes 8,192 at a time: to 90 kB in all, before 2.3 to 104; a plane has 200
    most = 24_000 if dtype == "uint8" else 110_000
    for number in range(30):
        look(number)
    tracemalloc.start()
    try:
        for number in range(30):
            held, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            look(number)
            assert tracemalloc.get_traced_memory()[1] - held < most
    finally:
        tracemalloc.stop()
