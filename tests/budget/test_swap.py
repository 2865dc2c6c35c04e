"""A new model takes over while frames flow: none is lost, and nobody sees a gap."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack

import pytest

from runtime.cameras import open_camera
from runtime.engines import EngineOptions
from runtime.loader import Loader
from runtime.locating import locate
from runtime.loop import Loop, Result
from runtime.opening import open_model
from tests.budget.bill import TRIES, mobilenet
from tests.graphs import cached, tflite_network

pytestmark = pytest.mark.budget

PERIOD_S = 1 / 30


def test_hot_swap_at_thirty_frames_a_second() -> None:
    """Longest gap between results <= 2 periods, every sequence number there."""
    gaps = []
    for _ in range(TRIES):
        results, said = swapped_run()
        *guesses, last = said
        assert last.startswith("loaded"), said
        assert all(line.startswith("no manifest: ") for line in guesses), said
        assert len({result.digest for result in results}) == 2
        seqs = [result.seq for result in results]
        ends = [result.timing.decoded_ns for result in results]
        gap = max((b - a) / 1e9 for a, b in itertools.pairwise(ends[5:]))
        gaps.append(gap / PERIOD_S)
        if seqs == list(range(seqs[0], seqs[0] + len(seqs))) and gap <= 2 * PERIOD_S:
            return
    raise AssertionError(f"frames lost, or gaps too long; in periods: {gaps}")


def swapped_run() -> tuple[list[Result], list[str]]:
    """Two seconds of frames with a swap in the middle."""
    after = cached("mobilenet_seed1.tflite", lambda path: tflite_network.mobilenet_v2(path, seed=1))
    results: list[Result] = []
    said: list[str] = []
    with ExitStack() as stack:
        located = stack.enter_context(locate(mobilenet()))
        model = open_model(located, EngineOptions(threads=1))
        camera = stack.enter_context(open_camera("synthetic://640x480@30", model.aim))
        loop = Loop(camera, model, results.append)
        loader = Loader(loop, None, EngineOptions(threads=1), said.append)
        stack.callback(loader.close)
        loop.step(1)
        end_s = time.monotonic() + 3.0
        asked = False
        while time.monotonic() < end_s:
            loop.step(1)
            if len(results) == 20 and not asked:
                loader.load(after)
                asked = True
    return results, said
