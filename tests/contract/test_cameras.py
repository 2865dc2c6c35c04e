"""What every camera promises. `VEDETTE_TEST_CAMERAS="v4l2:///dev/video0 ..."` adds real ones."""

from __future__ import annotations

import functools
import gc
import os
import re
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import pytest

from runtime.cameras import KINDS, ROWS, Camera, make_camera, open_camera
from runtime.frames import ROW, Aim, Frame, Layout, Losses
from tests import csi_cameras, sharing
from tests.network_cameras import http_camera, rtsp_camera
from tests.recordings import write_pictures, write_video
from tests.row_sender import row_sender
from tests.sharing import finding, lending
from wire.troubles import Refused, Unavailable

REAL = os.environ.get("VEDETTE_TEST_CAMERAS", "").split()
CAMERAS = (
    "synthetic://64x48",
    "synthetic://640x480@60",
    "synthetic://640x480?format=YUYV&padding=64",
    "file://{}/mjpeg.avi?loop=yes",
    "file://{}/mjpeg.avi?loop=yes&pace=real",
    "file://{}/film.mp4?loop=yes&pace=100",
    "file://{}/folder?loop=yes",
    "file://{}/folder?loop=yes&pace=100",
    "pipeline://rgb",
    "pipeline://yuyv",
    "pipeline://copied",
    "pipeline://film",
    "pipeline://crops?crop=*&most=1",
    "own:synthetic://640x480@60?format=NV12",
    "rtsp://{h264}/live?name=1#transport=tcp",
    "http://{http}/stream?name=1#timeout=5",
    "http://{http}/snapshot?name=1#fps=100",
    "pi://0?size=320x240&fps=100",
    "jetson://0?size=320x240&fps=100",
    "rows://{}/table.csv?loop=yes",
    "rows+synthetic://4@100",
    "rows+mqtt://{mqtt}/press/%23#columns=a,b,c",
    *REAL,
)
SERVERS = {
    "h264": ("--fps", "60", "--size", "320x240", "--gop", "8", "--kbits", "500"),
    "http": ("--fps", "100"),
}
SHARED = {  # what the owner of pipeline://NAME has
    "rgb": "synthetic://64x48@60",
    "yuyv": "synthetic://640x480@60?format=YUYV&padding=64",
    "copied": "opaque:synthetic://640x480@60",
    "film": "file://{}/mjpeg.avi?loop=yes&pace=100",
    "crops": "synthetic://640x480@60?format=NV12",
}
LIVE = ("v4l2", "pipeline", "own", "rtsp", "http", "csi", "rows+mqtt", *csi_cameras.KINDS)
MOST_BUFFERS = 32  # the most that V4L2 gives one stream
PATIENCE_S = 10.0


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    write_video(folder / "mjpeg.avi", "MJPG", 40, fps=120)
    write_video(folder / "film.mp4", "mp4v", 40)
    rows = "\n".join(f"{row},{row / 4},x" for row in range(1, 2_000))
    (folder / "table.csv").write_text(f"a,b,kind\n{rows}\n")
    write_pictures(folder / "folder", ["1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg"])
    return folder


@pytest.fixture(scope="module")
def network() -> Iterator[Callable[[str], str]]:
    """Gives the address of a camera of SERVERS, which is started when it is first asked for."""
    with ExitStack() as stack:

        @functools.cache
        def address(name: str) -> str:
            if name == "mqtt":
                return stack.enter_context(row_sender(period_s=0.01))
            make = http_camera if name == "http" else rtsp_camera
            return f"127.0.0.1:{stack.enter_context(make(*SERVERS[name])).port}"

        yield address


@pytest.fixture(autouse=True)
def twins() -> Iterator[None]:
    """Kinds of cameras that are for tests."""
    with patch.dict(KINDS, {**csi_cameras.KINDS, **sharing.KINDS}):
        yield


@pytest.fixture(params=CAMERAS)
def uri(
    request: pytest.FixtureRequest,
    recordings: Path,
    network: Callable[[str], str],
    tmp_path: Path,
) -> Iterator[str]:
    servers = re.findall(r"{(\w+)}", str(request.param))
    uri = str(request.param).format(recordings, **{name: network(name) for name in servers})
    if not uri.startswith("pipeline:"):
        yield uri
        return
    name, _, crops = uri.removeprefix("pipeline://").partition("?")
    with (finding if crops else lending)(SHARED[name].format(recordings), tmp_path):
        yield f"{uri}{'&' if crops else '?'}run={tmp_path}"


@pytest.fixture
def camera(uri: str) -> Iterator[Camera]:
    try:
        with open_camera(uri) as camera:
            yield camera
    except Unavailable as trouble:
        pytest.skip(f"{uri}: {trouble}")


def is_live(uri: str) -> bool:
    """Its pictures come at their own times; the others come when they are wanted."""
    return uri.startswith(LIVE) or "@" in uri or "pace=" in uri or "rate=" in uri


def next_frame(camera: Camera) -> Frame:
    """The next frame, on a machine however slow."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        frame = camera.read(0.5)
        if frame is not None:
            return frame
    raise AssertionError(f"no frame in {PATIENCE_S} s")


def seqs(camera: Camera, count: int) -> list[int]:
    """Read and give back so many frames."""
    found = []
    for _ in range(count):
        with next_frame(camera) as frame:
            found.append(frame.seq)
    return found


def period_s(camera: Camera) -> float:
    """The usual time between two frames, by their own stamps and numbers."""
    stamps = []
    for _ in range(8):
        with next_frame(camera) as frame:
            stamps.append((frame.seq, frame.captured_ns))
    pairs = pairwise(stamps)
    return statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs) / 1e9


def expected_shape(layout: Layout) -> tuple[int, ...]:
    if layout.format in ("RGB3", "BGR3"):
        return (layout.height, layout.width, 3)
    if layout.format == "YUYV":
        return (layout.height, layout.width // 2, 4)
    if layout.format == "NV12":
        return (layout.height * 3 // 2, layout.width)
    if layout.format == ROW:
        return (1, 4 * layout.width)
    assert layout.format == "GREY"
    return (layout.height, layout.width)


def lost(losses: Losses) -> int:
    return losses.skipped + losses.driver + losses.decode + losses.refused


def address_of(frame: Frame) -> int:
    return int(frame.pixels.__array_interface__["data"][0])


def test_a_frame_is_a_loan_of_camera_memory(camera: Camera) -> None:
    with next_frame(camera) as frame:
        assert not frame.pixels.flags.owndata
        assert frame.pixels.dtype == "uint8"
        assert frame.pixels.shape == expected_shape(frame.layout)
        assert frame.pixels.strides[0] == frame.layout.stride
        assert frame.pixels.any(), "an empty picture"


def test_the_layout_is_known_before_the_first_frame(camera: Camera) -> None:
    told = camera.layout
    with next_frame(camera) as frame:
        assert told == frame.layout == camera.layout
    assert camera.absent is None


def test_the_same_few_buffers_come_again_and_again(camera: Camera) -> None:
    places = set()
    for _ in range(3 * MOST_BUFFERS):
        with next_frame(camera) as frame:
            places.add(address_of(frame))
    assert 1 <= len(places) <= MOST_BUFFERS


def test_numbers_rise_and_stamps_are_monotonic_and_past(uri: str) -> None:
    before_ns = time.monotonic_ns()
    try:
        with open_camera(uri) as camera:
            last = (-1, before_ns)
            for _ in range(60):
                with next_frame(camera) as frame:
                    assert frame.seq > last[0]
                    assert last[1] < frame.captured_ns <= time.monotonic_ns()
                    last = (frame.seq, frame.captured_ns)
    except Unavailable as trouble:
        pytest.skip(f"{uri}: {trouble}")


def test_a_view_that_outlives_its_loan_is_found_out(camera: Camera) -> None:
    frame = next_frame(camera)
    kept = frame.pixels[1:2]
    with pytest.raises(RuntimeError, match="outlived"):
        frame.release()
    del kept
    assert len(seqs(camera, MOST_BUFFERS + 1)) == MOST_BUFFERS + 1  # the buffer did go home


def test_a_frame_that_was_given_back_shows_nothing(camera: Camera) -> None:
    frame = next_frame(camera)
    frame.release()
    with pytest.raises(RuntimeError, match="given back"):
        _ = frame.pixels
    frame.release()  # twice is once
    assert len(seqs(camera, MOST_BUFFERS + 1)) == MOST_BUFFERS + 1


def test_a_held_frame_is_not_touched_while_others_are_read(camera: Camera) -> None:
    with next_frame(camera) as held:
        before = held.pixels.tobytes()
        others = seqs(camera, MOST_BUFFERS + 8)
        assert held.pixels.tobytes() == before
    assert others[0] > held.seq


def test_when_every_buffer_is_out_read_gives_up_in_time_and_recovers(camera: Camera) -> None:
    held = []
    while (frame := camera.read(0.2)) is not None:
        held.append(frame)
        assert len(held) <= MOST_BUFFERS, "it lends without end: it allocates"
    began = time.monotonic()
    assert camera.read(0.05) is None
    assert time.monotonic() - began < 0.05 * 40
    assert len({address_of(frame) for frame in held}) == len(held) >= 2
    while held:
        held.pop().release()
    assert len(seqs(camera, MOST_BUFFERS)) == MOST_BUFFERS


def test_a_late_reader_gets_the_newest_and_the_rest_is_counted(uri: str, camera: Camera) -> None:
    if not is_live(uri):
        pytest.skip("its pictures wait for their reader")
    period = period_s(camera)
    with next_frame(camera) as frame:
        first, before = frame.seq, lost(camera.losses)
    read = fresh = 0
    while fresh < 3:
        assert read < 20, "old frames, again and again: not a machine that stalls now and then"
        from_ns = time.monotonic_ns()
        time.sleep(12 * period)
        with next_frame(camera) as frame:
            fresh += frame.captured_ns > from_ns + 6e9 * period
            read += 1
    gone = frame.seq - first - read
    assert gone >= 12, "12 periods passed three times, and hardly a frame was overtaken"
    if "crop=" in uri:
        return  # of frames at which its owner did not look, or found nothing, it knows nothing
    counted = lost(camera.losses) - before
    with next_frame(camera) as after:  # some were overtaken before we looked at the counter
        assert gone <= counted <= gone + after.seq - frame.seq - 1


def test_a_late_reader_of_a_recording_misses_nothing(uri: str, camera: Camera) -> None:
    if is_live(uri):
        pytest.skip("its pictures do not wait")
    found = seqs(camera, 3)
    time.sleep(0.3)
    found += seqs(camera, 30)
    assert found == list(range(found[0], found[0] + 33))
    assert lost(camera.losses) == 0


def test_read_does_not_wait_longer_than_it_may(uri: str, camera: Camera) -> None:
    if not is_live(uri):
        pytest.skip("its pictures are there at once")
    period = period_s(camera)
    empty = 0
    began = time.monotonic()
    for _ in range(10):
        next_frame(camera).release()
        frame = camera.read(0)  # the next one is a period away
        if frame is None:
            empty += 1
        else:
            frame.release()
    assert empty >= 5
    assert time.monotonic() - began < 10 * period * 8


def test_stop_may_come_first_and_twice_and_start_again(uri: str) -> None:
    camera = make_camera(uri)
    camera.stop()
    for _ in range(3):
        try:
            camera.start()
        except Unavailable as trouble:
            pytest.skip(f"{uri}: {trouble}")
        try:
            found = seqs(camera, MOST_BUFFERS + 1)
        finally:
            camera.stop()
        assert found == sorted(set(found))
        camera.stop()


def test_a_hint_never_makes_a_picture_too_small_or_changes_its_source(uri: str) -> None:
    if uri.startswith(ROWS):
        pytest.skip("a row is not made smaller")
    aim = Aim(160, 160, cover=False)
    try:
        with open_camera(uri) as camera:
            whole = camera.layout.source
        with open_camera(uri, aim) as camera, next_frame(camera) as frame:
            assert frame.layout == camera.layout
            assert frame.layout.source == whole
            least = aim.least(*whole)
            assert frame.layout.width >= least[0] and frame.layout.height >= least[1]
            assert frame.pixels.shape == expected_shape(frame.layout)
    except Unavailable as trouble:
        pytest.skip(f"{uri}: {trouble}")


@pytest.mark.budget
def test_nothing_as_large_as_an_image_is_allocated_and_nothing_grows(
    uri: str, camera: Camera
) -> None:
    """In no thread. The compressed pictures of these recordings are smaller than the limit."""
    # a shared one's owner is in this process, too: what was there before the tracer comes to its
    # notice buffer by buffer. One object kept per frame would be 9,600 bytes.
    most = 4_096 if uri.startswith(("pipeline", "own")) else 1_024
    for _ in range(30):
        next_frame(camera).release()
    tracemalloc.start()
    try:
        for _ in range(40):  # what the tracer itself and the first traced calls keep
            next_frame(camera).release()
        before = rest(camera)
        for _ in range(300):
            held, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            next_frame(camera).release()
            assert tracemalloc.get_traced_memory()[1] - held < 16_384
        assert rest(camera) - before < most
    finally:
        tracemalloc.stop()


def rest(camera: Camera) -> int:
    """Bytes that are kept between two frames, without what another thread has just in hand."""
    found = []
    for _ in range(15):
        next_frame(camera).release()
        gc.collect()
        found.append(tracemalloc.get_traced_memory()[0])
    return min(found)


def test_an_unknown_option_is_refused_with_those_that_exist(uri: str) -> None:
    mark = "&" if "?" in uri or "#" in uri else "?"
    with pytest.raises(Refused) as refused, open_camera(f"{uri}{mark}nons=1"):
        pass
    told = str(refused.value)
    assert "nons" in told and "\n" not in told
    assert "use " in told or "allowed" in told
