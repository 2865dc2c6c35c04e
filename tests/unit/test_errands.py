"""Errands: one snapshot and one bench at a time, each answered once, in bounds."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from runtime.agent_line import AgentLine
from runtime.benching import PATIENCE_S, Bench, stages_of
from runtime.errands import Errands
from runtime.frames import Frame, Losses
from tests.by_hand import HandCamera, HandClock, grey, model_of, result_at
from wire.local import Answer, FromRuntime, Mailbox, RunBench, TakeSnapshot, agent_mailbox
from wire.results import Figures

MODEL = model_of()
MS = 1_000_000


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Mailbox[FromRuntime]]:
    mailbox = agent_mailbox(tmp_path)
    yield mailbox
    mailbox.close()


class Desk:
    """Errands of a pipeline whose frames the test gives."""

    def __init__(self, folder: Path, agent: Mailbox[FromRuntime]) -> None:
        self.clock = HandClock()
        self.camera = HandCamera(self.clock)
        self.line = AgentLine(folder, "door", lambda _: None)
        self.errands = Errands(self.line, self.camera, lambda: MODEL)
        self._agent = agent
        self._seq = 0

    def frame(self, digest: str = MODEL.digest) -> None:
        self._seq += 1
        with Frame(self._seq, 0, self.camera.layout, grey(), lambda: None) as frame:
            self.errands.glance(frame)
        self.errands.show(result_at(self._seq * 100 * MS, (), self._seq, digest))

    def answers(self) -> list[Answer]:
        self.errands.tick(self.clock())
        self.line.push(self.clock())
        got = []
        while (message := self._agent.receive()) is not None:
            assert isinstance(message, Answer) and message.pipeline == "door"
            got.append(message)
        return got

    def close(self) -> None:
        self.errands.close(self.clock())
        self.line.push(self.clock())
        self.line.close()


@pytest.fixture
def desk(tmp_path: Path, agent: Mailbox[FromRuntime]) -> Iterator[Desk]:
    desk = Desk(tmp_path, agent)
    yield desk
    desk.close()


def test_a_snapshot_is_answered_once(desk: Desk) -> None:
    desk.errands.take_snapshot(TakeSnapshot("s1", 50_000), desk.clock())
    end = time.monotonic() + 30
    answers: list[Answer] = []
    while not answers and time.monotonic() < end:
        desk.frame()
        answers = desk.answers()
        time.sleep(0.001)
    (answer,) = answers
    assert (answer.id, answer.ok) == ("s1", True)
    assert answer.content is not None and answer.content.startswith(b"\xff\xd8")
    assert len(answer.content) <= 50_000
    desk.frame()
    assert desk.answers() == []


def test_a_second_snapshot_is_declined(desk: Desk) -> None:
    desk.errands.take_snapshot(TakeSnapshot("s1", 50_000), desk.clock())
    desk.errands.take_snapshot(TakeSnapshot("s2", 50_000), desk.clock())
    (answer,) = desk.answers()
    assert (answer.id, answer.ok) == ("s2", False) and "ask again" in answer.text


def test_a_snapshot_without_a_camera_says_why(desk: Desk) -> None:
    desk.camera.absent = "/dev/video0 was unplugged"
    desk.errands.take_snapshot(TakeSnapshot("s1", 50_000), desk.clock())
    desk.clock.sleep(10)
    (answer,) = desk.answers()
    assert not answer.ok and answer.text == "no frame came within 3 s: /dev/video0 was unplugged"


def test_a_bench_measures_the_next_frames(desk: Desk) -> None:
    desk.camera.losses.skipped = 5
    desk.errands.run_bench(RunBench("b1", 50), desk.clock())
    for number in range(60):
        if number == 20:
            desk.camera.losses.skipped += 2
        desk.frame()
    (answer,) = desk.answers()
    assert (answer.id, answer.ok, answer.text) == ("b1", True, "50 frames of the live loop")
    bill = json.loads(answer.content or b"")
    assert msgspec.convert(bill, Figures).frames == 50
    assert (bill["frames"], bill["wanted"], bill["fps"]) == (50, 50, 10.0)
    assert (bill["model"], bill["digest"], bill["engine"]) == ("tiny", MODEL.digest, "null")
    assert bill["losses"]["skipped"] == 2
    medians = {stage: spread["p50"] for stage, spread in bill["stages_us"].items()}
    assert medians == {"queue": 1000, "preprocess": 2000, "inference": 3000, "postprocess": 4000,
                       "end_to_end": 10_000}  # fmt: skip
    assert desk.answers() == []


def test_a_bench_that_takes_too_long_tells_what_it_has(desk: Desk) -> None:
    desk.errands.run_bench(RunBench("b1", 50), desk.clock())
    desk.frame()
    desk.frame()
    assert desk.answers() == []
    desk.clock.sleep(PATIENCE_S)
    (answer,) = desk.answers()
    assert answer.ok and answer.text == "2 of 50 frames of the live loop"
    assert json.loads(answer.content or b"")["frames"] == 2


def test_a_bench_without_frames_fails(desk: Desk) -> None:
    desk.errands.run_bench(RunBench("b1", 50), desk.clock())
    desk.clock.sleep(PATIENCE_S)
    (answer,) = desk.answers()
    assert not answer.ok and answer.text == "no frame came within 150 s"


def test_a_bench_of_two_models_is_none(desk: Desk) -> None:
    desk.errands.run_bench(RunBench("b1", 4), desk.clock())
    for digest in (MODEL.digest, MODEL.digest, "ff" * 32, "ff" * 32):
        desk.frame(digest)
    (answer,) = desk.answers()
    assert not answer.ok and "model changed" in answer.text


@pytest.mark.parametrize("frames", [0, -1, 10_001, 2**62])
def test_a_bench_has_bounds(desk: Desk, frames: int) -> None:
    desk.errands.run_bench(RunBench("b1", frames), desk.clock())
    (answer,) = desk.answers()
    assert not answer.ok and "1 to 10000" in answer.text


def test_a_bench_beside_a_bench_or_without_a_camera_is_declined(desk: Desk) -> None:
    desk.errands.run_bench(RunBench("b1", 50), desk.clock())
    desk.errands.run_bench(RunBench("b2", 50), desk.clock())
    (answer,) = desk.answers()
    assert (answer.id, answer.ok) == ("b2", False)
    desk.camera.absent = "unplugged"
    for _ in range(50):
        desk.frame()
    assert [each.id for each in desk.answers()] == ["b1"]
    desk.errands.run_bench(RunBench("b3", 50), desk.clock())
    (answer,) = desk.answers()
    assert not answer.ok and "unplugged" in answer.text


def test_what_is_under_way_at_the_end_is_answered(desk: Desk, agent: Mailbox[FromRuntime]) -> None:
    desk.errands.take_snapshot(TakeSnapshot("s1", 50_000), desk.clock())
    desk.errands.run_bench(RunBench("b1", 50), desk.clock())
    desk.close()
    answers = [agent.receive(), agent.receive()]
    assert [(each.id, each.ok) for each in answers if isinstance(each, Answer)] == [
        ("s1", False),
        ("b1", False),
    ]


def test_the_figures_are_exact() -> None:
    rng = np.random.default_rng(1)
    steps = rng.integers(1, 10_000_000, (777, 4))
    stamps = np.concatenate([np.zeros((777, 1), np.int64), np.cumsum(steps, axis=1)], axis=1)
    stages = stages_of(stamps)
    ordered = np.sort(steps[:, 2])
    assert stages.inference.p50 == ordered[int(np.ceil(0.5 * 777)) - 1] / 1000
    assert stages.inference.p99 == ordered[int(np.ceil(0.99 * 777)) - 1] / 1000
    assert stages.end_to_end.p50 == np.sort(steps.sum(axis=1))[388] / 1000


def test_frames_after_the_last_do_not_count() -> None:
    bench = Bench(1, MODEL, Losses(), 0.0)
    assert bench.outcome(0.0) is None
    bench.show(result_at(100 * MS))
    bench.show(result_at(200 * MS, digest="other"))
    outcome = bench.outcome(0.0)
    assert outcome is not None and outcome.json is not None
    assert json.loads(outcome.json)["fps"] is None
