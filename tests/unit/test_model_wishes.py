"""What the agent wishes of models: one at a time, each answered once, however long it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from models.store import Store
from runtime.agent_line import ANSWER_S
from runtime.engines import EngineOptions
from runtime.loader import Loader
from runtime.model_wishes import HUNG_S, PATIENCE_S, RECONSIDER_S, ModelWishes
from runtime.sources import Sources
from runtime.takeover import Takeover
from tests.unit.test_reporting import OLD, Desk
from wire.local import Answer, CheckModel, CheckReport, LoadModel, LoadReport
from wire.troubles import Refused, Unavailable

DIGEST = "cd" * 32
REPORT = CheckReport("tiny", "4", "null", 1, 2.0, 3.0, 4.0)


class SlowTakeover(Takeover):
    """Does nothing until it is let go."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        sources = Sources(Store(folder), "door", None, "null", EngineOptions(), desk.said.append)
        super().__init__(desk.loop, sources, None, desk.said.append)
        self.go, self.began = threading.Event(), threading.Event()
        self.error: Exception | None = None
        self.was_over: list[bool] = []

    def check(self, digest: str) -> CheckReport:
        self.began.set()
        self.go.wait(60)
        if self.error is not None:
            raise self.error
        return REPORT

    def load(self, digest: str | None, is_over: Callable[[], bool]) -> LoadReport:
        self.began.set()
        self.go.wait(60)
        self.was_over.append(is_over())
        return LoadReport(digest or "", 1.0)


class Wished:
    """A pipeline by hand whose reporter has somebody for such wishes."""

    def __init__(self, folder: Path) -> None:
        (folder / "run").mkdir()
        self.desk = Desk(folder / "run")
        self.takeover = SlowTakeover(self.desk, folder / "models")
        self.loader = Loader(self.desk.loop, "null", EngineOptions(), self.desk.said.append)
        self.wishes = ModelWishes(self.desk.line, self.loader, self.takeover)
        self.desk.reporter.wishes = self.wishes
        self.answers: list[Answer] = []

    def turn(self, seconds: float = 0.1) -> list[Answer]:
        """What was answered until now."""
        self.desk.run(seconds)
        self.answers += [each for each in self.desk.heard() if isinstance(each, Answer)]
        return self.answers

    def answer(self, id: str) -> Answer:
        for _ in range(3000):
            for each in self.turn():
                if each.id == id:
                    return each
            time.sleep(0.005)
        raise AssertionError(f"{id} is not answered: {self.answers}")

    def close(self) -> None:
        self.takeover.go.set()
        self.desk.close()
        self.loader.close()


@pytest.fixture
def wished(tmp_path: Path) -> Iterator[Wished]:
    wished = Wished(tmp_path)
    yield wished
    wished.close()


def test_a_report_is_the_content_of_the_answer(wished: Wished) -> None:
    wished.takeover.go.set()
    wished.desk.wish(CheckModel("1", DIGEST))
    answer = wished.answer("1")
    assert answer.ok and msgspec.json.decode(answer.content or b"", type=CheckReport) == REPORT
    wished.desk.wish(LoadModel("2", DIGEST))
    answer = wished.answer("2")
    assert msgspec.json.decode(answer.content or b"", type=LoadReport).digest == DIGEST
    assert wished.takeover.was_over == [False]


def test_the_loop_goes_on_meanwhile_and_others_are_declined(wished: Wished) -> None:
    wished.desk.wish(LoadModel("1", DIGEST))
    wished.turn(1)
    wished.desk.wish(LoadModel("2", None))
    answer = wished.answer("2")
    assert not answer.ok and answer.text.startswith(f"busy: {DIGEST[:12]} is being loaded")
    assert answer.later, "it says nothing of the model"
    assert wished.desk.reporter.frames > 10
    wished.takeover.go.set()
    assert wished.answer("1").ok
    wished.desk.wish(LoadModel("3", None))
    assert wished.answer("3").ok


@pytest.mark.parametrize(
    ("error", "later"),
    [
        (Refused("it is bad"), False),
        (Unavailable("no memory is free"), True),
        (OSError(28, "disk full"), True),
        (MemoryError(), True),
    ],
)
def test_a_failure_is_told_in_words(wished: Wished, error: Exception, later: bool) -> None:
    wished.takeover.error = error
    wished.takeover.go.set()
    wished.desk.wish(CheckModel("1", DIGEST))
    answer = wished.answer("1")
    assert not answer.ok and answer.text and answer.content is None
    assert answer.later == later, "only what is bad itself is rejected"


def test_one_that_takes_too_long_is_given_up_and_does_not_come_later(wished: Wished) -> None:
    wished.desk.wish(LoadModel("1", DIGEST))
    wished.turn(1)
    assert wished.takeover.began.wait(30)
    wished.desk.clock.sleep(PATIENCE_S)
    answer = wished.answer("1")
    assert not answer.ok and "nobody waits for it" in answer.text
    wished.desk.wish(LoadModel("2", DIGEST))
    assert wished.answer("2").text.startswith("busy")
    wished.takeover.go.set()
    for number in range(3, 3000):
        wished.desk.wish(LoadModel(str(number), DIGEST))
        if wished.answer(str(number)).ok:
            break
        time.sleep(0.005)
    assert wished.takeover.was_over == [True, False]
    assert [each.ok for each in wished.answers if each.id == "1"] == [False], "answered once"


def test_the_end_of_the_pipeline_is_its_answer(wished: Wished) -> None:
    wished.desk.wish(CheckModel("1", DIGEST))
    wished.turn(ANSWER_S)
    wished.desk.reporter.close()
    assert wished.turn(0)[-1] == Answer("door", "1", False, "the pipeline ends", later=True)


def test_trouble_is_looked_at_again_now_and_then(wished: Wished) -> None:
    looked: list[float] = []
    wished.takeover.reconsider = lambda: looked.append(1)  # type: ignore[method-assign]
    wished.turn(2 * RECONSIDER_S)
    wished.takeover.trouble = "model ab was not loaded"
    wished.turn(RECONSIDER_S - 1)
    done = threading.Event()
    wished.loader.do(done.set)
    assert done.wait(30) and looked == []
    wished.turn(2 * RECONSIDER_S)
    done.clear()
    wished.loader.do(done.set)
    assert done.wait(30) and len(looked) == 2


def test_a_bug_ends_the_process(wished: Wished) -> None:
    wished.takeover.error = ZeroDivisionError("a bug")
    wished.takeover.go.set()
    wished.desk.wish(CheckModel("1", DIGEST))
    with pytest.raises(ZeroDivisionError):
        wished.answer("1")
    wished.loader.bug = None


def test_until_there_is_a_loader_they_are_declined(wished: Wished) -> None:
    wished.desk.reporter.wishes = None
    wished.desk.wish(LoadModel("1", OLD.digest))
    assert "still starting" in wished.answer("1").text


def test_a_loader_that_hangs_ends_the_process(wished: Wished) -> None:
    """Nobody could have a model checked or loaded by it any more."""
    wished.wishes.take(CheckModel("c1", DIGEST), 0.0)
    assert wished.takeover.began.wait(20)
    wished.wishes.tick(PATIENCE_S + 1)
    wished.wishes.tick(HUNG_S - 1)
    with pytest.raises(RuntimeError, match="its thread hangs"):
        wished.wishes.tick(HUNG_S)
