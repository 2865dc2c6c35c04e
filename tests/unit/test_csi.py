"""Cameras on the ribbon cable: what a URI asks for, and a Raspberry Pi's on a twin of picamera2."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from runtime.cameras import KINDS, csi, make_camera, open_camera, picamera_newest
from runtime.cameras.csi import CsiCamera, is_jetson
from runtime.cameras.csi_source import Count, ends_within
from runtime.cameras.csi_uri import fitted, read
from runtime.cameras.picamera import open_picamera
from runtime.cameras.picamera_setting import is_raspberry_pi
from runtime.cameras.retry import Retry
from runtime.frames import Aim, Frame, Losses
from tests import csi_cameras, twin_picamera2
from tests.sharing import lending
from wire.troubles import Refused, Unavailable

PI = "pi://0?size=640x360&fps=100"
SMALL = Aim(160, 160, cover=False)
LARGE = Aim(320, 320, cover=False)


@pytest.fixture(autouse=True)
def bench(monkeypatch: pytest.MonkeyPatch) -> twin_picamera2.Bench:
    fresh = twin_picamera2.Bench()
    monkeypatch.setattr(twin_picamera2, "BENCH", fresh)
    for kind, home in csi_cameras.KINDS.items():
        monkeypatch.setitem(KINDS, kind, home)
    return fresh


@pytest.fixture
def camera(bench: twin_picamera2.Bench) -> Iterator[CsiCamera]:
    camera = csi_cameras.make(PI)
    camera.start()
    yield camera
    camera.stop()


def next_frame(camera: CsiCamera, seconds: float = 10.0) -> Frame:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (frame := camera.read(0.5)) is not None:
            return frame
    raise AssertionError(f"no frame; absent: {camera.absent}")


def is_away(camera: CsiCamera) -> bool:
    """Reads once."""
    frame = camera.read(0.05)
    if frame is not None:
        frame.release()
    return frame is None and camera.absent is not None


def until(happens: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def test_a_uri_is_read() -> None:
    wish = read("csi://1?size=640x480&fps=15&rotate=180&vflip=yes&control.AfMode=Auto")
    assert (wish.number, wish.size, wish.fps) == (1, (640, 480), 15)
    assert (wish.hflip, wish.vflip) == (True, False), "flipped once more on top of turned"
    assert (wish.controls, wish.shown) == ({"AfMode": "Auto"}, "csi://1")
    plain = read("csi://0")
    assert (plain.size, plain.fps, plain.sensor, plain.controls) == ((1280, 720), 30, None, {})


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("csi://", "write the camera's number, for example csi://0"),
        ("csi:///dev/video0", "write the camera's number"),
        ("csi://99", "write the camera's number"),
        ("csi://0?size=641x480", "both must be even"),
        ("csi://0?size=large", "is no size"),
        ("csi://0?fps=0", "fps='0' must be a number"),
        ("csi://0?rotate=90", "by 180 only"),
        ("csi://0?hflip=1", "use yes or no"),
        ("csi://0?buffers=2", "buffers='2' must be"),
        ("csi://0?control.=1", "name the control"),
        (
            "csi://0?AfMode=1",
            "use size, fps, rotate, hflip, vflip, sensor, buffers or control.NAME",
        ),
        ("csi://0?control.AfMode=1&control.AfMode=2", "given twice"),
    ],
)
def test_what_cannot_be_meant_is_refused(uri: str, says: str) -> None:
    with pytest.raises(Refused) as refused:
        make_camera(uri)
    assert says in str(refused.value) and "\n" not in str(refused.value)


def test_the_smallest_picture_that_gives_the_model_every_pixel() -> None:
    for width, height in ((1280, 720), (1640, 1232), (640, 480), (322, 242)):
        for side in (32, 96, 224, 320, 640, 1000):
            for aim in (Aim(side, side, cover=True), Aim(side, side // 2 * 2, cover=False)):
                found = fitted(aim, (width, height))
                least = aim.least(width, height)
                assert least[0] <= found[0] <= width and least[1] <= found[1] <= height
                assert found[1] % 2 == 0
                if found != (width, height):
                    assert found[0] < least[0] + 4 or found[0] < width / 8 + 4
    assert fitted(None, (1280, 720)) == (1280, 720)
    assert fitted(Aim(320, 320, cover=False), (1280, 720)) == (320, 180)
    assert fitted(Aim(320, 320, cover=True), (1280, 720)) == (572, 320)


def test_frames_are_numbered_by_their_stamps() -> None:
    count = Count()
    taken = [count.take(ms * 1_000_000, 10e6) for ms in (1000, 1010, 1021, 1050, 1050, 1061)]
    assert (taken, count.seq) == ([0, 0, 0, 2, None, 0], 6)
    count.pause()
    assert (count.take(9_000_000_000, 10e6), count.seq) == (0, 7), "it was away, it lost nothing"


def test_a_stamp_of_the_clock_that_goes_on_while_the_board_sleeps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(
        monotonic_ns=lambda: 5_000, clock_gettime_ns=lambda _: 90_000, CLOCK_BOOTTIME=7
    )
    monkeypatch.setattr(picamera_newest, "time", clock)
    assert picamera_newest.monotonic(89_900) == 4_900
    assert picamera_newest.monotonic(4_900) == 4_900, "a kernel's own"


@pytest.mark.parametrize(
    ("compatible", "is_what"),
    [
        (b"nvidia,p3768-0000+p3767-0005\0nvidia,p3767-0005\0nvidia,tegra234\0", (True, False)),
        (b"raspberrypi,5-model-b\0brcm,bcm2712\0", (False, True)),
        (b"", (False, False)),
    ],
)
def test_the_device_tree_says_what_board_it_is(
    compatible: bytes, is_what: tuple[bool, bool], tmp_path: Path
) -> None:
    (tmp_path / "compatible").write_bytes(compatible)
    found = tmp_path / "compatible"
    assert (is_jetson(found), is_raspberry_pi(found)) == is_what
    assert not is_jetson(tmp_path / "none") and not is_raspberry_pi(tmp_path / "none")


def test_another_machine_says_what_to_write_instead() -> None:
    if is_raspberry_pi() or is_jetson():
        pytest.skip("this is one of them")
    with pytest.raises(Unavailable, match=r"csi://0 .*Raspberry Pi or a Jetson: use v4l2://"):
        open_picamera(read("csi://0"), (1280, 720), 0, Count(), Losses())


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("raise ValueError('numpy.dtype size changed')", "cannot be imported: numpy.dtype size"),
        ("import nonsuch", "cannot be imported: No module named 'nonsuch'"),
    ],
)
def test_a_picamera2_that_does_not_fit_is_said(
    module: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "picamera2.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    with pytest.raises(Unavailable) as trouble:
        open_picamera(read("csi://0"), (1280, 720), 0, Count(), Losses())
    assert says in str(trouble.value)


def test_the_low_resolution_stream_is_what_the_model_needs() -> None:
    with open_camera(PI, SMALL) as camera, next_frame(camera) as frame:  # type: ignore[arg-type]
        assert (frame.layout.width, frame.layout.height) == (160, 90)
        assert frame.layout.source == (640, 360)
        luma, colours = frame.pixels[:90], frame.pixels[90:]
        assert len(np.unique(luma)) == 1 and (colours == 128).all()
        del luma, colours


def test_another_model_gets_another_size_and_no_frame_is_counted_as_lost(
    camera: CsiCamera, bench: twin_picamera2.Bench
) -> None:
    with next_frame(camera) as frame:
        first = frame.seq
        assert frame.layout.source == (frame.layout.width, frame.layout.height) == (640, 360)
    bench.start_s = 0.5  # 50 periods
    for aim, size in ((SMALL, (160, 90)), (LARGE, (320, 180)), (None, (640, 360))):
        camera.aim = aim
        with next_frame(camera) as frame:
            assert (frame.layout.width, frame.layout.height) == size
            assert frame.layout.source == (640, 360) and frame.seq > first
            assert camera.layout is frame.layout
    assert bench.opened == 1
    assert camera.losses.driver < 75, "none of 150, or what a busy machine made the twin miss"


def test_a_frame_of_before_never_goes_back_into_a_camera_that_was_restarted(
    camera: CsiCamera, bench: twin_picamera2.Bench
) -> None:
    old = next_frame(camera)
    before = old.pixels.tobytes()
    camera.aim = SMALL
    held = [next_frame(camera) for _ in range(3)]
    assert old.pixels.tobytes() == before
    old.release()
    for frame in held:
        frame.release()
    for _ in range(10):
        next_frame(camera).release()
    assert (bench.queued_late, bench.queued_twice) == (0, 0)
    bench.silent = True
    while (late := camera.read(0.2)) is not None:
        late.release()
    assert bench.last.out == 0, "memory that is never free again"


def test_a_frame_may_come_home_after_the_camera_has_stopped(
    camera: CsiCamera, bench: twin_picamera2.Bench
) -> None:
    frame = next_frame(camera)
    before = frame.pixels.tobytes()
    camera.stop()
    assert frame.pixels.tobytes() == before
    frame.release()
    assert bench.queued_late == 0


def test_what_the_receiver_drops_is_the_drivers_loss_and_a_gap(
    camera: CsiCamera, bench: twin_picamera2.Bench
) -> None:
    with next_frame(camera) as frame:
        first = frame.seq
    for _ in range(3):
        bench.drops = 5
        until(lambda: bench.drops == 0)
        next_frame(camera).release()
    with next_frame(camera) as frame:
        gap = frame.seq - first - 4
    losses = camera.losses
    assert losses.driver >= 12, "an idle machine loses 15, a busy one sees some as one gap"
    assert gap <= losses.driver + losses.skipped


def test_a_cable_that_comes_loose_is_said_and_mended(
    camera: CsiCamera, bench: twin_picamera2.Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csi, "SILENT_S", 0.2)
    camera._retry = Retry()  # one that does not take its time
    next_frame(camera).release()
    bench.silent = True
    until(lambda: is_away(camera))
    assert "sends no frames: with the power off" in str(camera.absent)
    bench.cameras.clear()
    until(lambda: is_away(camera) and "is not there" in str(camera.absent))
    bench.cameras.append("imx219")
    bench.silent = False
    next_frame(camera).release()
    assert camera.absent is None and bench.opened >= 2
    assert camera.losses.driver < 50, "of 100 and more: the twin itself may have been kept waiting"


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"busy": True}, "csi://0 is in use by another process"),
        ({"cameras": []}, "csi://0 is not there (libcamera finds none)"),
        ({"no_memory": True}, "choose a smaller size or fewer buffers"),
    ],
)
def test_a_camera_that_does_not_open_says_why(
    fault: dict[str, object], says: str, bench: twin_picamera2.Bench
) -> None:
    for name, value in fault.items():
        setattr(bench, name, value)
    with pytest.raises(Unavailable) as trouble, open_camera(PI):
        pass
    assert says in str(trouble.value) and "\n" not in str(trouble.value)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("fps=500", "it gives 120 frames a second at most"),
        ("control.Nonsense=1", "no control Nonsense: use AeEnable, AfMode, AnalogueGain"),
        ("control.AfMode=Sometimes", "use Auto, Continuous or Manual"),
        ("control.AnalogueGain=99", "must be from 1 to 16"),
        ("control.AeEnable=perhaps", "use a number, true or false"),
        ("size=9000x6000", "choose another size"),
    ],
)
def test_what_this_camera_cannot_do_is_refused(query: str, says: str) -> None:
    with pytest.raises(Refused) as refused, open_camera(f"pi://0?{query}"):
        pass
    assert says in str(refused.value)


def test_controls_and_flips_reach_the_camera(bench: twin_picamera2.Bench) -> None:
    uri = (
        "pi://0?fps=50&rotate=180&sensor=2304x1296&control.AfMode=Continuous&control.AeEnable=false"
        "&control.ColourGains=1.5,2&control.ExposureTime=5000"
    )
    with open_camera(uri):
        config = bench.last.camera_config
    assert config["controls"] == {
        "FrameDurationLimits": (20_000, 20_000),
        "AfMode": 2,
        "AeEnable": False,
        "ColourGains": (1.5, 2),
        "ExposureTime": 5000,
    }
    assert (config["transform"].hflip, config["transform"].vflip) == (1, 1)
    assert config["sensor"] == {"output_size": (2304, 1296)}
    assert config["raw"] is None and config["queue"] is False


def test_stop_does_not_wait_for_a_camera_that_hangs(
    camera: CsiCamera, bench: twin_picamera2.Bench
) -> None:
    next_frame(camera).release()
    bench.hangs = True
    stopped = threading.Thread(target=camera.stop)
    stopped.start()
    stopped.join(10)
    bench.hangs = False
    assert not stopped.is_alive()


def test_what_a_vendor_raises_is_raised_and_what_hangs_is_left() -> None:
    def raises() -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        ends_within(10, raises)
    free = threading.Event()
    assert not ends_within(0.01, free.wait)
    free.set()
    assert ends_within(10, free.wait)


def test_other_pipelines_map_the_same_memory(tmp_path: Path, bench: twin_picamera2.Bench) -> None:
    with lending(PI, tmp_path) as own, open_camera(f"pipeline://rgb?run={tmp_path}") as camera:
        own.start()
        frame = None
        end = time.monotonic() + 10
        while frame is None and time.monotonic() < end:
            if (mine := own.read(0.1)) is not None:
                mine.release()
            frame = camera.read(0.1)
        assert frame is not None
        for buffer in bench.last._buffers:
            buffer.pixels[:9] = 7
        assert (frame.pixels[0, :9] == 7).all(), "a copy"
        frame.release()
