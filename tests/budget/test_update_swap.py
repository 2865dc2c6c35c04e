"""An update beside the live loop: checked in a child, loaded, swapped; what it costs frames."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from models import bundle
from models.store import Store
from runtime.agent_line import AgentLine
from runtime.cameras import make_camera
from runtime.cameras.patient import PatientCamera
from runtime.engines import EngineOptions
from runtime.loader import Loader
from runtime.loop import Loop, Result
from runtime.model_wishes import ModelWishes
from runtime.reporting import Pipeline, Reporter
from runtime.sources import Source, Sources
from runtime.takeover import Takeover
from tests.budget.bill import TRIES, mobilenet
from tests.graphs import cached, tflite_network
from wire.local import (
    Answer,
    CheckModel,
    FromAgent,
    LoadModel,
    LoadReport,
    agent_mailbox,
    pipeline_socket,
)
from wire.messages import PipelineSettings

pytestmark = pytest.mark.budget

PERIOD_S = 1 / 30
PATIENCE_S = 60.0
CAMERA = "synthetic://640x480@30"
MANIFEST = """\
schema = 1
name = "mobilenet"
version = "2"
task = "raw"
format = "tflite"
file = "m.tflite"
[input]
width = 224
height = 224
colour = "rgb"
layout = "NHWC"
dtype = "int8"
mean = [127.5]
std = [127.5]
scale = 0.00784313772
zero_point = -1
"""


@dataclass
class Run:
    """What was seen of one update. lost: frames that were overtaken or that the driver misses."""

    results: list[Result] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    lost: int = 0

    @property
    def gap(self) -> float:
        """The longest between two results, in periods of the camera."""
        ends = [result.timing.decoded_ns for result in self.results[5:]]
        return max((b - a) / 1e9 for a, b in itertools.pairwise(ends)) / PERIOD_S

    @property
    def is_whole(self) -> bool:
        seqs = [result.seq for result in self.results]
        return self.lost == 0 and seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def deployed(folder: Path, store: Store) -> str:
    """Another MobileNet, installed."""
    after = cached("mobilenet_seed1.tflite", lambda path: tflite_network.mobilenet_v2(path, seed=1))
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (model / "manifest.toml").write_text(MANIFEST)
    (model / "m.tflite").write_bytes(after.read_bytes())
    bundle.pack(model, folder / "m.zip")
    return store.install(folder / "m.zip")


def updated(folder: Path, digest: str, store: Store) -> Run:
    """Frames flow; the agent wishes a check, then a load; a second later it is over."""
    run = Run()
    options = EngineOptions(threads=1)
    with ExitStack() as stack:
        agent = agent_mailbox(folder)
        stack.callback(agent.close)
        sources = Sources(store, "door", mobilenet(), None, options, lambda _: None)
        own = Source(mobilenet(), None)
        model = sources.open(own)
        camera = PatientCamera(make_camera(CAMERA))
        camera.aim = model.aim
        line = AgentLine(folder, "door", print)
        settings = PipelineSettings("every", 30)
        reporter = Reporter(
            Pipeline("door", CAMERA), camera, lambda: loop.model, settings, line, model
        )
        stack.callback(reporter.close)

        def emit(result: Result) -> None:
            reporter.emit(result)
            run.results.append(result)

        loop = Loop(camera, model, emit, reporter.glance)
        loader = Loader(loop, None, options, print)
        stack.callback(loader.close)
        takeover = Takeover(loop, sources, own, lambda _: None)
        reporter.wishes = ModelWishes(line, loader, takeover)
        stack.callback(camera.stop)
        camera.start()
        wishes: list[FromAgent] = [CheckModel("1", digest), LoadModel("2", digest)]
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            loop.step(1)
            reporter.tick()
            while (message := agent.receive()) is not None:
                if isinstance(message, Answer):
                    run.answers.append(message)
            if len(run.results) >= 15 and wishes and len(run.answers) == 2 - len(wishes):
                assert agent.send(pipeline_socket(folder, "door"), wishes.pop(0))
            if len(run.answers) == 2:
                end_s = min(end_s, time.monotonic() + 1.0)
        run.lost = camera.losses.skipped + camera.losses.driver
    return run


@pytest.mark.slow
def test_an_update_costs_no_frame_and_nobody_sees_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longest gap between results <= 2 periods, from the wish for a check to the new results."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(tmp_path / "models")
    digest = deployed(tmp_path, store)
    seen = []
    for number in range(TRIES):
        (folder := tmp_path / str(number)).mkdir()
        run = updated(folder, digest, store)
        assert [each.ok for each in run.answers] == [True, True], run.answers
        loaded = msgspec.json.decode(run.answers[1].content or b"", type=LoadReport)
        assert loaded.gap_s is None
        assert {result.digest for result in run.results[-20:]} == {digest}
        assert len({result.digest for result in run.results}) == 2
        seen.append((round(run.gap, 2), run.lost, round(loaded.seconds, 3)))
        print(seen[-1])
        if run.is_whole and run.gap <= 2:
            return
    raise AssertionError(f"frames lost, or gaps too long: periods, lost, seconds to load: {seen}")
