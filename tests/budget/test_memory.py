"""Nothing image-sized is allocated per frame, and nothing grows."""

from __future__ import annotations

import gc
import tracemalloc
from contextlib import ExitStack
from pathlib import Path

import pytest

from runtime.cameras import open_camera
from runtime.engines import EngineOptions
from runtime.locating import locate
from runtime.loop import Loop
from runtime.measuring import Bench
from runtime.opening import open_model
from tests.budget.bill import mobilenet, ssd

pytestmark = pytest.mark.budget

CAMERAS = ["synthetic://640x480", "synthetic://640x480?format=YUYV", "synthetic://224x224"]


@pytest.mark.parametrize("camera_uri", CAMERAS)
def test_a_thousand_frames_allocate_no_picture_and_leave_nothing(camera_uri: str) -> None:
    check_frames(mobilenet(), camera_uri, 1000)


@pytest.mark.parametrize("camera_uri", CAMERAS)
def test_nor_do_three_hundred_of_a_detector(camera_uri: str) -> None:
    """It takes several times as long for each. The least that Python can leave behind for every
    fourth frame would be seen."""
    check_frames(ssd(), camera_uri, 300)


def check_frames(model_path: Path, camera_uri: str, frames: int) -> None:
    with ExitStack() as stack:
        located = stack.enter_context(locate(model_path))
        model = open_model(located, EngineOptions(threads=2))  # what it takes itself is not counted
        camera = stack.enter_context(open_camera(camera_uri, model.aim))
        bench = Bench()
        loop = Loop(camera, model, bench.emit)
        tracemalloc.start()
        stack.callback(tracemalloc.stop)
        for _ in range(100):
            bench.step(loop)
        before = least(bench, loop)
        most = 0
        for _ in range(frames):
            tracemalloc.reset_peak()
            start = tracemalloc.get_traced_memory()[0]
            bench.step(loop)
            most = max(most, tracemalloc.get_traced_memory()[1] - start)
        grown = least(bench, loop) - before
        model.engine.close()
    assert most < 16_384  # of all blocks together, so no block can be larger
    assert grown < 1024


def least(bench: Bench, loop: Loop) -> int:
    """What is held after a frame, of some frames the least: the newest result is held too, and one
    has more boxes than another."""
    gc.collect()  # empties the interpreter's lists of free tuples and floats too
    held: list[int] = []
    for _ in range(50):
        bench.step(loop)
        held.append(tracemalloc.get_traced_memory()[0])
    return min(held)
