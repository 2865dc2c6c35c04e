"""A fault at every state of an update: an intact model runs, the end is told, the next comes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.laws.sources import ROOT
from tests.rounds import rounds
from tests.story.fault_cases import OVER
from wire.fault import KINDS
from wire.steps import NAMES, STEPS

pytestmark = pytest.mark.slow
PATIENCE_S = 100.0


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
    """The process that tries cases, some at once; each test waits for its own.

    Where the tests of this file are shared among processes, each of those has one, and what one of
    them has begun is begun by no other: the folder `shared` says so, and what was wrong.
    """

    def __init__(self, module: str, place: Path, shared: Path, cases: list[str]) -> None:
        shared.mkdir(exist_ok=True)
        self._module, self._place, self._shared, self._cases = module, place, shared, cases
        self._process: subprocess.Popen[bytes] | None = None

    def wrong(self, case: str) -> list[str]:
        """What was wrong with how it ended."""
        said = self._shared / f"{case}.wrong"
        process = self._process = self._process or self._begun(case)
        while not said.exists():
            is_over = process.poll() is not None  # then what is missing is tried by another
            assert not process.returncode, (self._place / "errors").read_text()
            time.sleep(0.1 if is_over else 0.02)
        wrong: list[str] = json.loads(said.read_text())
        return wrong

    def _begun(self, case: str) -> subprocess.Popen[bytes]:
        """With this case and those behind it."""
        at = self._cases.index(case)
        words = [str(self._place), str(self._shared), *self._cases[at:], *self._cases[:at]]
        with open(self._place / "errors", "wb") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", self._module, *words], cwd=ROOT, stdin=subprocess.DEVNULL,
                stdout=errors, stderr=errors, start_new_session=True,
            )  # fmt: skip

    def close(self) -> None:
        """Others may wait for what it has begun: that comes to its end, and no more is begun."""
        if self._process is None:
            return
        (self._place / OVER).touch()
        try:
            self._process.wait(PATIENCE_S)
        finally:
            with suppress(ProcessLookupError):  # all that it has started
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def trying(
    request: pytest.FixtureRequest, places: pytest.TempPathFactory, module: str, cases: list[str]
) -> Iterator[Trying]:
    """Those of the cases that are to be tried in this run."""
    wanted = {item.name.partition("[")[2].rstrip("]") for item in request.session.items}
    wanted_cases = [case for case in cases if case in wanted]
    own = places.getbasetemp()
    run = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    tried = Trying(module, places.mktemp("lives"), run / module, wanted_cases)
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
