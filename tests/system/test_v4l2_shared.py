"""A V4L2 camera that is shared, on a real kernel: the driver's own buffers in two address spaces.

Runs where the vivid driver is: `scripts/vm-test` makes such a machine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from runtime.cameras import Camera, make_camera, open_camera
from runtime.cameras.patient import PatientCamera
from runtime.sharing.own import OwnCamera
from runtime.sharing.owner import make_shareable, shared
from tests.system import vivid
from tests.unit.test_sharing import frame_of, same_frame, until

pytestmark = [
    pytest.mark.skipif(not vivid.there(), reason="no vivid driver here: use scripts/vm-test"),
    pytest.mark.slow,
]

SMALL = f"v4l2://{vivid.NODE}?size=320x180"


@pytest.fixture(params=["GREY", "YUYV", "NV12", "GREY&copy=always"])
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OwnCamera]:
    camera = make_camera(f"{SMALL}&format={request.param}")
    make_shareable(camera, 2, 1)
    with shared(PatientCamera(camera), "door", tmp_path, 2) as own:
        own.start()
        yield own
        own.stop()
        if not Path(vivid.NODE).exists():
            with suppress(OSError):
                vivid.plug()


@pytest.fixture
def door(own: OwnCamera, tmp_path: Path) -> Iterator[Camera]:
    with open_camera(f"pipeline://door?run={tmp_path}") as camera:
        yield camera


def test_both_see_the_same_buffers(own: OwnCamera, door: Camera) -> None:
    places = set()
    for _ in range(40):  # more than there are buffers
        mine, its = same_frame(own, door)
        assert mine.captured_ns == its.captured_ns and mine.layout == its.layout
        assert np.array_equal(mine.pixels, its.pixels)
        assert not its.pixels.flags.writeable
        places.add(its.pixels.ctypes.data)
        mine.release()
        its.release()
    assert 1 < len(places) <= 16


def test_what_is_lent_is_the_drivers_memory(own: OwnCamera, door: Camera) -> None:
    """By dma-buf, where nothing is copied as asked for."""
    frame_of(own).release()
    frame_of(door).release()
    maps = Path("/proc/self/maps").read_text()
    assert ("dmabuf" in maps) != ("vedette-picture" in maps)


def test_unplugged_it_is_absent_for_both_and_comes_back(own: OwnCamera, door: Camera) -> None:
    held = frame_of(door)
    before = held.pixels.copy()
    vivid.unplug()
    for camera in (own, door):
        until(lambda camera=camera: read_empty(camera) and camera.absent is not None, 30)  # type: ignore[misc]
        assert camera.absent is not None and "unplugged" in camera.absent
    assert np.array_equal(held.pixels, before), "its memory went with the device"
    held.release()
    # its number is taken as long as anybody has its memory: the reader says so with its next wish
    until(lambda: read_empty(door) and not vivid.mapped())
    vivid.plug()
    for camera in (own, door):
        frame_of(camera, 40).release()
        assert camera.absent is None


def read_empty(camera: Camera) -> bool:
    frame = camera.read(0.2)
    if frame is not None:
        frame.release()
    return frame is None


def test_a_reader_that_stalls_costs_the_owner_no_frame(own: OwnCamera, door: Camera) -> None:
    with frame_of(door), frame_of(door):
        seen, began = [], time.monotonic()
        while time.monotonic() - began < 2:
            with frame_of(own) as frame:
                seen.append(frame.seq)
        assert own.losses.driver == 0 and len(seen) > 20
