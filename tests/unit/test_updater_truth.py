"""What is said of an update is true: what runs is named, and no model is blamed for others."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.update.checking import PUT_OFF_S
from agent.update.trying import APART_S
from models.store import Store
from tests.update_bench import CONFIGURED, Bench, Bundles
from wire.deployments import Gates
from wire.local import CheckModel, LoadModel
from wire.troubles import Unavailable

QUICK = Gates(trial_s=60.0, first_result_s=20.0)
STRICT = Gates(trial_s=60.0, first_result_s=20.0, p95_ms=20.0)
NO_MEMORY = "it needs more memory than is free here now"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    return Bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def bench(tmp_path: Path, bundles: Bundles) -> Bench:
    return Bench(tmp_path, bundles)


def fail_its_trial(bench: Bench) -> None:
    """Version 2 is too slow; the store is back at 1."""
    bench.run_in("1")
    bench.on_trial("2", STRICT)
    bench.runtime.us = 30_000.0
    bench.live(20)
    assert bench.store.pipeline("lane").active == bench.bundles.digest("1")


def test_rolled_back_is_said_when_the_other_model_runs(bench: Bench, bundles: Bundles) -> None:
    fail_its_trial(bench)
    assert (bench.phase, bench.runtime.digest) == ("trial", bundles.digest("2"))
    bench.answer()
    assert (bench.phase, bench.runtime.digest) == ("rolled_back", bundles.digest("1"))
    assert bench.reason.endswith("back to digits 1")


def test_a_process_that_does_not_go_back_is_not_waited_for_for_ever(bench: Bench) -> None:
    fail_its_trial(bench)
    bench.live(APART_S - 25)
    assert bench.phase == "trial"
    bench.live(30)
    assert bench.phase == "rolled_back"
    assert bench.phases.count("2 rolled_back") == 1


def test_an_agent_that_dies_before_it_said_so_says_so(bench: Bench, bundles: Bundles) -> None:
    fail_its_trial(bench)
    bench.begin()
    assert bench.phase == "trial"
    bench.say()  # it runs 2 still, and is told to go back
    assert bench.phase == "trial"
    bench.answer()
    assert bench.phase == "rolled_back"
    assert "20 ms is the limit; back to digits 1" in bench.reason
    bench.desire("2", STRICT)
    bench.settle(60)
    assert (bench.phase, bench.runtime.digest) == ("rolled_back", bundles.digest("1"))
    assert bench.phases.count("2 rolled_back") == 1


@pytest.mark.parametrize("dies", [False, True])
def test_what_was_good_before_is_said_when_it_runs(bench: Bench, dies: bool) -> None:
    bench.run_in("1")
    bench.on_trial("2", QUICK)
    bench.desire("1")
    assert bench.phase == "trial"
    if dies:
        bench.begin()
        bench.desire("1")
        assert bench.phase == "trial"
        bench.say()
    bench.answer()
    assert (bench.phase, bench.runtime.digest) == ("good", bench.bundles.digest("1"))


def test_good_is_said_after_a_death_that_came_in_between(bench: Bench) -> None:
    bench.run_in("1")
    two = bench.on_trial("2", QUICK)
    bench.store.mark_good("lane", two)
    bench.begin()
    bench.say()
    assert bench.phase == "good", "also where no fleet can be heard"


def test_a_stopped_process_stops_the_clock_and_a_hung_one_does_not(bench: Bench) -> None:
    bench.run_in("1")
    two = bench.on_trial("2", QUICK)
    bench.runtime.listens = False  # its socket is gone
    bench.live(600, says=False)
    bench.begin()
    bench.live(600, says=False)
    assert bench.store.pipeline("lane").active == two
    bench.runtime.listens = True  # it is there, and says nothing
    bench.live(120, says=False)
    assert bench.store.pipeline("lane").active == bench.bundles.digest("1")


def test_a_process_that_is_stopped_while_it_loads_is_not_the_model_s_fault(bench: Bench) -> None:
    bench.run_in("1")
    bench.desire("2", QUICK)
    bench.fetch()
    bench.answer()
    assert isinstance(bench.runtime.asked[-1], LoadModel)
    bench.runtime.listens = False
    bench.live(1500, says=False)
    assert bench.store.pipeline("lane").active == bench.bundles.digest("2")
    bench.runtime.listens = True
    bench.runtime.asked.clear()
    bench.runtime.restart()
    bench.live(80)
    assert bench.phase == "good"


def test_a_check_for_which_there_is_no_memory_is_put_off(bench: Bench, bundles: Bundles) -> None:
    bench.run_in("1")
    bench.desire("2", QUICK)
    bench.fetch()
    asked = 0
    for _ in range(int(PUT_OFF_S) + 120):
        asked += bool(bench.runtime.asked)
        bench.answer(ok=False, text=NO_MEMORY, later=True)
        bench.live(1)
        if bench.phase == "rejected":
            break
        assert bench.phase == "checking"
    assert bench.phase == "rejected"
    assert NO_MEMORY in bench.reason and "12 minutes" in bench.reason
    assert 5 < asked < 60
    assert bench.store.pipeline("lane").rejected == ()
    bench.desire("2", QUICK, attempt=1)  # somebody says "again"
    bench.settle(120)
    assert (bench.phase, bench.runtime.digest) == ("good", bundles.digest("2"))


def test_a_check_is_not_asked_of_a_process_that_was_not_heard(bench: Bench) -> None:
    bench.say()
    bench.desire("1", QUICK)
    bench.fetch()
    bench.answer(ok=False, text="it ends", later=True)
    bench.begin(bench.runtime.totals())
    bench.runtime.asked.clear()
    bench.desire("1", QUICK)
    bench.live(5, says=False)
    assert bench.runtime.asked == [], "it may have ended since then"
    bench.say()
    assert [type(each) for each in bench.runtime.asked] == [CheckModel], "once"
    bench.answer()
    assert bench.phase == "trial"


def test_one_lost_answer_does_not_reject_a_model(bench: Bench) -> None:
    bench.say()
    bench.desire("1", QUICK)
    bench.fetch()
    bench.runtime.asked.clear()  # the answer never comes
    bench.live(700)
    assert bench.phase == "checking"
    bench.settle(120)
    assert bench.phase == "good"


def test_a_retry_that_is_cut_short_is_not_tried_a_third_time(bench: Bench) -> None:
    fail_its_trial(bench)
    bench.answer()
    bench.desire("2", STRICT, attempt=1)
    book = bench.book
    assert bench.phase == "checking"
    bench.answer()
    bench.book = book  # the power went before the trial was noted
    bench.begin()
    for _ in range(3):
        bench.runtime.restart()
    bench.say()
    assert bench.store.pipeline("lane").active == bench.bundles.digest("1")
    checks = bench.phases.count("2 checking")
    bench.desire("2", STRICT, attempt=1)
    bench.settle(60)
    assert (bench.phase, bench.runtime.digest) == ("rolled_back", bench.bundles.digest("1"))
    assert bench.phases.count("2 checking") == checks


def test_what_proved_itself_in_the_end_may_come_again(bench: Bench, bundles: Bundles) -> None:
    fail_its_trial(bench)
    bench.answer()
    bench.desire("2", QUICK, attempt=1)
    bench.runtime.us = 4000.0
    bench.settle(120)
    assert bench.phase == "good"
    bench.run_in("3")
    bench.desire("2", QUICK)
    bench.settle(120)
    assert (bench.phase, bench.runtime.digest) == ("good", bundles.digest("2"))


def test_a_rejection_of_another_one_is_told_once(bench: Bench) -> None:
    bench.run_in("1")
    bench.on_trial("2", QUICK)
    bench.desire("3", QUICK)
    bench.fetch()
    bench.answer(ok=False, text="it has no golden answers right")
    assert bench.phase == "rejected"
    bench.live(80)
    assert "2 good" in bench.phases
    assert bench.phases.count("3 rejected") == 1
    assert bench.phase == "rejected", "the newest word stands"


def test_a_full_disk_does_not_keep_a_bad_model_running(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run_in("1")
    bench.on_trial("2", STRICT)

    def full(store: Store, name: str, digest: str, reason: str) -> None:
        rollback(store, name, digest, reason)
        raise Unavailable("rejected.json: no space left on device")

    rollback = Store.rollback
    monkeypatch.setattr(Store, "rollback", full)
    bench.runtime.us = 30_000.0
    bench.live(20)
    bench.answer()
    assert bench.runtime.digest == bench.bundles.digest("1")
    monkeypatch.undo()
    bench.live(5)
    assert bench.phase == "rolled_back"


def test_a_good_model_that_could_not_be_loaded_again_is_asked_for_again(bench: Bench) -> None:
    fail_its_trial(bench)
    bench.answer(ok=False, text="no memory for it just now")
    bench.live(70)
    bench.answer()
    assert bench.runtime.digest == bench.bundles.digest("1")


def test_a_device_that_slept_has_not_waited(bench: Bench) -> None:
    bench.run_in("1")
    bench.desire("2", QUICK)
    bench.fetch()
    bench.answer()
    bench.clock.up_s += 7200.0
    bench.updater.tick()
    bench.answer()
    bench.live(80)
    assert bench.phase == "good"


def test_what_another_one_takes_the_place_of_is_told_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run_in("1")
    bench.on_trial("2", QUICK)
    bench.desire("3", QUICK)
    assert bench.phase == "fetching"

    def full(store: Store, name: str, trial: object) -> None:
        raise Unavailable("no space left on device")

    monkeypatch.setattr(Store, "activate", full)
    bench.desire("1")
    bench.live(30)
    assert bench.phases.count("3 rejected") == 1
    monkeypatch.undo()
    bench.live(2)
    bench.answer()
    assert (bench.phase, bench.runtime.digest) == ("good", bench.bundles.digest("1"))


def test_a_model_that_was_left_does_not_run_on_where_none_is_good(bench: Bench) -> None:
    bench.say()
    bench.on_trial("1", QUICK)
    bench.desire("2", QUICK)
    bench.fetch()
    bench.answer()
    bench.answer(ok=False, text="its engine crashed")  # 1 runs on, which nobody tries any more
    assert bench.store.pipeline("lane").active is None
    bench.answer()
    assert bench.runtime.digest == CONFIGURED
    assert bench.phase == "rolled_back"


def test_an_old_trouble_does_not_speak_against_a_new_attempt(bench: Bench) -> None:
    bench.run_in("1")
    two = bench.bundles.digest("2")
    bench.desire("2", QUICK)
    bench.fetch()
    bench.answer()
    bench.answer(ok=False, text="no memory")
    bench.runtime.unloaded = f"model {two[:12]} was not loaded, the model before it runs on"
    bench.say()
    bench.desire("2", QUICK, attempt=1)
    bench.answer()
    bench.answer(ok=False, text="it is busy", later=True)
    assert bench.phase == "trial"
    bench.live(5)
    bench.runtime.unloaded = None
    bench.answer()
    bench.live(80)
    assert bench.phase == "good"


def test_a_model_without_a_single_result_is_not_good(bench: Bench) -> None:
    bench.run_in("1")
    bench.on_trial("2", QUICK)
    bench.begin()
    bench.runtime.fps = 0.0
    bench.live(120)
    assert bench.phase == "trial"
    bench.runtime.fps = 30.0
    bench.live(40)
    assert bench.phase == "good"


def test_a_process_that_ends_during_a_check_is_waited_for(bench: Bench) -> None:
    bench.run_in("1")
    bench.desire("2", QUICK)
    bench.fetch()
    bench.answer(ok=False, text="the pipeline ends", later=True)
    bench.runtime.listens = False
    bench.live(5000, says=False)
    assert bench.phase == "staged", "nothing was found out about it"
    bench.runtime.listens = True
    bench.runtime.restart()
    bench.settle(120)
    assert bench.phase == "good"


def test_a_newer_deployment_does_not_wait_for_a_check_that_is_put_off(
    bench: Bench, bundles: Bundles
) -> None:
    bench.run_in("1")
    bench.desire("2", QUICK)
    bench.fetch()
    for _ in range(120):
        bench.answer(ok=False, text=NO_MEMORY, later=True)
        bench.live(1)
    bench.answer(ok=False, text=NO_MEMORY, later=True)
    bench.desire("3", QUICK)
    assert bench.wanted == [bundles.digest("3")]


def test_a_model_that_is_damaged_after_its_check_is_checked_again(bench: Bench) -> None:
    bench.run_in("1")
    bench.desire("2", QUICK)
    bench.fetch()
    (bench.store.folder(bench.bundles.digest("2")) / "manifest.toml").write_text("?")
    bench.answer()
    bench.live(2)
    assert [type(each) for each in bench.runtime.asked] == [CheckModel]
    bench.answer(ok=False, text="damaged on disk")
    bench.live(2)
    assert (bench.phase, bench.reason) == ("rejected", "damaged on disk")
    assert bench.faults.standing() == ()
