"""A good model that is damaged on disk: named, fetched again, and good again without a trial."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.fetch.words import Progress
from tests.deployed import damage
from tests.update_bench import CONFIGURED, Bench, Bundles
from wire.deployments import Gates
from wire.local import CheckModel


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    return Bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def bench(tmp_path: Path, bundles: Bundles) -> Bench:
    return Bench(tmp_path, bundles)


def flip(bench: Bench, digest: str) -> None:
    damage(bench.store, digest)


def spoil_manifest(bench: Bench, digest: str) -> None:
    (bench.store.folder(digest) / "manifest.toml").write_bytes(b"\0" * 100)


def lose_file(bench: Bench, digest: str) -> None:
    (model,) = bench.store.folder(digest).glob("*.tflite")
    model.unlink()


def take_away(bench: Bench, digest: str) -> None:
    shutil.rmtree(bench.store.folder(digest))


def restart(bench: Bench) -> None:
    bench.runtime.restart()
    bench.say()


HARMS = pytest.mark.parametrize("harm", [flip, spoil_manifest, lose_file, take_away])


@HARMS
@pytest.mark.parametrize("agent_restarts", [False, True])
def test_it_comes_again_and_is_good_without_a_trial(
    bench: Bench, harm: Callable[[Bench, str], None], agent_restarts: bool
) -> None:
    one = bench.run_in("1")
    harm(bench, one)
    if agent_restarts:
        bench.begin()
        bench.desire("1")
    restart(bench)
    assert bench.runtime.digest == CONFIGURED
    bench.examined()
    assert (bench.phase, bench.wanted) == ("fetching", [one]), bench.update
    assert bench.reason == "damaged on disk: it is fetched again"
    words = f"digits 1 ({one[:12]}) is damaged on disk: it is fetched again"
    assert bench.updater.damage("lane") == words
    bench.updater.take(Progress(one, bench.bundles.all["1"].size // 2))
    assert bench.update is not None and bench.update.percent == 45
    told = len(bench.told)
    bench.answer()  # it was asked to load it all the same, and cannot
    bench.fetch()
    bench.answer()
    assert (bench.runtime.digest, bench.updater.damage("lane")) == (one, None)
    bench.live(5)
    assert (bench.phase, bench.wanted) == ("good", [])
    assert "fetched again" in bench.reason
    assert bench.phases[told:] == ["1 good"], "neither a check nor a trial"
    state = bench.store.pipeline("lane")
    assert (state.active, state.good, state.trial) == (one, one, None)
    assert bench.faults.standing() == ()
    quiet = list(bench.told)
    bench.settle()
    assert bench.told == quiet


@HARMS
def test_what_a_roll_back_goes_back_to_comes_again(
    bench: Bench, harm: Callable[[Bench, str], None]
) -> None:
    """The fleet wants version 2, which was rolled back: nobody but the store names version 1."""
    one = bench.run_in("1")
    bench.on_trial("2", Gates(trial_s=60.0, p95_ms=20.0))
    harm(bench, one)
    bench.runtime.us = 30_000.0
    bench.live(20)
    bench.answer()
    bench.runtime.us = 4000.0
    bench.settle(30)
    assert bench.runtime.digest == one, "fetched, and loaded"
    assert (bench.phase, bench.updater.damage("lane")) == ("rolled_back", None)
    assert bench.store.pipeline("lane").good == one


def test_of_what_is_deployed_no_more_too(bench: Bench) -> None:
    one = bench.run_in("1")
    flip(bench, one)
    restart(bench)
    bench.examined()
    bench.desire(None)
    bench.examined()
    assert bench.wanted == [one]
    assert bench.phase == "fetching", "it was not rejected"
    bench.settle(20)
    assert (bench.phase, bench.runtime.digest) == ("good", one)


def test_while_it_does_not_come_the_reason_says_why(bench: Bench) -> None:
    one = bench.run_in("1")
    flip(bench, one)
    restart(bench)
    bench.examined()
    bench.lack("unavailable", "no answer")
    assert bench.reason == "damaged on disk: no answer"
    assert f"({one[:12]}) is damaged on disk: no answer" in (bench.updater.damage("lane") or "")
    bench.live(650)
    assert bench.wanted == [one]
    assert any("has not answered" in fault for fault in bench.faults.standing())
    assert len(bench.doubted) == 0, "it is known: nothing is read again"
    bench.settle(20)
    assert (bench.phase, bench.runtime.digest, bench.faults.standing()) == ("good", one, ())


def test_one_that_the_fleet_has_retired_is_named(bench: Bench, bundles: Bundles) -> None:
    one = bench.run_in("1")
    flip(bench, one)
    kept = bundles.all.pop("1")
    try:
        restart(bench)
        bench.examined()
        assert bench.wanted == []
        assert "deploy another version" in (bench.updater.damage("lane") or "")
    finally:
        bundles.all["1"] = kept
    bench.desire("2")
    bench.settle()
    assert (bench.phase, bench.updater.damage("lane")) == ("good", None)


def test_one_that_is_whole_and_does_not_load_is_not_fetched(bench: Bench) -> None:
    one = bench.run_in("1")
    restart(bench)
    bench.runtime.digest = CONFIGURED
    bench.runtime.unloaded = f"model {one[:12]} is not run: there is no memory"
    bench.say()
    assert bench.doubted == [one]
    bench.examined()
    bench.live(30)
    assert (bench.wanted, bench.doubted, bench.updater.damage("lane")) == ([], [], None)
    seen = 0
    for _ in range(60):
        bench.live(60)
        seen += len(bench.doubted)
        bench.examined()
    assert 2 <= seen <= 6, "later and later: it reads all of the model"


def test_a_disk_that_spoils_it_each_time_does_not_fetch_without_end(bench: Bench) -> None:
    one = bench.run_in("1")
    flip(bench, one)
    restart(bench)
    fetched = 0
    for _ in range(360):
        bench.examined()
        fetched += len(bench.wanted)
        bench.fetch()
        if bench.store.is_whole(one):
            flip(bench, one)
        bench.answer()
        bench.live(10)
    assert 2 <= fetched <= 7, "an hour of it"
    assert bench.updater.damage("lane") is None or one[:12] in str(bench.updater.damage("lane"))


def test_retry_looks_again_at_once(bench: Bench) -> None:
    one = bench.run_in("1")
    restart(bench)
    bench.runtime.digest = CONFIGURED
    bench.runtime.unloaded = f"model {one[:12]} is not run: there is no memory"
    bench.say()
    bench.examined()
    flip(bench, one)
    bench.live(5)
    assert bench.doubted == []
    bench.desire("1", attempt=1)
    assert bench.doubted == [one]
    bench.settle(20)
    assert (bench.phase, bench.runtime.digest) == ("good", one)


def test_a_newer_version_comes_as_well(bench: Bench, bundles: Bundles) -> None:
    """A newer version that was deployed meanwhile comes too, after what is gone back to."""
    one = bench.run_in("1")
    flip(bench, one)
    restart(bench)
    bench.examined()
    bench.desire("2")
    bench.examined()
    assert bench.wanted == [one, bundles.digest("2")]
    bench.settle()
    assert (bench.phase, bench.runtime.digest) == ("good", bundles.digest("2"))
    assert not [each for each in bench.runtime.asked if isinstance(each, CheckModel)]
