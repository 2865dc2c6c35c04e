"""What the fleet wants and cannot have: no such version, no room, no answer, no trust."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.fetch.words import NotRefreshed
from tests.update_bench import Bench, Bundles
from wire.deployments import Gates

QUICK = Gates(trial_s=60.0, first_result_s=20.0)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    return Bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def bench(tmp_path: Path, bundles: Bundles) -> Bench:
    return Bench(tmp_path, bundles)


def test_a_version_that_there_is_not(bench: Bench) -> None:
    bench.say()
    bench.desire("9")
    assert bench.phase == "rejected"
    assert "no such version" in bench.reason
    bench.desire("9")
    assert bench.phases == ["9 rejected"]
    bench.desire("1", QUICK)
    bench.settle(100)
    assert bench.phase == "good"


def test_a_good_version_that_is_retired_runs_on(bench: Bench, bundles: Bundles) -> None:
    one = bench.run_in("1")
    kept = bundles.all.pop("1")
    try:
        bench.desire("1")
        assert bench.phase == "good"
        bench.settle(20)
        assert bench.runtime.digest == one
    finally:
        bundles.all["1"] = kept


def test_waits_until_the_formats_are_known(bench: Bench) -> None:
    bench.desire("1")
    assert (bench.phase, bench.wanted) == ("fetching", [])
    assert "which formats" in bench.reason
    bench.runtime.formats = ()
    bench.say()
    assert bench.wanted == []
    bench.runtime.formats = ("onnx",)
    bench.say()
    assert bench.phase == "rejected"
    assert "there is tflite" in bench.reason
    bench.runtime.formats = ("onnx", "tflite")
    bench.say()
    assert bench.phase == "fetching"
    assert len(bench.wanted) == 1


def test_no_room_and_no_answer_are_reasons_and_faults(bench: Bench) -> None:
    bench.say()
    bench.desire("1")
    bench.lack("no_room", "no room: 3.0 MiB more are needed")
    bench.live(1)
    assert bench.phase == "fetching"
    assert bench.reason == "no room: 3.0 MiB more are needed"
    assert bench.faults.standing() == ("disk: no room: 3.0 MiB more are needed",)
    bench.lack("unavailable", "no answer")
    bench.live(700)
    assert "depot: the depot has not answered for 10 minutes: no answer" in bench.faults.standing()
    bench.settle()
    assert bench.phase == "good"
    assert bench.faults.standing() == ()


def test_metadata_that_is_not_believed_is_a_fault_and_stops_nothing(bench: Bench) -> None:
    one = bench.run_in("1")
    why = "the fleet's timestamp expired on 2027-01-01: is vedette fleet depot running?"
    bench.updater.take(NotRefreshed(why, "refused"))
    bench.live(1)
    assert bench.faults.standing() == (f"trust: {why}",)
    assert bench.looks == 0
    bench.updater.clock_was_set()
    assert bench.looks == 1, "by another clock it may be right"
    bench.live(50)
    assert bench.runtime.digest == one
    bench.desire("1")
    bench.live(1)
    assert bench.faults.standing() == ()
    bench.updater.clock_was_set()
    assert bench.looks == 1, "nothing was refused"


def test_a_runtime_that_is_busy_is_asked_again(bench: Bench, bundles: Bundles) -> None:
    bench.say()
    bench.desire("1", QUICK)
    bench.fetch()
    bench.answer(ok=False, text="it has other things to do", later=True)
    assert bench.phase == "checking"
    bench.live(5)
    bench.answer()
    assert bench.phase == "trial"
    bench.answer(ok=False, text="it has other things to do", later=True)
    assert bench.phase == "trial"
    bench.live(5)
    bench.answer()
    assert bench.runtime.digest == bundles.digest("1")


def test_a_bundle_that_does_not_verify_is_not_fetched_again(bench: Bench) -> None:
    bench.say()
    bench.desire("1")
    bench.lack("refused", "not a bundle")
    assert (bench.phase, bench.reason, bench.wanted) == ("rejected", "not a bundle", [])
    bench.begin()
    bench.say()
    bench.desire("1")
    assert (bench.phase, bench.wanted) == ("rejected", [])


def test_a_model_that_was_taken_away_is_fetched_again(bench: Bench, bundles: Bundles) -> None:
    import shutil

    bench.say()
    bench.desire("1", QUICK)
    bench.fetch()
    shutil.rmtree(bench.store.folder(bundles.digest("1")))
    bench.answer()
    assert (bench.phase, bench.wanted) == ("fetching", [bundles.digest("1")])
    bench.settle(120)
    assert bench.phase == "good"


@pytest.mark.parametrize(
    ("role", "days", "word"),
    [
        ("root", 31, None),
        ("root", 29, "the fleet's root expires in 29 days and was not renewed: renew it"),
        ("targets", 29, "vedette fleet keys renew"),
        ("timestamp", 4, None),  # it lives for 7 days only
        ("timestamp", 1, "expires in 1 days"),
        ("deployments", 16, None),
        ("deployments", 9, "depot"),
        ("timestamp", -1, "has expired, and nothing is updated"),
    ],
)
def test_what_should_have_been_renewed(
    bench: Bench, role: str, days: float, word: str | None
) -> None:
    far = bench.clock.wall_s() + 300 * 86400.0
    bench.expiries = (("x", far), (role, bench.clock.wall_s() + days * 86400.0))
    bench.desire(None)
    bench.live(1)
    faults = bench.faults.standing()
    assert bool(faults) == (word is not None)
    assert word is None or word in faults[0]
