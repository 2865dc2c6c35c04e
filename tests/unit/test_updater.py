"""The way of a model into a pipeline: what each event leads to, in every state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.fetch.words import Progress
from tests.update_bench import CONFIGURED, Bench, Bundles
from wire.deployments import Gates
from wire.local import CheckModel, LoadModel

QUICK = Gates(trial_s=60.0, first_result_s=20.0)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    return Bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def bench(tmp_path: Path, bundles: Bundles) -> Bench:
    return Bench(tmp_path, bundles)


def test_step_by_step(bench: Bench, bundles: Bundles) -> None:
    bench.say()
    bench.live(30)
    assert (bench.update, bench.wanted) == (None, [])
    bench.desire("1", QUICK)
    one = bundles.digest("1")
    assert (bench.phase, bench.wanted) == ("fetching", [one])
    bench.updater.take(Progress(one, bundles.all["1"].size // 2))
    assert bench.update is not None
    assert bench.update.percent == 45
    bench.fetch()
    assert bench.phase == "checking"
    assert [type(each) for each in bench.runtime.asked] == [CheckModel]
    assert bench.store.pipeline("lane").active is None, "nothing runs that was not checked"
    bench.answer()
    assert bench.phase == "trial"
    assert [type(each) for each in bench.runtime.asked] == [LoadModel]
    assert bench.store.pipeline("lane").active == one, "the store knows before it is opened"
    bench.answer()
    bench.live(80)
    assert bench.phase == "good"
    assert bench.store.pipeline("lane").good == one
    names = ("fetching", "staged", "checking", "trial", "good")
    assert bench.phases == [f"1 {name}" for name in names], "each once"
    assert (bench.wanted, bench.pinned) == ([], frozenset())


def rejected_by_check(bench: Bench) -> None:
    bench.answer(ok=False, text="it needs 900 MB")


def rejected_by_time(bench: Bench) -> None:
    bench.live(3 * 670)


def rejected_by_death(bench: Bench) -> None:
    for _ in range(3):
        bench.runtime.restart()
        bench.say()


@pytest.mark.parametrize(
    ("happens", "word"),
    [
        (rejected_by_check, "900 MB"),
        (rejected_by_time, "3 checks of it had no answer"),
        (rejected_by_death, "3 checks of it had no answer"),
    ],
)
def test_rejected_in_its_check(bench: Bench, happens: Callable[[Bench], None], word: str) -> None:
    bench.say()
    bench.desire("1")
    bench.fetch()
    happens(bench)
    assert bench.phase == "rejected"
    assert word in bench.reason
    assert bench.store.pipeline("lane").active is None
    assert bench.runtime.digest == CONFIGURED
    bench.begin()  # an agent starts anew
    bench.desire("1")
    bench.settle()
    assert bench.phase == "rejected", "not tried again"
    assert word in bench.reason
    assert bench.phases.count("1 rejected") == 1, "and not told again"
    bench.desire("1", attempt=1)
    bench.settle()
    assert bench.phase == "good"


def slow(bench: Bench) -> None:
    bench.runtime.us = 30_000.0
    bench.live(20)


def few_frames(bench: Bench) -> None:
    bench.runtime.us, bench.runtime.fps = 20_000.0, 20.0
    bench.live(40)


def unsure(bench: Bench) -> None:
    bench.runtime.score = 0.3
    bench.live(40)


def dies(bench: Bench) -> None:
    for _ in range(2):
        bench.live(5)
        bench.fail("the engine crashed")
        bench.runtime.restart()
        bench.say()


def wedges(bench: Bench) -> None:
    bench.live(120, says=False)


def cannot_be_opened_again(bench: Bench) -> None:
    bench.runtime.restart()
    digest = bench.bundles.digest("2")
    bench.runtime.digest = bench.bundles.digest("1")
    bench.runtime.unloaded = f"model {digest[:12]} is not run: it is damaged on disk"
    bench.say()


@pytest.mark.parametrize(
    ("happens", "word"),
    [
        (slow, "20 ms is the limit"),
        (few_frames, "20.0 frames per second, the model before gave 30.0"),
        (unsure, "mean score is 0.30"),
        (dies, "started 3 times in its trial and did not stay: the engine crashed"),
        (wedges, "has said nothing for 90 s"),
        (cannot_be_opened_again, "it is damaged on disk"),
    ],
)
def test_rolled_back_in_its_trial(
    bench: Bench, bundles: Bundles, happens: Callable[[Bench], None], word: str
) -> None:
    one = bench.run_in("1")
    two = bench.on_trial("2", Gates(trial_s=60.0, p95_ms=20.0))
    happens(bench)
    assert bench.runtime.digest == one or bench.phase == "trial", "what runs is told with it"
    bench.answer()
    assert (bench.phase, bench.runtime.digest) == ("rolled_back", one), bench.update
    assert word in bench.reason
    assert bench.reason.endswith("back to digits 1")
    state = bench.store.pipeline("lane")
    assert (state.active, state.good) == (one, one)
    assert state.rejection(two) is not None
    bench.runtime.us, bench.runtime.fps, bench.runtime.score = 4000.0, 30.0, 0.9
    bench.say()
    bench.settle()
    assert bench.runtime.digest == one, "it was told to go back"
    bench.begin()
    bench.desire("2")
    bench.settle()
    assert (bench.phase, bench.runtime.digest) == ("rolled_back", one), "not tried again"
    assert bench.phases.count("2 rolled_back") == 1
    bench.desire("2", attempt=1)
    bench.settle()
    assert (bench.phase, bench.runtime.digest) == ("good", two)


def test_the_first_model_of_a_device_fails_and_the_next_is_tried(bench: Bench) -> None:
    bench.runtime.begin("")  # nothing is configured
    bench.say()
    bench.on_trial("1", QUICK)
    bench.runtime.fps = 0.0
    bench.runtime.frames = 0
    bench.runtime.restart()
    bench.live(40)
    assert bench.store.pipeline("lane").active is None
    bench.runtime.fps = 30.0
    assert isinstance(bench.runtime.asked[-1], LoadModel)
    assert bench.runtime.asked[-1].digest is None, "back to what is configured, or to none"
    bench.answer()
    assert bench.phase == "rolled_back"
    assert "no result came within 20 s" in bench.reason
    bench.desire("2", QUICK)
    bench.settle()
    assert bench.phase == "good"


def test_a_model_that_cannot_be_loaded_is_rolled_back(bench: Bench) -> None:
    one = bench.run_in("1")
    bench.desire("2")
    bench.fetch()
    bench.answer()
    bench.answer(ok=False, text="no room for its tensors")
    assert bench.phase == "rolled_back"
    assert "it was not loaded: no room for its tensors; back to digits 1" in bench.reason
    assert bench.store.pipeline("lane").active == one


def test_a_camera_that_is_gone_stops_the_clock(bench: Bench) -> None:
    bench.run_in("1")
    bench.on_trial("2", QUICK)
    bench.live(10)
    bench.runtime.absent = "/dev/video0 is not there"
    bench.say()
    bench.live(1000)
    assert bench.phase == "trial"
    bench.runtime.absent = None
    bench.say()
    bench.live(40)
    assert bench.phase == "trial"
    bench.live(40)
    assert bench.phase == "good"


def test_while_the_accelerator_is_gone_a_model_is_not_judged(bench: Bench) -> None:
    """On the processor alone it gives a fifth of the frames, and takes all of its time."""
    bench.run_in("1")
    bench.on_trial("2", QUICK)
    bench.live(10)
    bench.runtime.degraded = "runs on the processor alone: it was unplugged"
    bench.runtime.fps, bench.runtime.us = 2.0, 450_000.0
    bench.say()
    bench.live(1000)
    assert bench.phase == "trial"
    bench.runtime.degraded, bench.runtime.fps, bench.runtime.us = None, 30.0, 4000.0
    bench.say()
    bench.live(80)
    assert bench.phase == "good"


def test_a_camera_that_slows_down_is_not_the_model_s_fault(bench: Bench) -> None:
    bench.run_in("1")
    bench.on_trial("2", QUICK)
    bench.runtime.fps = 5.0  # it is dark
    bench.live(90)
    assert bench.phase == "good"


def test_a_process_that_people_stop_stops_the_clock(bench: Bench) -> None:
    from msgspec.structs import replace

    bench.run_in("1")
    bench.on_trial("2", QUICK)
    bench.updater.hear(replace(bench.runtime.totals(), phase="ended"))
    bench.live(600, says=False)
    assert bench.phase == "trial"


def test_what_came_is_kept_until_the_fleet_is_heard(bench: Bench) -> None:
    bench.say()
    bench.desire("1")
    assert bench.wanted != []
    bench.wanted = ["untouched"]
    bench.begin()
    bench.say()
    bench.live(20)
    assert bench.wanted == ["untouched"]
    bench.desire("1")
    assert bench.wanted == [bench.bundles.digest("1")]


@pytest.mark.parametrize("moment", ["fetching", "staged", "checking", "trial", "late"])
def test_an_agent_that_dies_goes_on_where_it_was(
    bench: Bench, bundles: Bundles, moment: str
) -> None:
    bench.run_in("1")
    bench.desire("2", QUICK)
    if moment != "fetching":
        bench.runtime.listens = moment != "staged"
        bench.fetch()
    if moment in ("trial", "late"):
        bench.answer()
    if moment == "late":
        bench.answer()
        bench.live(45)
    assert bench.phase == ("trial" if moment == "late" else moment)
    bench.begin()
    bench.runtime.asked.clear()
    bench.runtime.listens = True
    bench.desire("2", QUICK)
    bench.settle(50 if moment == "late" else 100)
    assert (bench.phase, bench.runtime.digest) == ("good", bundles.digest("2"))
    assert bench.phases.count("2 trial") == 1


def test_time_that_passed_in_a_trial_is_kept(bench: Bench) -> None:
    bench.run_in("1")
    two = bench.on_trial("2", Gates(trial_s=1000.0))
    bench.live(500)
    trial = bench.store.pipeline("lane").trial
    assert trial is not None
    assert 450 <= trial.elapsed_s <= 500
    bench.begin()
    bench.say()
    bench.live(400)
    assert bench.phase == "trial"
    bench.live(180)
    assert bench.phase == "good"
    assert bench.store.pipeline("lane").good == two


def test_deaths_while_the_agent_was_dead_are_counted(bench: Bench) -> None:
    one = bench.run_in("1")
    bench.on_trial("2")
    for _ in range(2):
        bench.runtime.restart()
    assert bench.runtime.digest == one, "the runtime alone goes back to what is good"
    bench.begin()
    assert bench.phase == "trial"
    bench.say()
    assert bench.phase == "rolled_back"
    assert "started 3 times" in bench.reason


def test_another_one_is_deployed_during_a_trial(bench: Bench, bundles: Bundles) -> None:
    bench.run_in("1")
    bench.on_trial("2")
    bench.desire("3", QUICK)
    assert bench.phase == "fetching"
    assert bench.runtime.digest == bundles.digest("2"), "it runs on meanwhile"
    bench.fetch()
    bench.answer()
    assert "2 rolled_back" in bench.phases
    assert bench.phase == "trial"
    bench.answer()
    bench.settle(100)
    assert bench.phase == "good"
    assert bench.store.pipeline("lane").good == bundles.digest("3")
    bench.desire("2", QUICK)
    bench.settle(100)
    assert bench.phase == "good", "nothing was ever wrong with it"


def test_a_trial_that_fails_while_another_one_comes(bench: Bench, bundles: Bundles) -> None:
    bench.run_in("1")
    bench.on_trial("2", Gates(p95_ms=20.0))
    bench.desire("3")
    slow(bench)
    assert bench.phase == "fetching", "the state shows what comes"
    assert "2 rolled_back" in bench.phases, "the event tells what was"
    bench.runtime.us = 4000.0
    bench.settle()
    assert (bench.phase, bench.runtime.digest) == ("good", bundles.digest("3"))


def test_back_to_the_good_one_needs_no_trial(bench: Bench, bundles: Bundles) -> None:
    one = bench.run_in("1")
    bench.on_trial("2")
    bench.desire("1")
    bench.answer()
    assert (bench.phase, bench.runtime.digest) == ("good", one)
    assert not [each for each in bench.runtime.asked if isinstance(each, CheckModel)]
    assert bench.store.pipeline("lane").trial is None


def test_nothing_is_said_about_this_device_any_more(bench: Bench, bundles: Bundles) -> None:
    one = bench.run_in("1")
    bench.desire(None)
    bench.settle(50)
    assert (bench.phase, bench.runtime.digest) == ("good", one)
    bench.desire("2")
    bench.desire(None)
    assert bench.wanted == [], "what is not wanted is not fetched"


def test_what_is_on_trial_is_no_measure(bench: Bench) -> None:
    bench.run_in("1")
    bench.on_trial("2")
    bench.runtime.us, bench.runtime.fps = 60_000.0, 10.0
    bench.live(20)  # too early to say that it is slow
    assert bench.phase == "trial"
    bench.on_trial("3", QUICK)
    bench.live(30)
    bench.answer()
    assert bench.phase == "rolled_back"
    assert "the model before gave 30.0" in bench.reason


def test_one_that_began_a_moment_ago_is_a_measure_too(bench: Bench) -> None:
    bench.run_in("1")
    bench.runtime.restart()
    bench.begin()
    bench.say()
    bench.runtime.asked.clear()
    bench.runtime.count(3.0)  # and would not say so for some seconds
    bench.desire("2", QUICK)
    bench.fetch()
    bench.answer()
    bench.answer()
    bench.runtime.us, bench.runtime.fps = 60_000.0, 10.0
    bench.live(30)
    bench.answer()
    assert bench.phase == "rolled_back"
    assert "the model before gave 30.0" in bench.reason


def test_an_agent_that_starts_gives_the_process_time(bench: Bench) -> None:
    bench.run_in("1")
    bench.on_trial("2", QUICK)
    bench.begin()
    bench.live(85, says=False)
    assert bench.store.pipeline("lane").active == bench.bundles.digest("2")
    bench.live(40, says=False)
    assert bench.store.pipeline("lane").active == bench.bundles.digest("1")
    bench.live(70, says=False)
    assert "no result came within 20 s" in bench.reason


def test_what_another_takes_the_place_of_comes_to_an_end(bench: Bench) -> None:
    bench.say()
    bench.desire("1")
    bench.desire("2")
    assert bench.phases == ["1 fetching", "1 rejected", "2 fetching"]
    assert "digits 2 was deployed in its place" in (bench.told[1].reason or "")
    bench.desire(None)
    assert bench.phase == "rejected"
    assert "no longer" in bench.reason
    bench.desire("1", QUICK)
    bench.settle(100)
    assert bench.phase == "good", "nothing was ever wrong with it"
