"""A fault at every state of an update: an intact model runs, the end is told, the next comes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.laws.sources import ROOT
from tests.rounds import rounds
from wire.fault import KINDS
from wire.steps import NAMES, STEPS

pytestmark = pytest.mark.slow


def scenario(state: str) -> str:
    """In which this state is come to."""
    if state.startswith("reject."):
        return "reject"
    return "roll_back" if state.startswith(("roll_back.", "end.")) else "good"


CASES = [
    f"{scenario(step.name)}:{step.name}:{kind}"
    for step in STEPS
    if step.who.startswith("agent")
    for kind in KINDS
]
# Each takes some seconds of a processor: the others by VEDETTE_TEST_ROUNDS=2.
OFTEN = ("kill", "error", "trial.result:hang", "load.counted:hang", "check.in_child:hang")
OF_RUNTIMES = [
    case
    for step in STEPS
    if step.who.startswith("runtime")
    for kind in KINDS
    if (case := f"{step.name}:{kind}") and (rounds(1) > 1 or {kind, case} & {*OFTEN})
]


class Trying:
    """The process that tries cases, one after the other; each test waits for its own."""

    def __init__(self, module: str, place: Path, cases: Sequence[str]) -> None:
        self._errors = open(place / "errors", "w+")  # noqa: SIM115 - closed below
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, str(place), *cases], cwd=ROOT, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors,
            start_new_session=True,
        )  # fmt: skip
        self._wrong: dict[str, list[str]] = {}

    def wrong(self, case: str) -> list[str]:
        """What was wrong with how it ended."""
        assert self._process.stdout is not None
        while case not in self._wrong:
            line = self._process.stdout.readline()
            assert line, Path(self._errors.name).read_text()
            said = json.loads(line)
            self._wrong[said["case"]] = said["wrong"]
        return self._wrong[case]

    def close(self) -> None:
        with suppress(ProcessLookupError):  # all that it has started
            os.killpg(self._process.pid, signal.SIGKILL)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process.wait()
        self._errors.close()


def trying(
    request: pytest.FixtureRequest, places: pytest.TempPathFactory, module: str, cases: list[str]
) -> Iterator[Trying]:
    """Those of the cases that are to be tried in this run."""
    wanted = {item.name.partition("[")[2].rstrip("]") for item in request.session.items}
    tried = Trying(module, places.mktemp("lives"), [case for case in cases if case in wanted])
    yield tried
    tried.close()


@pytest.fixture(scope="module")
def agent(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trying]:
    yield from trying(request, tmp_path_factory, "tests.story.fault_lives", CASES)


@pytest.mark.parametrize("case", CASES)
def test_of_the_agent(case: str, agent: Trying) -> None:
    assert agent.wrong(case) == []


@pytest.fixture(scope="module")
def runtimes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trying]:
    yield from trying(request, tmp_path_factory, "tests.story.fault_runtimes", OF_RUNTIMES)


@pytest.mark.parametrize("case", OF_RUNTIMES)
def test_of_the_runtime(case: str, runtimes: Trying) -> None:
    assert runtimes.wrong(case) == []


def test_every_state_is_tried() -> None:
    tried = {case.split(":")[1] for case in CASES} | {case.split(":")[0] for case in OF_RUNTIMES}
    assert tried == NAMES
