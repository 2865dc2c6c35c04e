"""What the agent is told of a pipeline: totals in time, results, answers; and what it may wish."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.agent_line import ANSWER_S, AgentLine
from runtime.loop import NO_MODEL, Loop, Model
from runtime.publishing import Publisher
from runtime.reporting import Pipeline, Reporter, rss_bytes
from runtime.tasks import Class
from tests.by_hand import HandCamera, HandClock, grey, model_of, result_at
from tests.unit.test_zones import FLOOR, box
from tests.walking import result_of
from wire.local import (
    Answer,
    Apply,
    Found,
    FromAgent,
    FromRuntime,
    Leave,
    Mailbox,
    RunBench,
    Totals,
    agent_mailbox,
    agent_socket,
    pipeline_mailbox,
    pipeline_socket,
)
from wire.messages import PipelineSettings, Scores
from wire.results import Result
from wire.troubles import Refused, Unavailable

OFF = PipelineSettings(results="off")
OLD, NEW = model_of(digest="aa" * 32), model_of(digest="bb" * 32)


class Desk:
    """A loop by hand with its reporter, and the agent's mailbox."""

    def __init__(self, folder: Path, settings: PipelineSettings = OFF) -> None:
        self.folder = folder
        self.clock = HandClock()
        self.camera = HandCamera(self.clock)
        self.said: list[str] = []
        self.line = AgentLine(folder, "door", self.said.append)
        self.reporter = Reporter(
            Pipeline("door", "hand://"),
            self.camera,
            self._model,
            settings,
            self.line,
            OLD,
            self.clock.ns,
        )
        self.loop = Loop(self.camera, OLD, self.reporter.emit, self.reporter.glance, self.clock.ns)
        self.camera.start()
        self.agent: Mailbox[FromRuntime] | None = agent_mailbox(folder)

    def _model(self) -> Model:
        return self.loop.model

    def run(self, seconds: float, fps: float = 10) -> None:
        for _ in range(round(seconds * fps)):
            self.camera.frames.append(grey())
            assert self.loop.step(0)
            self.clock.sleep(1 / fps)
            self.reporter.tick()

    def idle(self, seconds: float) -> None:
        for _ in range(round(seconds * 2)):
            self.loop.step(0.5)
            self.reporter.tick()

    def wish(self, message: FromAgent) -> None:
        assert self.agent is not None
        assert self.agent.send(pipeline_socket(self.folder, "door"), message)

    def heard(self) -> list[FromRuntime]:
        got: list[FromRuntime] = []
        while self.agent is not None and (message := self.agent.receive()) is not None:
            got.append(message)
        return got

    def totals(self) -> list[Totals]:
        return [each for each in self.heard() if isinstance(each, Totals)]

    def leave(self) -> None:
        """No agent any more."""
        if self.agent is not None:
            self.agent.close()
            self.agent = None

    def close(self) -> None:
        self.reporter.close()
        self.leave()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def test_totals_come_every_ten_seconds_and_grow(desk: Desk) -> None:
    desk.run(61)
    totals = desk.totals()
    assert [each.seconds for each in totals[1:]] == pytest.approx([10, 20, 30, 40, 50, 60], abs=1)
    last = totals[-1]
    assert last.frames == pytest.approx(600, abs=3)
    assert last.stages.end_to_end.count == last.stages.queue.count == last.frames
    assert {each.run for each in totals} == {last.run} and len(last.run) == 16
    assert [each.frames for each in totals] == sorted(each.frames for each in totals)
    assert (last.pipeline, last.model, last.version, last.engine) == ("door", "tiny", "3", "null")
    assert (last.camera, last.phase, last.absent) == ("hand://", "serving", None)
    assert last.settings == OFF and last.rss_bytes and last.rss_bytes > 1e6


def test_the_camera_losses_are_in_them(desk: Desk) -> None:
    desk.camera.losses.skipped, desk.camera.losses.driver = 3, 4
    desk.camera.losses.decode, desk.camera.losses.refused = 5, 6
    desk.run(1)
    losses = desk.totals()[-1].losses
    assert (losses.skipped, losses.driver, losses.decode, losses.refused) == (3, 4, 5, 6)


def test_a_change_of_phase_is_said_at_once(desk: Desk) -> None:
    desk.idle(1)
    desk.run(1)
    desk.camera.absent = "unplugged\n\x1b[2J" + "x" * 5000
    desk.idle(1)
    desk.camera.absent = None
    desk.run(1)
    said = [(each.phase, each.absent and each.absent[:12]) for each in desk.totals()]
    assert said == [
        ("starting", None),
        ("serving", None),
        ("no_camera", "unplugged [2"),
        ("serving", None),
    ]


def test_no_totals_hold_the_counts_of_two_models_without_saying_so(desk: Desk) -> None:
    """The last totals of the old model have all its frames: a window can be cut between them."""
    desk.run(13)
    desk.heard()
    desk.loop.swap(NEW)
    desk.run(0.2)
    before, after = desk.totals()
    assert (before.digest, before.frames) == (OLD.digest, 130)
    assert after.digest == NEW.digest and after.frames > 130


def test_without_a_model_that_is_said_and_the_old_ones_counts_before(desk: Desk) -> None:
    desk.run(13)
    desk.heard()
    desk.loop.swap(NO_MODEL)
    for _ in range(25):
        desk.loop.step(0)
        desk.clock.sleep(1)
        desk.reporter.tick()
    last, *waiting = desk.totals()
    assert (last.digest, last.frames, last.phase) == (OLD.digest, 130, "serving")
    assert [each.phase for each in waiting] == ["no_model"] * 3, "at once, and every ten seconds"
    empty = {(each.model, each.version, each.digest, each.engine) for each in waiting}
    assert empty == {("", "", "", "")} and waiting[-1].frames == 130
    desk.loop.swap(NEW)
    desk.loop.step(0)
    desk.run(1)
    before, after = desk.totals()[-2:]
    assert (before.digest, before.frames, before.phase) == ("", 130, "starting")
    assert (after.digest, after.phase) == (NEW.digest, "serving")


def test_scores_are_added_up_and_never_begin_anew(desk: Desk) -> None:
    desk.run(11)
    desk.loop.swap(NEW)
    desk.run(11)
    last = desk.reporter.totals()
    assert last.scores == Scores(last.frames, float(last.frames), 0) and last.frames == 220


def test_zones_and_lines_are_told_to_the_agent(desk: Desk) -> None:
    desk.reporter.emit(result_of((box(0.8),), 1.0, OLD.digest))
    desk.reporter.tick()
    assert desk.totals()[-1].places is None
    desk.reporter.observe(FLOOR)
    for k, x in enumerate((0.54, 0.52, 0.5, 0.48, 0.46, 0.44)):
        desk.reporter.emit(result_of((box(x),), 2.0 + k / 10, OLD.digest))
    desk.clock.sleep(10)
    desk.reporter.tick()
    told = desk.totals()[-1].places
    assert told is not None and told.inside == {"left": 1}
    assert {(each.where, each.way, each.count) for each in told.passed} == {
        ("left", "entered", 1), ("middle", "west", 1),
    }  # fmt: skip


def test_the_last_word_is_that_it_ended(desk: Desk) -> None:
    desk.run(3)
    desk.heard()
    desk.reporter.close()
    (last,) = desk.totals()
    assert (last.phase, last.frames) == ("ended", 30)
    desk.reporter.close()


def test_results_are_published(tmp_path: Path) -> None:
    desk = Desk(tmp_path, PipelineSettings("every", 2))
    desk.run(5)
    found = [each.result for each in desk.heard() if isinstance(each, Found)]
    assert len(found) in (10, 11)
    assert (found[0].pipeline, found[0].model, found[0].found[0].label) == ("door", "tiny", "zero")
    desk.close()


def test_settings_are_used_and_said_also_when_nothing_changed(desk: Desk) -> None:
    desk.run(1)
    desk.heard()
    for settings in (PipelineSettings("every", 30), PipelineSettings("every", 30)):
        desk.wish(Apply(settings))
        desk.run(0.3)
        said = desk.heard()
        assert [each.settings for each in said if isinstance(each, Totals)] == [settings]
    assert any(isinstance(each, Found) for each in said)


def test_leaving_is_answered_and_then_done(desk: Desk) -> None:
    desk.wish(Leave("7"))
    desk.run(0.1)
    assert desk.reporter.is_leaving
    assert Answer("door", "7", True, "it ends now") in desk.heard()


def test_no_agent_is_no_trouble_and_nothing_is_counted(desk: Desk) -> None:
    desk.leave()
    desk.run(100)
    desk.agent = agent_mailbox(desk.folder)
    desk.run(11)
    assert desk.totals()[-1].unsent == 0 and desk.said == []


def test_an_agent_that_does_not_read_is_counted(desk: Desk) -> None:
    desk.reporter.apply(PipelineSettings("every", 30))
    desk.run(200)
    sent = desk.heard()
    results = sum(isinstance(each, Found) for each in sent)
    assert desk.reporter.frames == 2000 and results < 1000
    assert desk.line.unsent >= 2000 - results
    desk.run(0.2)
    desk.heard()
    desk.run(0.2)
    desk.reporter.apply(OFF)
    desk.run(0.2)
    assert desk.totals()[-1].unsent >= 2000 - results


def test_answers_wait_a_while_for_room(desk: Desk) -> None:
    assert desk.agent is not None
    stuffed = 0
    while desk.line.send(Found(found_result())):
        stuffed += 1
    desk.wish(RunBench("b1", 3))
    desk.run(1)
    assert not any(isinstance(each, Answer) for each in desk.heard()[:stuffed])
    desk.run(0.2)
    assert [each.id for each in desk.heard() if isinstance(each, Answer)] == ["b1"]
    while desk.line.send(Found(found_result())):
        pass
    desk.wish(RunBench("b2", 3))
    desk.run(ANSWER_S + 2)
    desk.heard()
    desk.run(1)
    assert not any(isinstance(each, Answer) for each in desk.heard()), "too late to be of use"


def test_what_drivers_say_cannot_hinder_an_answer(desk: Desk) -> None:
    desk.camera.absent = "/dev/\udcff\x1b[2J" + "x" * 9999
    desk.wish(RunBench("b1", 50))
    desk.idle(1)
    (answer,) = [each for each in desk.heard() if isinstance(each, Answer)]
    assert len(answer.text) == 1000 and answer.text.startswith("there is nothing to measure: /dev/")


def found_result() -> Result:
    publisher = Publisher("door", PipelineSettings("every", 30))
    chosen = publisher.choose(result_at(10**12, (Class(0, "x", 1.0),)), OLD)
    assert chosen is not None
    return chosen


def test_garbage_in_the_mailbox_changes_nothing(desk: Desk) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        for number in range(5):
            stranger.sendto(b"\xff" * number, str(pipeline_socket(desk.folder, "door")))
    desk.wish(Leave("7"))
    desk.run(0.2)
    assert desk.reporter.is_leaving, "garbage does not hide what comes after it"


def test_a_folder_that_vanishes_is_made_again(desk: Desk) -> None:
    desk.run(1)
    desk.leave()
    shutil.rmtree(desk.folder)
    desk.run(21)
    assert pipeline_socket(desk.folder, "door").is_socket()
    desk.agent = agent_mailbox(desk.folder)
    desk.run(11)
    assert desk.totals()[-1].frames > 220


def test_a_folder_that_cannot_be_used_is_said_once_and_its_return_once(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.write_text("in the way")
    said: list[str] = []
    line = AgentLine(folder, "door", said.append)
    line.keep_open()
    line.keep_open()
    assert len(said) == 1 and "--run" in said[0]
    assert not line.send(Found(found_result()))
    folder.unlink()
    line.keep_open()
    assert len(said) == 2 and "reporting to the agent" in said[1]
    assert pipeline_socket(folder, "door").is_socket()
    line.close()


def test_a_folder_that_is_closed_to_us_ends_nothing(nobody: None) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        said: list[str] = []
        line = AgentLine(folder, "door", said.append)
        folder.chmod(0o000)
        line.keep_open()
        assert len(said) == 1 and "nothing is reported to an agent any more" in said[0]
        folder.chmod(0o700)
        line.keep_open()
        assert len(said) == 2 and pipeline_socket(folder, "door").is_socket()
        line.close()


def test_a_pipeline_that_runs_twice_is_refused(tmp_path: Path) -> None:
    other = pipeline_mailbox(tmp_path, "door")
    with pytest.raises(Unavailable, match="is it running twice"):
        AgentLine(tmp_path, "door", print)
    other.close()
    with pytest.raises(Refused, match="shorter run folder"):
        AgentLine(tmp_path / ("x" * 100), "door", print)


def test_memory_is_what_the_kernel_says() -> None:
    rss = rss_bytes()
    assert rss is not None and 5e6 < rss < 5e9


def test_addresses_do_not_meet(tmp_path: Path) -> None:
    assert agent_socket(tmp_path) != pipeline_socket(tmp_path, "agent")


def test_a_model_that_took_over_is_named_before_its_first_frame(desk: Desk) -> None:
    desk.run(1)
    desk.totals()
    desk.loop.swap(NEW)
    desk.idle(1)  # the camera gives nothing
    first, *_, last = desk.totals()
    assert (first.digest, last.digest) == (OLD.digest, NEW.digest)
    assert first.frames == last.frames == 10
