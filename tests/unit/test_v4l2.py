"""V4L2 without a device: the kernel's numbers, the choice of a format, frame numbers, the URI."""

from __future__ import annotations

import ctypes
import mmap
import platform
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.cameras import make_camera, open_camera
from runtime.cameras import v4l2_ioctl as v4l2
from runtime.cameras.v4l2_choice import Choice, Offer, Span, Wish, check_rate, choose
from runtime.cameras.v4l2_list import probe, survey
from runtime.cameras.v4l2_memory import SLOW, slowness
from runtime.cameras.v4l2_stream import Sequence
from wire.troubles import Refused, Trouble, Unavailable

# printed by a C program that includes linux/videodev2.h, on x86-64 and aarch64
REQUESTS = {
    "QUERYCAP": 0x80685600,
    "ENUM_FMT": 0xC0405602,
    "G_FMT": 0xC0D05604,
    "S_FMT": 0xC0D05605,
    "REQBUFS": 0xC0145608,
    "QUERYBUF": 0xC0585609,
    "QBUF": 0xC058560F,
    "DQBUF": 0xC0585611,
    "STREAMON": 0x40045612,
    "STREAMOFF": 0x40045613,
    "G_PARM": 0xC0CC5615,
    "S_PARM": 0xC0CC5616,
    "ENUM_FRAMESIZES": 0xC02C564A,
    "ENUM_FRAMEINTERVALS": 0xC034564B,
}
PLACES = {
    (v4l2.Buffer, "seconds"): 24,
    (v4l2.Buffer, "sequence"): 56,
    (v4l2.Buffer, "m"): 64,
    (v4l2.Buffer, "length"): 72,
    (v4l2.Format, "fmt"): 8,
    (v4l2.Plane, "m"): 8,
    (v4l2.MultiPlane, "plane_fmt"): 20,
    (v4l2.MultiPlane, "num_planes"): 180,
    (v4l2.FrameSize, "values"): 12,
    (v4l2.FrameInterval, "values"): 20,
}
needs_64_bit = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="the figures are those of LP64"
)


@needs_64_bit
@pytest.mark.parametrize("name", REQUESTS)
def test_requests_have_the_kernels_numbers(name: str) -> None:
    assert getattr(v4l2, name) == REQUESTS[name]


@needs_64_bit
@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0].__name__}.{place[1]}")
def test_fields_lie_where_the_kernel_puts_them(place: tuple[type[ctypes.Structure], str]) -> None:
    record, field = place
    assert getattr(record, field).offset == PLACES[place]
    assert ctypes.sizeof(v4l2.Plane) == 64


def test_letters_of_formats() -> None:
    assert v4l2.letters(v4l2.fourcc("YUYV")) == "YUYV"
    assert v4l2.letters(v4l2.fourcc("Y16 ") | 1 << 31) == "Y16 -BE"


def offer(code: str, width: int, height: int, *rates: float) -> Offer:
    spans = tuple(Span(rate, rate) for rate in rates)
    return Offer(code, Span(width, width), Span(height, height), spans)


# a common USB 2 webcam: raw pictures are slow where they are large
WEBCAM = (
    offer("MJPG", 1920, 1080, 30),
    offer("MJPG", 1280, 720, 30, 15),
    offer("MJPG", 640, 480, 30),
    offer("YUYV", 640, 480, 30, 15, 5),
    offer("YUYV", 1280, 720, 10, 5),
    offer("H264", 1280, 720, 30),
)
# the vivid driver: the usual size is no longer fast
VIVID = tuple(
    offer(code, width, height, *(rate for rate in (5, 12.5, 15, 25, 30, 40, 50, 60) if rate <= top))
    for code in ("UYVY", "BGR3", "YUYV", "NV12", "GREY")
    for width, height, top in ((320, 180, 60), (640, 480, 25), (1280, 720, 12.5))
)
# a sensor behind a scaler: any even size, any rate
SCALER = (Offer("NV12", Span(32, 2592, 2), Span(32, 1944, 2), (Span(0.1, 90),)),)


@pytest.mark.parametrize(
    ("offers", "wish", "best"),
    [
        (WEBCAM, Wish(), Choice("YUYV", 640, 480, 30)),
        (WEBCAM, Wish(size=(1280, 720)), Choice("MJPG", 1280, 720, 30)),
        (WEBCAM, Wish(size=(1280, 720), format="YUYV"), Choice("YUYV", 1280, 720, 10)),
        (WEBCAM, Wish(size=(1280, 720), fps=10), Choice("YUYV", 1280, 720, 10)),
        (WEBCAM, Wish(size=(1920, 1080)), Choice("MJPG", 1920, 1080, 30)),
        (WEBCAM, Wish(fps=29.97), Choice("YUYV", 640, 480, 30)),
        (VIVID, Wish(), Choice("YUYV", 640, 480, 25)),
        (VIVID, Wish(fps=30), Choice("YUYV", 320, 180, 30)),
        (VIVID, Wish(size=(320, 180)), Choice("YUYV", 320, 180, 30)),
        (VIVID, Wish(size=(320, 180), format="GREY", fps=60), Choice("GREY", 320, 180, 60)),
        (SCALER, Wish(), Choice("NV12", 640, 480, 30)),
        (SCALER, Wish(size=(2592, 1944), fps=7.5), Choice("NV12", 2592, 1944, 7.5)),
        ((offer("GREY", 752, 480, 60, 90),), Wish(), Choice("GREY", 752, 480, 60)),
        ((offer("GREY", 752, 480),), Wish(), Choice("GREY", 752, 480, None)),
        ((offer("GREY", 752, 480),), Wish(fps=20), Choice("GREY", 752, 480, 20)),
        ((offer("GREY", 64, 64, 9), offer("RGB3", 64, 64, 9)), Wish(), Choice("RGB3", 64, 64, 9)),
    ],
)
def test_chooses(offers: tuple[Offer, ...], wish: Wish, best: Choice) -> None:
    assert choose("/dev/video0", offers, wish) == best


@pytest.mark.parametrize(
    ("offers", "wish", "says"),
    [
        (WEBCAM, Wish(format="NV12"), "has no NV12: it offers MJPG, YUYV"),
        (WEBCAM, Wish(size=(800, 600)), "no 800x600: it offers 1920x1080, 1280x720, 640x480"),
        (
            WEBCAM,
            Wish(size=(1920, 1080), format="YUYV"),
            "no 1920x1080 in YUYV: it offers 640x480, 1280x720",
        ),
        (
            WEBCAM,
            Wish(size=(640, 480), fps=60),
            "does not do fps=60: it offers MJPG 640x480 at 30 fps; YUYV 640x480 at 30, 15, 5 fps",
        ),
        (SCALER, Wish(size=(641, 480)), "it offers 32x32 to 2592x1944"),
        (SCALER, Wish(size=(4000, 3000)), "it offers 32x32 to 2592x1944"),
        (SCALER, Wish(fps=120), "it offers NV12 32x32 to 2592x1944 at 0.1 to 90 fps"),
        ((offer("pRAA", 640, 480), offer("BA81", 640, 480)), Wish(), "pRAA, BA81; raw sensor"),
        ((offer("H264", 640, 480),), Wish(), "H264; known here are YUYV"),
        ((), Wish(), "it lists none"),
    ],
)
def test_refuses_in_one_line_that_lists_the_offers(
    offers: tuple[Offer, ...], wish: Wish, says: str
) -> None:
    with pytest.raises(Refused) as refusal:
        choose("/dev/video7", offers, wish)
    text = str(refusal.value)
    assert says in text and "/dev/video7" in text and "\n" not in text


def test_a_rate_that_was_asked_for_is_the_rate_that_comes() -> None:
    choice = Choice("YUYV", 640, 480, 15)
    check_rate("/dev/video0", Wish(), choice)
    check_rate("/dev/video0", Wish(fps=15), choice)
    with pytest.raises(Refused, match="gives 15 fps when asked for fps=30"):
        check_rate("/dev/video0", Wish(fps=30), choice)
    with pytest.raises(Refused, match="leave fps out"):
        check_rate("/dev/video0", Wish(fps=30), Choice("YUYV", 640, 480, None))


def numbers_of(counters: list[int]) -> tuple[list[int], int]:
    sequence, numbers, lost = Sequence(), [], 0
    for counter in counters:
        lost += sequence.advance(counter)
        numbers.append(sequence.seq)
    return numbers, lost


@pytest.mark.parametrize(
    ("counters", "numbers", "lost"),
    [
        ([0, 1, 2], [0, 1, 2], 0),
        ([5, 6], [5, 6], 0),  # what went by before the first frame is not ours
        ([0, 3, 4, 6], [0, 3, 4, 6], 3),
        ([0xFFFFFFFE, 0xFFFFFFFF, 0, 2], [0xFFFFFFFE, 0xFFFFFFFF, 1 << 32, (1 << 32) + 2], 1),
        ([0, 0, 0], [0, 1, 2], 0),  # a driver that does not count
        ([7, 8, 0, 1], [7, 8, 9, 10], 0),  # one that began anew
    ],
)
def test_frame_numbers_and_gaps(counters: list[int], numbers: list[int], lost: int) -> None:
    assert numbers_of(counters) == (numbers, lost)


@given(st.lists(st.integers(0, 0xFFFFFFFF), min_size=1))
def test_frame_numbers_only_grow(counters: list[int]) -> None:
    numbers, lost = numbers_of(counters)
    assert all(one < other for one, other in pairwise(numbers))
    assert lost == numbers[-1] - numbers[0] - (len(numbers) - 1)


def test_a_reopened_device_starts_no_gap() -> None:
    sequence = Sequence()
    sequence.advance(0)
    sequence.advance(41)
    sequence.restart()
    assert sequence.advance(3) == 0
    assert sequence.seq == 42


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("v4l2://dev/video0", "three slashes"),
        ("v4l2://", "by its path or by ?bus="),
        ("v4l2:///", "by its path or by ?bus="),
        ("v4l2:///dev/video0?bus=usb-1", "one device"),
        ("v4l2:///dev/video0?colour=red", "no option 'colour'"),
        ("v4l2:///dev/video0?size=640", "write for example"),
        ("v4l2:///dev/video0?size=0x480", "write for example"),
        ("v4l2:///dev/video0?size=640x480&size=320x240", "size is given twice"),
        ("v4l2:///dev/video0?fps=fast", "number from 0.1 to 1000"),
        ("v4l2:///dev/video0?fps=0", "number from 0.1 to 1000"),
        ("v4l2:///dev/video0?fps=-1", "number from 0.1 to 1000"),
        ("v4l2:///dev/video0?format=H264", "use YUYV, NV12"),
        ("v4l2:///dev/video0?buffers=2", "number from 3 to 32"),
        ("v4l2:///dev/video0?buffers=3.5", "no whole number"),
        ("v4l2:///dev/video0?copy=maybe", "use auto, always or never"),
    ],
)
def test_refuses_a_uri_that_cannot_be_meant(uri: str, says: str) -> None:
    with pytest.raises(Refused) as refusal:
        make_camera(uri)
    assert says in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("uri", "kind", "says"),
    [
        ("v4l2:///dev/video977", Unavailable, "no camera at /dev/video977"),
        ("v4l2://?bus=usb-0000:09:09.9-9", Unavailable, "no camera at usb-0000:09:09.9-9"),
        ("v4l2:///dev/null", Refused, "/dev/null is not a V4L2 device"),
        ("v4l2:///dev", Refused, "cannot be opened as a camera"),
    ],
)
def test_says_what_is_not_there(uri: str, kind: type[Trouble], says: str) -> None:
    with pytest.raises(kind, match=says), open_camera(uri):
        pass


def test_a_file_is_no_camera(tmp_path: Path) -> None:
    path = tmp_path / "a file?.bin"
    path.write_bytes(b"")
    uri = "v4l2://" + str(path).replace("?", "%3F").replace(" ", "%20")
    with pytest.raises(Refused, match="is not a V4L2 device"), open_camera(uri):
        pass


def test_a_stopped_camera_is_not_read() -> None:
    camera = make_camera("v4l2:///dev/video977")
    with pytest.raises(RuntimeError, match="not started"):
        camera.read(0.1)
    camera.stop()
    camera.stop()


def test_cached_memory_is_not_slow() -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(1 << 20)
        with mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ) as memory:
            assert slowness(memory) < SLOW


def test_probe_names_every_camera_of_this_machine() -> None:
    found = probe()
    assert len(found) == max(1, len(survey()))
    assert all(one.reason for one in found)
