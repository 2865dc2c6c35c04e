"""The least that a loop can do for one camera and one network: ours is compared with it, in turns.

Run as a process, it prints JSON: the medians of our frame over the bare engine call (`to_call`),
and over this loop's frame (`to_hand`), by neighbours in time. Other work on the machine empties the
caches of both loops, so the second ratio holds where the first does not.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from runtime.cameras import open_camera
from runtime.engines import EngineOptions
from runtime.locating import locate
from runtime.loop import Loop, Model
from runtime.measuring import Bench
from runtime.opening import open_model

TURNS, WARM = 200, 10


def step_of(model: Model, camera: str) -> Callable[[], int]:
    """One frame by hand, for a network that takes bytes as (1, side, side, 3): its pixels go into
    the engine's memory in the fewest passes, and what is highest comes out. Nothing else."""
    tensor = model.engine.input()[0].view(np.uint8)
    is_signed, side = model.engine.takes.dtype == "int8", tensor.shape[0]
    high, top = side * 3 // 4, side // 8  # letterboxed
    shown, macro = tensor[top : top + high], np.empty((high, side // 2, 4), np.uint8)
    same, large = np.zeros_like(tensor), np.zeros((480, 640, 3), np.uint8)
    yuyv = np.zeros((480, 320, 4), np.uint8)

    def fill() -> None:
        if "YUYV" in camera:
            cv2.resize(yuyv, (side // 2, high), macro)
            cv2.cvtColor(macro.reshape(high, side, 2), cv2.COLOR_YUV2RGB_YUY2, shown)
        elif "640x480" in camera:
            cv2.resize(large, (side, high), shown)
        else:
            np.copyto(tensor, same)

    def step() -> int:
        fill()
        if is_signed:
            np.bitwise_xor(tensor, np.uint8(0x80), out=tensor)
        return int(model.engine.run()[0].argmax())

    return step


def compared(path: Path, camera_uri: str) -> dict[str, float]:
    """Bare call, loop by hand and our loop in turns."""
    with locate(path) as located:
        model = open_model(located, EngineOptions(threads=1))
    bench, by_hand = Bench(), step_of(model, camera_uri)
    to_call, to_hand = [], []
    with open_camera(camera_uri, model.aim) as camera:
        loop = Loop(camera, model, bench.emit)
        for turn in range(WARM + TURNS):
            call_ns = timed(model.engine.run)
            hand_ns = timed(by_hand)
            timing = bench.step(loop).timing
            ours_ns = timing.decoded_ns - timing.captured_ns
            if turn >= WARM:
                to_call.append(ours_ns / call_ns)
                to_hand.append(ours_ns / hand_ns)
    return {"to_call": median(to_call), "to_hand": median(to_hand)}


def timed(call: Callable[[], object]) -> int:
    before = time.monotonic_ns()
    call()
    return time.monotonic_ns() - before


if __name__ == "__main__":
    print(json.dumps(compared(Path(sys.argv[1]), sys.argv[2])))
