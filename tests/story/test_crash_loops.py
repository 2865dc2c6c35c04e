"""Models that die, hang, fail, dawdle, lie or leak on live pictures: each ends on the good model.

What is stated for each: the reason that a person reads, and the time from the beginning of the
trial to its end, as a formula of the units (RestartSec, WatchdogSec) and of the deployment.
"""

from __future__ import annotations

import functools
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from models.store import Store
from tests.graphs import onnx_live
from tests.misbehaving import PICTURES, camera, dawn, misbehaving
from tests.supervised import Supervised, Terms
from tests.yard import FLEET, Yard, digits

pytestmark = pytest.mark.slow

TERMS = Terms(restart_s=0.3, watchdog_s=4.0)
FPS = 30.0
START_S = 8.0  # a process until its first frame, on a machine that has a lot to do
DAWN_S, LATER = PICTURES / FPS, 100.0  # a whole recording; a level that is reached after 100 frames
# what the agent heard serve for so long, it has a rate of (agent.update.gates.fps_of)
MEASURED_S = 1.0
RESTARTS_S = 2 * (TERMS.restart_s + START_S)  # the third start is that of the good model
CONFIG = """\
fleet = "{fleet}"
device = "{name}"

[broker]
url = "mqtt://127.0.0.1:{port}"
keepalive_s = 5

[telemetry]
period_s = 10

[updates]
root = "{root}"
spread_s = 0

[pipeline.lane]
camera = "{camera}"
"""


@dataclass(frozen=True)
class Site:
    """A fleet, and one device that runs version 1, which is good."""

    yard: Yard
    device: Supervised
    name: str = "door"

    @property
    def store(self) -> Store:
        return Store(self.device.folder / "state" / "models")

    def push(self, version: str, bundle: Path, trial_s: float, *more: str) -> None:
        done = self.yard.push(bundle, trial_s=trial_s, more=("--no-wait", *more))
        assert done.code == 0, done.err

    def trial_of(self, version: str) -> float:
        """The seconds from the beginning of its trial to its end; 0 if it was never tried."""
        self.yard.until(lambda: set(self.phases(version)) & {"trial", "rejected"})
        began_s = time.monotonic()
        ends = ("good", "rolled_back", "rejected")
        self.yard.until(lambda: self.phases(version)[-1] in ends, 120)
        return time.monotonic() - began_s

    def phases(self, version: str) -> list[str]:
        return self.yard.phases(version, self.name)

    def reason(self, version: str) -> str:
        return self.yard.reason(version, self.name)

    def until_good_serves(self) -> None:
        def serves() -> bool:
            state = self.yard.state(self.name)
            return state is not None and state.pipelines["lane"].phase == "serving"

        self.yard.until(lambda: self.yard.runs("1", self.name) and serves())


def supervised(yard: Yard, name: str, uri: str) -> Supervised:
    root = yard.fleet / "root.json"
    config = CONFIG.format(fleet=FLEET, name=name, port=yard.broker.port, root=root, camera=uri)
    return Supervised(yard.folder / name, config, TERMS)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place = tmp_path_factory.mktemp("loops")
    with Yard(place) as yard, supervised(yard, "door", camera(dawn(place), FPS)) as device:
        device.start("agent", "lane")
        made = Site(yard, device)
        made.push("1", digits(place, "1"), 1)
        made.trial_of("1")
        assert made.phases("1")[-1] == "good", made.reason("1")
        yield made


@dataclass(frozen=True)
class Case:
    """version: deployed. within_s: from the beginning of the trial to its end."""

    version: str
    build: Callable[[Path], object]
    reason: str
    within_s: float
    trial_s: float = 120.0
    task: str = "raw"
    marks: tuple[pytest.MarkDecorator, ...] = ()


# elsewhere such a division gives a number, and the model is as good as any other
TRAPS = pytest.mark.skipif(platform.machine() != "x86_64", reason="here a division does not trap")
CASES = [
    Case(
        "11", functools.partial(onnx_live.dies, level=LATER),
        "it died of SIGFPE after its first results;",  # the first one perhaps at once: it is day
        DAWN_S + LATER / FPS + RESTARTS_S, marks=(TRAPS,),
    ),
    Case(
        "12", onnx_live.hangs,
        "started 3 times in its trial and did not stay: it hung at its first frame;",
        TERMS.watchdog_s + 2 * TERMS.watchdog_s + RESTARTS_S,
    ),
    Case(
        "13", onnx_live.fails,
        "ONNX Runtime cannot run it: Gather 'output': indices element out of data bounds",
        RESTARTS_S,
    ),
    Case(
        "14", functools.partial(onnx_live.devours, mebibytes=1 << 28),
        "ONNX Runtime cannot run it: there is not enough memory for its tensors", RESTARTS_S,
    ),
    Case(
        "15", onnx_live.no_numbers, "results held a score that is no number",
        START_S + 100 / FPS, task="classify",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.reason.partition(":")[0][:30], marks=case.marks) for case in CASES],
)
def test_it_ends_on_the_good_model_with_the_true_reason_in_time(
    site: Site, tmp_path: Path, case: Case
) -> None:
    site.until_good_serves()
    bundle = misbehaving(tmp_path, case.version, case.build, case.task)
    site.push(case.version, bundle, case.trial_s)
    took_s = site.trial_of(case.version)
    assert site.phases(case.version)[-2:] == ["trial", "rolled_back"]
    assert case.reason in site.reason(case.version)
    assert site.reason(case.version).endswith("; back to digits 1")
    assert str(site.device.folder) not in site.reason(case.version)
    site.until_good_serves()
    print(f"{case.reason}: {took_s:.1f} s of {case.within_s:.1f} s")
    assert took_s <= case.within_s


@TRAPS
@pytest.mark.parametrize(
    ("version", "build"),
    [("21", functools.partial(onnx_live.dies, level=0.0)), ("22", onnx_live.dies_when_opened)],
    ids=["when it runs", "when it is opened"],
)
def test_one_that_dies_in_the_check_is_never_tried(
    site: Site, tmp_path: Path, version: str, build: Callable[[Path], object]
) -> None:
    site.until_good_serves()
    starts = site.device.starts("lane")
    site.push(version, misbehaving(tmp_path, version, build), 5)
    site.trial_of(version)
    assert site.phases(version)[-1] == "rejected" and "trial" not in site.phases(version)
    assert "crashes its engine (SIGFPE)" in site.reason(version)
    assert site.device.starts("lane") == starts, "the live process felt nothing of it"


@TRAPS
def test_one_that_takes_the_whole_board_down_again_and_again(site: Site, tmp_path: Path) -> None:
    """Both processes die at that moment, and the boot that follows has another name."""
    site.until_good_serves()
    device, before = site.device, len(site.device.results("lane"))
    device.terms = replace(TERMS, restart_s=3600.0)
    try:
        site.push("31", misbehaving(tmp_path, "31", onnx_live.dies), 120)
        for boot in (1, 2):
            site.yard.until(lambda boot=boot: len(device.results("lane")) == before + boot)  # type: ignore[misc]
            device.cut()
            device.boot()
        took_s = site.trial_of("31")
    finally:
        device.terms = TERMS
    assert site.phases("31")[-1] == "rolled_back"
    assert "the whole device went down at its first frame" in site.reason("31")
    site.until_good_serves()
    assert took_s <= RESTARTS_S
    assert_not_tried_again(site, "31")


def assert_not_tried_again(site: Site, version: str) -> None:
    """Whatever a boot would try again it would have begun when the good one serves."""
    rejected = {one.digest for one in site.store.pipeline("lane").rejected}
    told = len(site.yard.updates(site.name))
    site.device.cut()
    seen = len(site.yard.heard())
    site.device.boot()
    site.yard.until(lambda: any(b'"serving"' in one.payload for one in site.yard.heard()[seen:]))
    site.until_good_serves()
    new = site.yard.updates(site.name)[told:]
    assert not [one for one in new if one.version == version and one.phase != "rolled_back"]
    state = site.store.pipeline("lane")
    assert state.active == state.good and state.starts == 0
    assert rejected == {one.digest for one in state.rejected}


def test_a_slow_one_is_compared_with_the_one_before(site: Site, tmp_path: Path) -> None:
    site.until_good_serves()
    time.sleep(MEASURED_S)
    trial_s = 12.0
    bundle = misbehaving(tmp_path, "41", functools.partial(onnx_live.dawdles, rounds=120_000))
    site.push("41", bundle, trial_s)
    took_s = site.trial_of("41")
    assert site.phases("41")[-1] == "rolled_back"
    assert "too slow: " in site.reason("41") and "frames per second" in site.reason("41")
    assert took_s <= trial_s


def test_one_that_leaks_is_told_by_its_growth(site: Site, tmp_path: Path) -> None:
    """On a device where it becomes bright slowly: what the engine keeps grows all the time."""
    slowly, trial_s = camera(site.yard.folder / "dawn", 4.0), 28.0
    back = site.yard.run("fleet", "deploy", "lane", "digits", "1", "--trial", "1", "--no-wait")
    assert back.code == 0, back.err
    with supervised(site.yard, "gate", slowly) as device:
        gate = Site(site.yard, device, "gate")
        device.start("agent", "lane")
        gate.until_good_serves()
        gate.yard.until(lambda: gate.phases("1")[-1:] == ["good"])
        device.stop("lane")
        device.start("lane")  # it is dark again
        gate.until_good_serves()
        bundle = misbehaving(tmp_path, "51", functools.partial(onnx_live.leaks, mebibytes=0.7))
        gate.push("51", bundle, trial_s, "--canary", "gate")
        took_s = gate.trial_of("51")
        assert gate.phases("51")[-1] == "rolled_back", gate.reason("51")
        assert "its memory grew from " in gate.reason("51")
        assert "and did not stop" in gate.reason("51")
        assert took_s <= trial_s
        gate.until_good_serves()
