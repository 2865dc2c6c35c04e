"""jetson-stats: its figures are taken, and its service may be missing, lie or hang."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.boards.generic import Generic
from agent.boards.jetson import Jetson, connect, open_jtop
from agent.boards.jetson_stats import FRESH_S, Figures, Jtop, figures_of
from tests.trees.unpack import unpack

PATIENCE_S = 20.0
# as jtop 4 gives it for an Orin
STATS = {
    "time": object(),
    "jetson_clocks": "OFF",
    "nvp model": "MAXN",
    "CPU1": 12,
    "RAM": 0.41,
    "GPU": 53.2,
    "Fan pwmfan0": 39.6,
    "Temp CPU": 49.7,
    "Power VDD_SOC": 1594,
    "Power TOT": 7787,
}
FIGURES = Figures(53.2, {"VDD_SOC": 1594.0, "TOT": 7787.0}, 39.6, "MAXN")


class Service:
    """A client of jtop that gives what it is told, then does what it is told."""

    def __init__(self, readings: int, then: Callable[[], bool]) -> None:
        self._left = readings
        self._then = then
        self.stats = dict(STATS)

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Nothing is open."""

    def ok(self) -> bool:
        self._left -= 1
        return True if self._left >= 0 else self._then()


@pytest.fixture
def over() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def test_the_figures_of_a_reading() -> None:
    assert figures_of(STATS) == FIGURES
    assert figures_of({}) == Figures()
    assert figures_of({"GPU1": 7}).gpu_percent == 7.0


KEYS = st.sampled_from(["GPU", "GPU1", "fan", "Fan pwmfan0", "Power TOT", "nvp model", "x"])
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())
)


@given(st.dictionaries(KEYS, VALUES))
def test_whatever_it_says_is_checked(stats: dict[str, object]) -> None:
    figures = figures_of(stats)
    for share in (figures.gpu_percent, figures.fan_percent):
        assert share is None or 0 <= share <= 100
    assert figures.power_mode is None or figures.power_mode.isprintable()


def test_a_service_that_hangs_delays_nobody_and_gets_old(over: threading.Event) -> None:
    now_s = [0.0]
    jtop = Jtop(lambda: Service(1, over.wait), lambda: now_s[0])
    wait_for(lambda: jtop.latest() == FIGURES)
    now_s[0] = FRESH_S + 1
    assert jtop.latest() == Figures()


def test_a_service_that_never_answers(over: threading.Event) -> None:
    def connect() -> Service:
        over.wait()
        raise OSError("too late")

    before = time.monotonic()
    assert Jtop(connect, retry_s=60).latest() == Figures()
    assert time.monotonic() - before < 5


def test_a_service_that_breaks_is_asked_again(over: threading.Event) -> None:
    calls = []

    def connect() -> Service:
        calls.append(1)
        if len(calls) < 3:
            raise EOFError
        return Service(1, over.wait)

    jtop = Jtop(connect, retry_s=0.01)
    wait_for(lambda: jtop.latest() == FIGURES)
    assert len(calls) == 3


def test_a_missing_package_is_asked_for_once() -> None:
    calls = []

    def connect() -> Service:
        calls.append(1)
        raise ImportError("jtop")

    jtop = Jtop(connect, retry_s=0.001)
    wait_for(lambda: not jtop.is_asking())
    assert (len(calls), jtop.latest()) == (1, Figures())


def test_sysfs_comes_first_and_jetson_stats_fills_what_is_missing(tmp_path: Path) -> None:
    unpack("orin-nano", tmp_path)
    asked = []

    def fake() -> Jtop:
        asked.append(1)
        return Jtop(lambda: Service(10**9, bool))

    board = Jetson(Generic("Orin", tmp_path, tmp_path), tmp_path, fake)
    own = board.read()
    assert not asked, "nothing is missing, so nobody needs to be asked"
    (tmp_path / "sys/devices/platform/bus@0/17000000.gpu/load").unlink()
    (tmp_path / "var/lib/nvpmodel/status").unlink()
    wait_for(lambda: board.read().gpu_percent is not None)
    filled = board.read()
    assert (filled.gpu_percent, filled.power_mode) == (53.2, "MAXN")
    assert (filled.power_mw, filled.fan_percent) == (own.power_mw, own.fan_percent)
    assert asked == [1]


PACKAGE = """
import threading

class jtop(threading.Thread):
    made = []
    def __init__(self, interval):
        super().__init__()
        self.interval = interval
        jtop.made.append(self)
    def __enter__(self):
        self.start()
        return self
    def __exit__(self, *_):
        return False
    def run(self):
        threading.Event().wait()  # for ever
    stats = {"GPU": 11.0}
    def ok(self):
        threading.Event().wait(0.05)
        return True
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package of that name, with a client that is a thread, as the real one is."""
    (tmp_path / "jtop.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("jtop", None)


@pytest.mark.usefixtures("package")
def test_the_real_import() -> None:
    jtop = open_jtop()
    wait_for(lambda: jtop.latest().gpu_percent == 11.0)


@pytest.mark.usefixtures("package")
def test_a_client_that_hangs_cannot_keep_the_process_from_ending() -> None:
    client = connect()
    assert isinstance(client, threading.Thread)
    assert client.daemon
