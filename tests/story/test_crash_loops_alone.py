"""A runtime without an agent: the third start of a trial that never stays goes back by itself."""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from models.pipelines import Trial
from models.store import Store
from tests.device import until
from tests.graphs import onnx_live
from tests.misbehaving import camera, dawn, misbehaving
from tests.supervised import Supervised, Terms
from tests.yard import digits

pytestmark = pytest.mark.slow

TRAPS = pytest.mark.skipif(platform.machine() != "x86_64", reason="here a division does not trap")
TERMS = Terms(restart_s=0.2, watchdog_s=30.0)
HASTY = Terms(restart_s=0.2, watchdog_s=3.0)  # for those that hang
PATIENCE_S = 100.0
CONFIG = """\
device = "door"
[broker]
url = "mqtt://127.0.0.1:1"
[updates]
root = "/nowhere/root.json"
[pipeline.lane]
camera = "{camera}"
"""


@dataclass(frozen=True)
class Alone:
    """A runtime whose store has a good model, and another one on trial."""

    device: Supervised
    store: Store
    good: str
    tried: str

    def came_back(self) -> bool:
        """The process that runs now is ready, and what was on trial was started three times."""
        return self.device.is_up("lane") and self.device.starts("lane") >= 3

    @property
    def ends(self) -> tuple[str, ...]:
        """How its starts ended, as the store has it."""
        return self.store.pipeline("lane").ends


@contextmanager
def alone(place: Path, build: Callable[[Path], object], terms: Terms = TERMS) -> Iterator[Alone]:
    config = CONFIG.format(camera=camera(dawn(place), 60))
    with Supervised(place / "door", config, terms) as device:
        store = Store(place / "door" / "state" / "models")
        good = store.install(digits(place, "1"))
        store.activate("lane", Trial(good, 1, 60))
        store.mark_good("lane", good)
        tried = store.install(misbehaving(place, "2", build))
        store.activate("lane", Trial(tried, 3600, 60))
        yield Alone(device, store, good, tried)


@pytest.mark.parametrize(
    ("build", "end", "result"),
    [
        pytest.param(
            onnx_live.dies, "it died of SIGFPE at its first frame", "signal SIGFPE", marks=TRAPS
        ),
        pytest.param(
            functools.partial(onnx_live.dies, level=100.0),
            "it died of SIGFPE after its first results", "signal SIGFPE", marks=TRAPS,
        ),
        (onnx_live.hangs, "it hung at its first frame", "signal SIGALRM"),
        (
            functools.partial(onnx_live.hangs, level=60.0),
            "it hung after its first results",
            "watchdog",
        ),
        (onnx_live.fails, "it ended at its first frame with exit code 2", "exit-code"),
    ],
)  # fmt: skip
def test_it_goes_back_by_itself(
    tmp_path: Path, build: Callable[[Path], object], end: str, result: str
) -> None:
    with alone(tmp_path, build, HASTY if "hung" in end else TERMS) as site:
        site.device.start("lane")
        until(site.came_back, PATIENCE_S)
        assert site.device.results("lane") == [result, result]
        assert site.ends == (end, end)
        assert f"never stayed: {end}\n" in site.device.log("lane")
        assert "digits 1 on " in site.device.log("lane").splitlines()[-1]


@TRAPS
def test_one_that_dies_when_it_is_opened_does_so_in_a_child(tmp_path: Path) -> None:
    """Whatever opens a file for the first time is not the process that serves."""
    with alone(tmp_path, onnx_live.dies_when_opened) as site:
        site.device.start("lane")
        until(lambda: site.device.is_up("lane"), PATIENCE_S)
        assert (site.device.starts("lane"), site.device.results("lane")) == (1, [])
        assert "is not run: " in site.device.log("lane")
        assert "crashes its engine (SIGFPE)" in site.device.log("lane")
        until(lambda: "digits 1 on " in site.device.log("lane").splitlines()[-1], PATIENCE_S)


def test_one_that_outgrows_the_memory_of_its_service(tmp_path: Path) -> None:
    """As MemoryMax= of a unit and the kernel end it."""
    terms = replace(TERMS, memory_max=600e6)
    with alone(tmp_path, functools.partial(onnx_live.devours, mebibytes=2000), terms) as site:
        site.device.start("lane")
        until(site.came_back, PATIENCE_S)
        assert site.device.results("lane") == ["signal SIGKILL"] * 2
        assert "killed at its first frame, most often that is for want of memory" in site.ends[0]


@pytest.mark.parametrize("state", ["load.counted", "load.opened"])
def test_power_cuts_between_the_count_and_the_first_frame(tmp_path: Path, state: str) -> None:
    """Each boot counts before anything is opened: two that go down are enough."""
    with alone(tmp_path, onnx_live.fails, replace(TERMS, restart_s=3600.0)) as site:
        device = site.device
        device.environment["lane"] = {"VEDETTE_FAULT": f"{state}:kill:1:{site.tried[:12]}"}
        device.start("lane")
        for cuts in (1, 2):
            until(lambda cuts=cuts: len(device.results("lane")) == cuts, PATIENCE_S)  # type: ignore[misc]
            assert site.store.pipeline("lane").starts == cuts
            device.cut()
            if cuts == 2:
                device.environment["lane"] = {}
            device.boot("lane")
        until(lambda: device.is_up("lane"), PATIENCE_S)
        assert site.ends == ("the whole device went down when it was opened",) * 2
        assert len(device.results("lane")) == 2


@TRAPS
def test_a_good_model_that_dies_is_not_gone_back_from(tmp_path: Path) -> None:
    """There is nothing behind it: systemd starts it as long as it takes."""
    with alone(tmp_path, functools.partial(onnx_live.dies, level=30.0)) as site:
        site.store.mark_good("lane", site.tried)
        site.device.start("lane")
        until(lambda: len(site.device.results("lane")) >= 4, PATIENCE_S)
        state = site.store.pipeline("lane")
        assert (state.active, state.starts, state.ends) == (site.tried, 0, ())
