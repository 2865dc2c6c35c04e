"""The frame loop: order, stamps, loans, swaps, and what it does when something goes wrong."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import numpy as np
import pytest

from models.manifest import Input, Manifest
from runtime.cameras import Camera, Ended, make_camera
from runtime.engines import Tensor, TensorSpec
from runtime.engines.null import NullEngine
from runtime.frames import Aim, Frame
from runtime.loop import HELD, NO_MODEL, Loop, Model, Result
from runtime.panel import STAGES
from runtime.tasks import Class, Found, View
from runtime.timing import StageTimes
from tests.by_hand import HandCamera, HandClock, grey

VIEW = View(64, 48, 0, 0, 1, 1)


def make_model(digest: str = "old", size: int = 8) -> Model:
    spec = TensorSpec("in", (1, size, size, 3), "uint8")
    manifest = Manifest(
        1, "tiny", "1", "raw", "tflite", "m.tflite", Input(size, size, "rgb", "NHWC", "uint8")
    )

    def prepare(frame: Frame, out: Tensor) -> View:
        out.fill(int(frame.pixels.reshape(-1)[0]))
        return VIEW

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        return (Class(0, digest, 1.0),)

    engine = NullEngine(spec, (TensorSpec("out", (1, 4), "float32"),))
    return Model(manifest, digest, (), (), engine, "null", prepare, decode, Aim(size, size, False))


def make_loop(model: Model, uri: str = "synthetic://64x48") -> tuple[Loop, list[Result], Camera]:
    camera = make_camera(uri)
    camera.start()
    results: list[Result] = []
    ticks = itertools.count(2**62)
    return Loop(camera, model, results.append, clock=lambda: next(ticks)), results, camera


def test_a_frame_becomes_a_result() -> None:
    loop, results, _ = make_loop(make_model())
    assert loop.step(1) and loop.step(1)
    assert [result.seq for result in results] == [0, 1]
    timing = results[-1].timing
    stamps = (timing.captured_ns, timing.read_ns, timing.prepared_ns, timing.inferred_ns,
              timing.decoded_ns)  # fmt: skip
    assert list(stamps) == sorted(set(stamps))


def test_many_more_frames_than_buffers() -> None:
    loop, results, _ = make_loop(make_model())
    assert all(loop.step(1) for _ in range(50))
    assert len(results) == 50


def test_the_five_stages_are_the_differences_of_the_stamps() -> None:
    loop, results, _ = make_loop(make_model())
    loop.step(1)
    times = StageTimes()
    stamp = replace(results[0].timing, captured_ns=0, read_ns=1_000_000, prepared_ns=3_000_000,
                    inferred_ns=7_000_000, decoded_ns=15_000_000)  # fmt: skip
    times.record(stamp)
    counts = times.counts()
    shown = [round((getattr(counts, stage).percentile(0.5) or 0) / 1000) for stage in STAGES]
    assert shown == [1, 2, 4, 8, 15]


def test_the_frame_is_home_before_inference_starts() -> None:
    model = make_model()
    loop, _, camera = make_loop(model)
    held: list[Frame] = []
    lend = camera.read

    def read(timeout: float) -> Frame | None:
        frame = lend(timeout)
        if frame is not None:
            held.append(frame)
        return frame

    camera.read = read  # type: ignore[method-assign]
    run = model.engine.run

    def check() -> tuple[Tensor, ...]:
        with pytest.raises(RuntimeError, match="given back"):
            _ = held[-1].pixels
        return run()

    model.engine.run = check  # type: ignore[method-assign]
    assert loop.step(1)


def test_a_swap_takes_over_between_two_frames() -> None:
    loop, results, camera = make_loop(make_model("old"))
    loop.step(1)
    loop.swap(make_model("new", size=16))
    loop.step(1)
    assert [result.digest for result in results] == ["old", "new"]
    assert loop.retired.get_nowait().digest == "old"
    assert camera.aim == Aim(16, 16, False)


def test_swaps_offered_from_another_thread_lose_no_frame() -> None:
    loop, results, _ = make_loop(make_model("0"))

    def offer() -> None:
        for number in range(1, 20):
            loop.swap(make_model(str(number)))

    thread = threading.Thread(target=offer)
    thread.start()
    for _ in range(200):
        loop.step(1)
    thread.join()
    assert [result.seq for result in results] == list(range(200))
    seen = [int(result.digest) for result in results]
    assert seen == sorted(seen) and seen[-1] == 19
    assert loop.retired.qsize() == 19


def test_between_two_models_frames_pass_by_and_are_counted() -> None:
    camera = HandCamera(HandClock())
    results: list[Result] = []
    loop = Loop(camera, make_model("old"), results.append)
    camera.start()
    loop.swap(HELD)
    camera.frames.extend([grey()] * 3)
    assert not any(loop.step(1) for _ in range(3))
    assert (results, camera.losses.skipped, camera.is_running) == ([], 3, True)
    assert loop.retired.get_nowait().digest == "old"
    loop.swap(make_model("new"))
    camera.frames.append(grey())
    assert loop.step(1)
    assert [result.digest for result in results] == ["new"]
    assert loop.retired.empty(), "what holds the place is no model to close"


def test_without_a_model_the_camera_is_off() -> None:
    camera = HandCamera(HandClock())
    loop = Loop(camera, NO_MODEL, lambda _: None)
    assert not loop.step(0.01) and camera.starts == 0
    loop.swap(make_model("one"))
    assert not loop.step(0.01) or camera.given
    camera.frames.append(grey())
    assert loop.step(1) and (camera.starts, camera.aim) == (1, Aim(8, 8, False))
    loop.swap(NO_MODEL)
    assert not loop.step(0.01)
    assert not camera.is_running and camera.losses.skipped == 0
    assert loop.retired.get_nowait().digest == "one"


def test_an_offer_that_was_not_taken_can_be_taken_back() -> None:
    loop, results, _ = make_loop(make_model("old"))
    new = make_model("new")
    loop.swap(new)
    assert loop.withdraw() is new and loop.withdraw() is None
    loop.step(1)
    assert [result.digest for result in results] == ["old"]


def test_no_frame_in_time_is_no_result() -> None:
    loop, results, camera = make_loop(make_model())
    frames = list(iter(lambda: camera.read(0.01), None))  # all buffers are out
    assert frames and not loop.step(0.01)
    assert results == []


def test_the_real_error_is_not_masked_and_the_buffers_come_home() -> None:
    def broken(frame: Frame, out: Tensor) -> View:
        rows = frame.pixels[::2]
        raise ValueError(f"cannot scale {rows.shape}")

    loop, _, _ = make_loop(replace(make_model(), prepare=broken))
    for _ in range(10):
        with pytest.raises(ValueError, match="cannot scale"):
            loop.step(1)


def test_a_view_that_outlives_its_loan_is_found_out() -> None:
    kept: list[np.ndarray] = []  # type: ignore[type-arg]

    def leaking(frame: Frame, out: Tensor) -> View:
        kept.append(frame.pixels[:2])
        return VIEW

    loop, _, _ = make_loop(replace(make_model(), prepare=leaking))
    with pytest.raises(RuntimeError, match="outlived"):
        loop.step(1)


def test_a_recording_ends_the_loop(tmp_path_factory: pytest.TempPathFactory) -> None:
    import cv2

    folder = tmp_path_factory.mktemp("pictures")
    for place in range(3):
        cv2.imwrite(str(folder / f"{place}.png"), np.zeros((48, 64, 3), np.uint8))
    loop, results, camera = make_loop(make_model(), f"file://{folder}")
    with pytest.raises(Ended):
        for _ in range(10):
            loop.step(1)
    camera.stop()
    assert len(results) == 3
