"""From the paint to the result over RTSP: two frame periods at most, and what decoding takes."""

from __future__ import annotations

import statistics
import time

import pytest

from runtime.ahead import Slot
from runtime.cameras import open_camera
from runtime.cameras.network_backlog import Unit
from runtime.cameras.video_decoder import VideoDecoder
from runtime.engines import EngineOptions
from runtime.frames import Frame
from runtime.locating import locate, resolve
from runtime.loop import Loop, Result
from runtime.opening import open_model
from tests.budget.bill import at_most
from tests.network_cameras import age_ms, rtsp_camera

FPS = 30
PERIODS = 2
FRAMES = 200
WARM = 15


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


def test_rtsp_from_paint_to_result(monkeypatch: pytest.MonkeyPatch) -> None:
    decoding_ms: list[float] = []
    decode = VideoDecoder.decode

    def timed(self: VideoDecoder, unit: Unit, slot: Slot) -> tuple[int, int] | None:
        began = time.perf_counter()
        found = decode(self, unit, slot)
        decoding_ms.append((time.perf_counter() - began) * 1e3)
        return found

    monkeypatch.setattr(VideoDecoder, "decode", timed)

    def measure() -> float:
        """The 95th percentile by what is allowed."""
        seen, results = {}, []

        def glance(frame: Frame) -> None:
            seen[frame.seq] = time.monotonic() * 1e3 - age_ms(frame)

        def emit(result: Result) -> None:
            results.append(time.monotonic() * 1e3 - seen.pop(result.seq))

        with (
            rtsp_camera("--size", "1280x720", "--fps", str(FPS)) as server,
            locate(resolve("digits"), None) as located,
            open_camera(f"rtsp://127.0.0.1:{server.port}/live") as camera,
        ):
            model = open_model(located, EngineOptions())
            loop = Loop(camera, model, emit, glance)
            while len(results) < FRAMES:
                loop.step(1.0)
            model.engine.close()
        del results[:WARM]
        allowed = PERIODS * 1e3 / FPS + statistics.median(decoding_ms)
        print(
            f"rtsp 1280x720 at {FPS}: paint to result p50 {percentile(results, 0.5):.1f} ms, p95 "
            f"{percentile(results, 0.95):.1f}, allowed {allowed:.1f}; "
            f"decoding {statistics.median(decoding_ms):.2f}"
        )
        return percentile(results, 0.95) / allowed

    at_most(1.0, measure)
