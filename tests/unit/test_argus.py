"""A Jetson's cameras, by GStreamer with its own test picture in place of nvarguscamerasrc."""

from __future__ import annotations

import ctypes
import functools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.cameras import argus, csi
from runtime.cameras.argus import JETSON, Elements, open_argus
from runtime.cameras.csi import CsiCamera
from runtime.cameras.csi_source import Count
from runtime.cameras.csi_uri import read
from runtime.cameras.gstreamer import Pipeline, Plane, Sample
from runtime.frames import Aim, Frame, Losses
from tests.csi_cameras import PATTERN
from wire.troubles import Refused, Unavailable

SMALL = Aim(160, 160, cover=False)
URI = "csi://0?size=640x360&fps=100"


def made(source: str, uri: str = URI) -> CsiCamera:
    """source: what stands in for nvarguscamerasrc."""
    elements = replace(PATTERN, source=source)
    return CsiCamera(read(uri), functools.partial(open_argus, elements=elements))


@pytest.fixture(autouse=True)
def gstreamer() -> None:
    try:
        Pipeline("videotestsrc ! videoscale ! videoconvert ! appsink name=sink").stop()
    except Unavailable as trouble:
        pytest.skip(str(trouble))


@pytest.fixture
def camera() -> Iterator[CsiCamera]:
    camera = made(PATTERN.source)
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


@pytest.mark.parametrize("size", ["640x360", "322x242", "318x46"])
def test_colours_and_rows_are_where_the_layout_says(size: str) -> None:
    """GStreamer pads rows of 322 and 318 pixels to multiples of four."""
    camera = made("videotestsrc name=source is-live=true pattern=red", f"csi://0?size={size}")
    camera.start()
    try:
        with next_frame(camera) as frame:
            layout = frame.layout
            assert f"{layout.width}x{layout.height}" == size
            assert layout.stride == -(-layout.width // 4) * 4
            seen = frame.pixels.copy()
        shown = cv2.cvtColor(seen, cv2.COLOR_YUV2RGB_NV12).astype(int)
        assert np.abs(shown - (255, 0, 0)).max() <= 4
    finally:
        camera.stop()


def test_a_buffer_that_says_where_its_planes_lie_is_believed() -> None:
    """Most leave it to the caps; those that a driver allocated say it themselves."""
    core, video = ctypes.CDLL("libgstreamer-1.0.so.0"), ctypes.CDLL("libgstvideo-1.0.so.0")
    for call in (core.gst_buffer_new_allocate, core.gst_sample_new):
        call.restype = ctypes.c_void_p
    video.gst_video_format_from_string.restype = ctypes.c_int
    buffer = ctypes.c_void_p(core.gst_buffer_new_allocate(None, ctypes.c_size_t(9000), None))
    nv12 = video.gst_video_format_from_string(b"NV12")
    offsets, strides = (ctypes.c_size_t * 4)(0, 5120), (ctypes.c_int * 4)(128, 128)
    video.gst_buffer_add_video_meta_full(buffer, 0, nv12, 100, 40, 2, offsets, strides)
    sample = Sample(core.gst_sample_new(buffer, None, None, None))
    assert sample.plane() == Plane(128, 5120)
    sample.free()
    core.gst_mini_object_unref(buffer)


def test_another_model_gets_another_size_without_a_new_start(camera: CsiCamera) -> None:
    with next_frame(camera) as frame:
        first = frame.seq
        assert (frame.layout.width, frame.layout.shrunk_from) == (640, None)
    source = camera._source
    for aim, size in ((SMALL, (160, 90)), (None, (640, 360)), (SMALL, (160, 90))):
        camera.aim = aim

        def fits(wanted: tuple[int, int] = size) -> bool:
            with next_frame(camera) as frame:
                assert frame.layout.source == (640, 360)
                assert frame.layout.nbytes <= memoryview(frame.memory).nbytes  # type: ignore[arg-type]
                return (frame.layout.width, frame.layout.height) == wanted

        until(fits)
    assert camera._source is source and next_frame(camera).seq > first


def test_pictures_that_change_their_size_at_the_source_still_fit() -> None:
    source = (
        "videotestsrc is-live=true ! capsfilter name=source caps=video/x-raw,width=320,height=180"
    )
    elements = replace(PATTERN, source=f"{source} ! videoscale")
    camera = CsiCamera(read(URI), functools.partial(open_argus, elements=elements))
    camera.aim = SMALL
    camera.start()
    try:
        next_frame(camera).release()
        pipeline = camera._source._pipeline  # type: ignore[union-attr]
        pipeline.set("source", "caps", "video/x-raw,width=1280,height=720")
        for _ in range(20):
            with next_frame(camera) as frame:
                assert (frame.layout.width, frame.layout.height) == (160, 90)
        assert camera.absent is None
    finally:
        camera.stop()


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        ("identity error-after=10", "csi://0 failed (Failed after iterations as requested."),
        ("identity eos-after=10", "csi://0 has ended: sudo systemctl restart nvargus-daemon"),
    ],
)
def test_a_source_that_fails_is_said_and_opened_again(tail: str, says: str) -> None:
    camera = made(f"{PATTERN.source} ! {tail}")
    camera.start()
    try:
        for _ in range(2):
            until(lambda: is_away(camera))
            assert camera.absent is not None and says in camera.absent
            assert "nvargus-daemon" in camera.absent and "\n" not in camera.absent
            next_frame(camera).release()
            assert camera.absent is None
        assert camera.losses.driver < 20, "it was away for 50 periods and more, it lost nothing"
    finally:
        camera.stop()


def test_a_source_that_falls_silent_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csi, "SILENT_S", 0.2)
    camera = made(f"{PATTERN.source} ! valve name=hole")
    camera.start()
    try:
        next_frame(camera).release()
        camera._source._pipeline.set("hole", "drop", "true")  # type: ignore[union-attr]
        until(lambda: is_away(camera))
        assert "sends no frames" in str(camera.absent)
        next_frame(camera).release()
    finally:
        camera.stop()


def test_no_first_picture_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(argus, "FIRST_S", 0.3)
    camera = made(f"{PATTERN.source} ! valve drop=true")
    with pytest.raises(Unavailable, match="sends no picture: sudo systemctl restart"):
        camera.start()


def test_a_frame_may_come_home_after_the_camera_has_stopped(camera: CsiCamera) -> None:
    frame = next_frame(camera)
    before = frame.pixels.tobytes()
    camera.stop()
    assert frame.pixels.tobytes() == before
    frame.release()


def test_what_is_missing_is_named() -> None:
    wish = read(URI)
    with pytest.raises(Unavailable) as trouble:
        open_argus(wish, wish.size, 0, Count(), Losses(), JETSON)
    if "nvargus" not in str(trouble.value):
        pytest.skip("this is a Jetson")
    assert "sudo apt-get install -y nvidia-l4t-gstreamer" in str(trouble.value)
    with pytest.raises(Unavailable, match=r"gstreamer1\.0-plugins-base"):
        open_argus(wish, wish.size, 0, Count(), Losses(), Elements("nonsuch", "nonsuch", ""))


def test_controls_are_properties_of_the_source() -> None:
    camera = made(PATTERN.source, f"{URI}&control.pattern=white")
    camera.start()
    with next_frame(camera) as frame:
        assert (frame.pixels[: frame.layout.height] == 235).all()
    camera.stop()
    with pytest.raises(Refused, match="has no property wbmode: see gst-inspect"):
        made(PATTERN.source, f"{URI}&control.wbmode=1").start()
    with pytest.raises(Refused, match=r"use control\.sensor-mode=N"):
        made(PATTERN.source, f"{URI}&sensor=640x480").start()


def test_nothing_is_left_open() -> None:
    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    camera = made(PATTERN.source)
    found = []
    for _ in range(6):
        camera.start()
        next_frame(camera).release()
        camera.stop()
        found.append(opened())
    assert found[-1] <= found[1], os.listdir("/proc/self/fd")
