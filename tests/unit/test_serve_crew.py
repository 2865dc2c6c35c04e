"""The crew of the server: who dies is said, and begun again; the others go on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fleet.actions.office import Clerk, Office
from fleet.actions.place import ServedFolder
from fleet.offering.offering import CONNECT_S
from fleet.registry.registry import open_registry
from fleet.registry.words import Service
from fleet.serve import crew as crew_module
from fleet.serve import crew_parts
from fleet.serve.crew import Crew
from fleet.serve.crew_parts import IngestElsewhere
from wire.config import Broker
from wire.troubles import Unavailable

PATIENCE_S = 30.0


class Steps:
    """A part that does in each step what it is told. closed: how often it was given back."""

    def __init__(self, deed: Callable[[], None] = lambda: None) -> None:
        self.deed = deed
        self.steps = 0
        self.closed = 0
        self.wrong: str | None = None

    def step(self) -> None:
        self.steps += 1
        self.deed()
        time.sleep(0.01)

    def status(self) -> str:
        return f"{self.steps} steps"

    def trouble(self) -> str | None:
        return self.wrong

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> Iterator[Crew]:
    monkeypatch.setattr(crew_module, "MOST_WAIT_S", 0.05)
    monkeypatch.setattr(logging.getLogger("vedette"), "propagate", True)
    found = Crew()
    yield found
    found.close()


def wait_for(what: str, is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end_s, what
        time.sleep(0.005)


def status(crew: Crew, name: str) -> tuple[str, str]:
    (found,) = (each for each in crew.states() if each.name == name)
    return found.status, found.words


def test_a_bug_of_one_part_is_said_and_it_is_begun_again(
    crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    parts: list[Steps] = []

    def begin() -> Steps:
        def fail() -> None:
            raise ZeroDivisionError("a bug")

        parts.append(Steps(fail if len(parts) < 2 else lambda: None))
        return parts[-1]

    other = Steps()
    crew.add("good", lambda: other)
    crew.add("bad", begin)
    wait_for("a third begin", lambda: len(parts) == 3 and parts[2].steps > 2)
    wait_for("work", lambda: status(crew, "bad")[0] == "working")
    assert [part.closed for part in parts] == [1, 1, 0]
    assert "ZeroDivisionError" in caplog.text
    assert other.closed == 0
    assert status(crew, "good")[0] == "working"


def test_what_cannot_begin_says_why_and_is_tried_again(crew: Crew) -> None:
    is_there = threading.Event()

    def begin() -> Steps:
        if not is_there.is_set():
            raise Unavailable("the folder is somebody else's")
        return Steps()

    crew.add("depot", begin)
    wait_for("words", lambda: status(crew, "depot") == ("broken", "the folder is somebody else's"))
    is_there.set()
    wait_for("work", lambda: status(crew, "depot")[0] == "working")


def test_a_trouble_of_a_part_that_runs(crew: Crew) -> None:
    part = Steps()
    crew.add("ingest", lambda: part)
    wait_for("work", lambda: status(crew, "ingest")[0] == "working")
    part.wrong = "no broker"
    wait_for("trouble", lambda: status(crew, "ingest") == ("broken", "no broker"))
    (since_s,) = (each.since_s for each in crew.states())
    steps = part.steps
    wait_for("more steps", lambda: part.steps > steps + 3)
    assert [each.since_s for each in crew.states()] == [since_s]  # since then, not since now
    part.wrong = None
    wait_for("work", lambda: status(crew, "ingest")[0] == "working")
    assert part.closed == 0


def test_all_end(crew: Crew) -> None:
    parts = [Steps() for _ in range(3)]
    for number, part in enumerate(parts):
        crew.add(str(number), lambda part=part: part)  # type: ignore[misc]
    wait_for("work", lambda: all(each.status == "working" for each in crew.states()))
    crew.close()
    assert [part.closed for part in parts] == [1, 1, 1]
    assert {each.status for each in crew.states()} == {"ended"}


def test_who_does_not_end_is_left_behind(
    crew: Crew, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(crew_module, "END_S", 0.2)
    held = threading.Event()
    crew.add("stuck", lambda: Steps(lambda: held.wait(PATIENCE_S) and None))
    wait_for("a begin", lambda: status(crew, "stuck")[0] in ("starting", "working"))
    time.sleep(0.05)
    began_s = time.monotonic()
    crew.close()
    assert time.monotonic() - began_s < PATIENCE_S / 2
    assert "does not end" in caplog.text
    held.set()


def test_who_waits_for_something_is_woken_to_end(
    crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    woken = threading.Event()

    def begin() -> Steps:
        assert woken.wait(PATIENCE_S)
        raise Unavailable("it was ended")

    crew.add("waits", begin, woken.set)
    crew.close()
    wait_for("the end", lambda: status(crew, "waits")[0] == "ended")
    assert caplog.messages == []


def test_a_broker_that_never_answers_does_not_hold_up_the_end(tmp_path: Path) -> None:
    office = Office(ServedFolder(tmp_path, "yard", Broker(url="mqtt://127.0.0.1:9")), None)
    begun = threading.Event()
    ended: list[str] = []

    def clerk() -> None:
        begun.set()
        try:
            Clerk(office)
        except Unavailable as error:
            ended.append(str(error))

    thread = threading.Thread(target=clerk)
    thread.start()
    assert begun.wait(PATIENCE_S)
    office.end()
    thread.join(CONNECT_S / 2)
    assert ended == ["it was ended: this program stops"]
    thread.join()


@pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0])
def test_ingest_elsewhere_is_there_while_it_says_something_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead_s: float
) -> None:
    """By our clock: that of its machine may be wrong."""
    monkeypatch.setattr(crew_parts, "SILENT_S", 3.0)
    monkeypatch.setattr(crew_parts, "ASK_S", 0.0)
    monkeypatch.setattr(crew_parts, "STEP_S", 0.02)
    with closing(open_registry(f"sqlite:///{tmp_path / 'r.db'}")) as registry:
        part = IngestElsewhere(registry)
        end_s = time.monotonic() + 30
        for is_there in (True, False, True):
            while (part.trouble() is None) is not is_there:
                assert time.monotonic() < end_s
                if is_there:
                    registry.report(Service("ingest", "a", time.time() + ahead_s, "works"))
                part.step()
        part.close()
