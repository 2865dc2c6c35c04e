"""V4L2 cameras on a real kernel: loans, formats, freshness, losses, faults, unplugging.

Runs where the vivid driver is: `scripts/vm-test` makes such a machine.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from runtime.cameras import make_camera, open_camera
from runtime.cameras.v4l2 import V4l2Camera
from runtime.frames import Frame
from tests.system import vivid
from wire.troubles import Refused, Unavailable

pytestmark = [
    pytest.mark.skipif(not vivid.there(), reason="no vivid driver here: use scripts/vm-test"),
    pytest.mark.slow,
]

SMALL = f"v4l2://{vivid.NODE}?size=320x180&format=GREY"
RED = 7  # of the control test_pattern
PERIOD_S = 0.25  # of fps=4; the driver's own rate is another
NO_TEXT = 2  # of osd_text_mode


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    """Whatever happens in a test: afterwards the device is closed and its memory unmapped."""
    yield
    if not Path(vivid.NODE).exists():
        with suppress(OSError):
            vivid.plug()
    assert vivid.open_nodes() == 0
    assert vivid.mapped() == []


@contextmanager
def streaming(uri: str) -> Iterator[V4l2Camera]:
    with open_camera(uri) as camera:
        assert isinstance(camera, V4l2Camera)
        yield camera


def frame_of(camera: V4l2Camera, seconds: float = 20.0) -> Frame:
    """The next frame, whatever happens to the camera before it comes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        frame = camera.read(1.0)
        if frame is not None:
            return frame
    raise AssertionError(f"no frame in {seconds} s; absent: {camera.absent}")


def numbers(camera: V4l2Camera, count: int) -> list[int]:
    """The numbers of the next frames, each given back at once."""
    found = []
    for _ in range(count):
        with frame_of(camera) as frame:
            found.append(frame.seq)
    return found


def absence(camera: V4l2Camera, seconds: float = 10.0) -> str:
    """Read until the camera is reported absent."""
    end = time.monotonic() + seconds
    while camera.absent is None and time.monotonic() < end:
        frame = camera.read(0.3)
        if frame is not None:
            frame.release()
    assert camera.absent is not None
    return camera.absent


def lost(camera: V4l2Camera) -> int:
    """How many frames are counted as lost so far."""
    losses = camera.losses
    return losses.skipped + losses.driver + losses.refused


def assert_all_accounted(camera: V4l2Camera, seen: list[int], before: int) -> None:
    """Every number between the first frame and the last was seen, or is counted as lost. before:
    what was lost when the first of them came."""
    assert sorted(set(seen)) == seen
    assert lost(camera) - before == seen[-1] - seen[0] + 1 - len(seen)


def test_a_frame_is_the_drivers_own_memory() -> None:
    with streaming(SMALL + "&buffers=5") as camera:
        places = vivid.mapped()
        assert len(places) == 5
        seen = set()
        for _ in range(20):
            with frame_of(camera) as frame:
                address = frame.pixels.ctypes.data
                assert any(first <= address < end for first, end in places)
                assert not frame.pixels.flags.writeable
                seen.add(address)
        assert len(seen) > 1
        assert vivid.mapped() == places


def test_the_driver_writes_into_what_was_lent() -> None:
    """Given back, the same memory holds a later picture: nobody copied it."""
    with streaming(SMALL) as camera:
        with frame_of(camera) as frame:
            address = frame.pixels.ctypes.data
            before = frame.pixels.copy()
        for _ in range(40):
            with frame_of(camera) as frame:
                if frame.pixels.ctypes.data == address:
                    assert not np.array_equal(frame.pixels, before)  # vivid writes the time on it
                    return
    raise AssertionError("the buffer never came again")


def test_a_frame_allocates_nothing_of_its_size() -> None:
    with streaming(SMALL) as camera:
        numbers(camera, 3)
        tracemalloc.start()
        try:
            numbers(camera, 1)
            before = tracemalloc.take_snapshot()
            numbers(camera, 20)
            after = tracemalloc.take_snapshot()
            peak = tracemalloc.get_traced_memory()[1] - tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
    own = tracemalloc.Filter(True, "*/runtime/*")
    changes = after.filter_traces([own]).compare_to(before.filter_traces([own]), "filename")
    assert sum(change.size_diff for change in changes) < 1024
    assert peak < 320 * 180 * 20  # the snapshots themselves are in here


@pytest.mark.parametrize("code", ["YUYV", "NV12", "GREY", "RGB3", "BGR3"])
def test_formats_show_the_picture(code: str) -> None:
    vivid.control("osd_text_mode", NO_TEXT)
    with (
        vivid.controlled("test_pattern", RED),
        streaming(f"v4l2://{vivid.NODE}?size=320x180&format={code}") as camera,
    ):
        assert camera.layout.format == code
        with frame_of(camera) as frame:
            assert_red(code, frame)
    vivid.control("osd_text_mode", 0)


def assert_red(code: str, frame: Frame) -> None:
    pixels = frame.pixels.astype(int)
    shape = {"YUYV": (180, 160, 4), "NV12": (270, 320), "GREY": (180, 320)}
    assert pixels.shape == shape.get(code, (180, 320, 3))
    if code == "GREY":
        assert pixels.min() == pixels.max() and 40 < pixels.max() < 110
    elif code == "NV12":
        assert 40 < pixels[:180].min() <= pixels[:180].max() < 110
        assert pixels[180:, 0::2].max() < 128 and pixels[180:, 1::2].min() > 200
    elif code == "YUYV":
        y0, u, y1, v = (pixels[..., channel] for channel in range(4))
        assert (y0 == y1).all() and y0.min() > 40 and y0.max() < 110
        assert u.max() < 128 and v.min() > 200
    else:
        red, blue = (0, 2) if code == "RGB3" else (2, 0)
        assert pixels[..., red].min() > 200
        assert pixels[..., 1].max() < 40 and pixels[..., blue].max() < 40


def test_the_newest_frame_wins() -> None:
    with streaming(SMALL + "&fps=4") as camera:
        seen, first = numbers(camera, 1), lost(camera)
        time.sleep(3.5 * PERIOD_S)
        seen += [seq_of_a_fresh_frame(camera)]
        assert camera.losses.skipped >= 1
        seen += numbers(camera, 5)
        assert_all_accounted(camera, seen, first)
        assert len({address_of_next(camera) for _ in range(8)}) == 4  # the others went back


def address_of_next(camera: V4l2Camera) -> int:
    with frame_of(camera) as frame:
        return frame.pixels.ctypes.data


def test_what_grew_old_in_full_buffers_is_not_called_newest() -> None:
    """After fifteen periods all four buffers have been full for eleven: what they hold is old."""
    with streaming(SMALL + "&fps=4") as camera:
        seen, first = numbers(camera, 1), lost(camera)
        time.sleep(15 * PERIOD_S)
        seen += [seq_of_a_fresh_frame(camera)]
        assert camera.losses.skipped >= 4 and camera.losses.driver >= 5
        time.sleep(15 * PERIOD_S)
        old = camera.read(0.0)  # no time to wait for another: better this one than none
        assert old is not None
        with old:
            seen.append(old.seq)
        assert_all_accounted(camera, seen, first)


def seq_of_a_fresh_frame(camera: V4l2Camera) -> int:
    with frame_of(camera) as frame:
        assert time.monotonic_ns() - frame.captured_ns < 3 * PERIOD_S * 1e9
        return frame.seq


def test_dropped_buffers_are_gaps_in_the_numbers() -> None:
    with streaming(SMALL) as camera, vivid.controlled("percentage_of_dropped_buffers", 50):
        seen, first = numbers(camera, 1), lost(camera)
        seen += numbers(camera, 25)
        assert camera.losses.driver >= 5
        assert_all_accounted(camera, seen, first)


def test_numbers_go_on_where_the_drivers_counter_wraps() -> None:
    with vivid.controlled("wrap_sequence_number", 1), streaming(SMALL) as camera:
        seen, first = numbers(camera, 1), lost(camera)
        seen += numbers(camera, 150)
        assert seen[0] < 1 << 32 <= seen[-1]
        assert_all_accounted(camera, seen, first)


def test_a_frame_with_the_error_flag_is_refused() -> None:
    with streaming(SMALL) as camera:
        seen, first = numbers(camera, 1), lost(camera)
        vivid.control("inject_v4l2_buf_flag_error")
        seen += numbers(camera, 15)
        assert camera.losses.refused == 1
        assert camera.absent is None
        assert_all_accounted(camera, seen, first)


def test_stamps_are_the_drivers_not_the_readers() -> None:
    with vivid.controlled("timestamp_source", 1), streaming(SMALL + "&fps=4") as camera:
        stamps = []
        for _ in range(8):
            time.sleep(1.5 * PERIOD_S)  # one frame at least lies ready
            before = time.monotonic_ns()
            with frame_of(camera) as frame:
                assert frame.captured_ns < before
                stamps.append((frame.seq, frame.captured_ns))
    (first_seq, first), (last_seq, last) = stamps[1], stamps[-1]
    periods = (last - first) / (PERIOD_S * 1e9)
    assert abs(periods - (last_seq - first_seq)) < 0.5


def test_a_stamp_is_never_later_than_now() -> None:
    """vivid stamps the end that it expects of a frame, and delivers it before that."""
    with streaming(SMALL + "&fps=10") as camera:
        for _ in range(5):
            with frame_of(camera) as frame:
                assert frame.captured_ns <= time.monotonic_ns()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("inject_fatal_streaming_error", "Input/output error"),
        ("inject_vidioc_qbuf_error", "Invalid argument"),
        ("disconnect", "unplugged"),
    ],
)
def test_a_failing_camera_is_absent_and_comes_back(fault: str, reason: str) -> None:
    with streaming(SMALL) as camera:
        held = (len(vivid.mapped()), vivid.open_nodes())
        seen = numbers(camera, 3)
        vivid.control(fault)
        assert reason in absence(camera)
        seen += numbers(camera, 5)
        assert camera.absent is None
        assert sorted(set(seen)) == seen
        assert (len(vivid.mapped()), vivid.open_nodes()) == held


def test_unplugged_and_plugged_in_again() -> None:
    with streaming(SMALL) as camera:
        held = (len(vivid.mapped()), vivid.open_nodes())
        seen = numbers(camera, 3)
        vivid.unplug()
        assert "unplugged" in absence(camera)
        assert vivid.mapped() == []
        began = time.monotonic()
        assert camera.read(0.7) is None
        assert time.monotonic() - began >= 0.65
        assert camera.absent is not None and "no camera at /dev/video0" in camera.absent
        vivid.plug()
        seen += numbers(camera, 5)
        assert camera.absent is None
        assert sorted(set(seen)) == seen
        assert (len(vivid.mapped()), vivid.open_nodes()) == held


def test_a_frame_on_loan_survives_the_unplugging() -> None:
    with streaming(SMALL) as camera:
        frame = frame_of(camera)
        picture = frame.pixels.copy()
        vivid.unplug()
        absence(camera)
        assert np.array_equal(frame.pixels, picture)
        assert len(vivid.mapped()) == 4
        frame.release()
        assert vivid.mapped() == []
        vivid.plug()
        numbers(camera, 3)


@pytest.mark.parametrize("uri", [vivid.BY_PATH + "?", vivid.BY_BUS + "&"])
def test_follows_a_camera_that_comes_back_under_another_number(uri: str) -> None:
    with streaming(uri + "size=320x180&format=GREY") as camera:
        seen = numbers(camera, 2)
        with open(vivid.NODE, "rb"):  # somebody else's handle keeps number 0 taken
            vivid.unplug()
            absence(camera)
            vivid.plug("/dev/video1")
            seen += numbers(camera, 3)
        assert not Path(vivid.NODE).exists()
        assert sorted(set(seen)) == seen
    vivid.unplug()


def test_a_late_release_does_not_reach_the_new_stream() -> None:
    with streaming(SMALL) as camera:
        old = frame_of(camera)
        picture = old.pixels.copy()
        vivid.control("inject_fatal_streaming_error")
        absence(camera)
        seen = numbers(camera, 8)
        assert seen[0] > old.seq and camera.absent is None
        assert len(vivid.mapped()) == 8  # two generations
        assert np.array_equal(old.pixels, picture)
        old.release()
        assert len(vivid.mapped()) == 4
        first = lost(camera)
        assert_all_accounted(camera, seen[-1:] + numbers(camera, 12), first)


def test_the_driver_keeps_two_buffers_however_many_are_held() -> None:
    with streaming(SMALL) as camera:
        with frame_of(camera), frame_of(camera):
            assert camera.read(0.2) is None
        assert camera.absent is None
        numbers(camera, 3)


def test_stopping_and_starting_twice() -> None:
    camera = make_camera(SMALL)
    assert isinstance(camera, V4l2Camera)
    seen: list[int] = []
    for _ in range(2):
        camera.start()
        seen += numbers(camera, 3)
        camera.stop()
        camera.stop()
        assert vivid.mapped() == [] and vivid.open_nodes() == 0
    assert sorted(set(seen)) == seen


def test_copies_are_lent_where_the_memory_is_slow() -> None:
    with streaming(SMALL + "&copy=always") as camera:
        assert "copied" in camera.memory
        places, seen, first = vivid.mapped(), list[int](), 0
        addresses = set()
        for _ in range(12):
            with frame_of(camera) as frame:
                first = lost(camera) if not seen else first
                address = frame.pixels.ctypes.data
                assert not any(first <= address < end for first, end in places)
                addresses.add(address)
                seen.append(frame.seq)
                assert frame.pixels.any()
        assert len(addresses) <= 2
        assert_all_accounted(camera, seen, first)


def test_cached_memory_is_read_in_place() -> None:
    with streaming(SMALL) as camera:
        assert camera.memory == "4 buffers in place"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("size=641x480", "it offers 320x180, 640x360, 640x480"),
        ("size=640x480&fps=30", "640x480 at 25, 15, 12.5, 10, 5, 4, 2, 1 fps"),
        ("format=MJPG", "it offers YUYV, NV12, GREY, RGB3, BGR3"),
    ],
)
def test_refuses_what_the_device_does_not_offer(options: str, says: str) -> None:
    with pytest.raises(Refused) as refusal, open_camera(f"v4l2://{vivid.NODE}?{options}"):
        pass
    assert says in str(refusal.value) and "\n" not in str(refusal.value)


def test_chooses_by_itself_and_says_what() -> None:
    with streaming(f"v4l2://{vivid.NODE}") as camera:
        assert camera.describe() == (
            "vivid at /dev/video0: YUYV 640x480, 25 fps, 4 buffers in place"
        )


def test_a_camera_in_use_is_unavailable() -> None:
    with streaming(SMALL), pytest.raises(Unavailable, match="in use by another program"):
        make_camera(SMALL).start()


@pytest.mark.parametrize("fault", ["inject_vidioc_reqbufs_error", "inject_vidioc_streamon_error"])
def test_a_camera_that_does_not_start_is_unavailable(fault: str) -> None:
    vivid.control(fault)
    with pytest.raises(Unavailable, match="/dev/video0 does not start") as trouble:
        make_camera(SMALL).start()
    assert "\n" not in str(trouble.value)
