"""A runtime that runs what the fleet deployed, as real processes: alone, and told by an agent."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from models.store import Store
from tests import deployed
from tests.graphs import tflite
from tests.story.serving import Service
from wire.local import (
    Answer,
    CheckModel,
    CheckReport,
    Leave,
    LoadModel,
    LoadReport,
    TakeSnapshot,
    Totals,
)
from wire.messages import Phase

# a camera that waits for nobody, and skips nothing
CAMERA = 'camera = "synthetic://64x48"\nresults = "off"\n'
UPDATES = '[updates]\nroot = "/etc/vedette/root.json"\n'
OWN = CAMERA + 'model = "digits"\n' + UPDATES
NONE = CAMERA + UPDATES


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state" / "models")


def served(service: Service) -> Totals:
    """Start it, without an agent, until frames came out; end it, and what it did."""
    service.start()
    service.serving()
    code, out = service.end()
    assert code == 0, service.said()
    return msgspec.json.decode(out, type=Totals)


def test_alone_it_starts_what_is_active_and_counts_that(store: Store, tmp_path: Path) -> None:
    digest = deployed.put_on_trial(store, deployed.digits(tmp_path, "2"))
    with Service(tmp_path, OWN, "--json") as service:
        totals = served(service)
    assert (totals.version, totals.digest, totals.unloaded) == ("2", digest, None)
    assert store.pipeline("door").starts == 1


def test_without_updates_the_store_is_not_asked(store: Store, tmp_path: Path) -> None:
    deployed.put_on_trial(store, deployed.digits(tmp_path, "2"))
    with Service(tmp_path, OWN.replace(UPDATES, ""), "--json") as service:
        assert served(service).version == "1"
    assert store.pipeline("door").starts == 0


@pytest.mark.slow
def test_killed_again_and_again_in_a_trial_it_goes_back_by_itself(
    store: Store, tmp_path: Path
) -> None:
    good = deployed.make_good(store, deployed.digits(tmp_path, "2"))
    tried = deployed.put_on_trial(store, deployed.digits(tmp_path, "3"))
    with Service(tmp_path, OWN, "--json") as service:
        for count in (1, 2):
            service.start()
            service.serving()
            assert service.end(signal.SIGKILL)[0] == -signal.SIGKILL
            assert store.pipeline("door").starts == count
            service.heard.systemd.clear()
        totals = served(service)
    assert totals.digest == good and tried[:12] in (totals.unloaded or "")
    assert "started 3 times in its trial" in (totals.unloaded or "")
    assert store.pipeline("door").active == tried, "the agent rolls back, when it is there"


def test_damaged_on_disk_the_good_one_runs(store: Store, tmp_path: Path) -> None:
    good = deployed.make_good(store, deployed.digits(tmp_path, "2"))
    deployed.damage(store, deployed.put_on_trial(store, deployed.digits(tmp_path, "3")))
    with Service(tmp_path, OWN, "--json") as service:
        totals = served(service)
    assert totals.digest == good and "damaged on disk" in (totals.unloaded or "")


def test_what_crashes_is_not_opened_and_the_configured_one_runs(
    store: Store, tmp_path: Path
) -> None:
    deployed.put_on_trial(store, deployed.crashing(tmp_path, "1"))
    with Service(tmp_path, OWN, "--json") as service:
        totals = served(service)
    assert totals.model == "digits" and "crashes its engine" in (totals.unloaded or "")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Runs its configured model, and an agent listens."""
    with Service(tmp_path, OWN) as service:
        service.open_agent()
        service.start()
        service.serving()
        yield service


def report(answer: Answer) -> LoadReport:
    assert answer.ok and answer.content is not None, answer.text
    return msgspec.json.decode(answer.content, type=LoadReport)


def after(service: Service, since_s: float, phase: Phase) -> Totals:
    """The first totals of this phase after that moment in the life of the process."""
    return service.totals_where(lambda each: each.phase == phase and each.seconds > since_s)


def test_without_any_model_it_waits_well_and_then_serves(store: Store, tmp_path: Path) -> None:
    digest = store.install(deployed.digits(tmp_path, "2"))
    with Service(tmp_path, NONE, watchdog_s=1.5) as service:
        service.open_agent()
        service.start()
        service.serving()
        waiting = service.totals_where(lambda each: each.phase == "no_model")
        assert (waiting.model, waiting.version, waiting.digest, waiting.engine) == ("",) * 4
        petted = service.lines().count("WATCHDOG=1")
        service.wait_for(lambda: service.lines().count("WATCHDOG=1") >= petted + 3)
        assert not service.answer_to(TakeSnapshot("s", 60_000), "s").ok
        for round in "ab":
            since_s = service.heard.totals[-1].seconds
            answer = service.answer_to(LoadModel(f"l{round}", digest), f"l{round}")
            assert report(answer).digest == digest and report(answer).gap_s is None
            serving = after(service, since_s, "serving")
            assert (serving.version, serving.run) == ("2", waiting.run)
            assert report(service.answer_to(LoadModel(f"n{round}", None), f"n{round}")).digest == ""
            assert after(service, serving.seconds, "no_model").digest == ""
        assert service.end()[0] == 0
        assert service.heard.totals[-1].losses.skipped == 0


def test_checked_and_loaded_while_frames_flow(
    store: Store, tmp_path: Path, service: Service
) -> None:
    digest = store.install(deployed.digits(tmp_path, "2"))
    answer = service.answer_to(CheckModel("1", digest), "1")
    assert answer.ok and answer.content is not None, answer.text
    checked = msgspec.json.decode(answer.content, type=CheckReport)
    assert (checked.name, checked.version, checked.golden) == ("digits", "2", 4)
    assert checked.peak_rss_mb > 10 and checked.inference_us > 0
    store.activate("door", deployed.trial(digest))
    assert report(service.answer_to(LoadModel("2", digest), "2")).digest == digest
    assert store.pipeline("door").starts == 1, "a start beside the loop counts too"
    totals = service.totals_where(lambda each: each.digest == digest and bool(each.scores.frames))
    assert totals.unloaded is None and totals.scores.sum > 0
    assert set(json.loads(msgspec.json.encode(totals.losses)).values()) <= {0}
    assert service.totals_where(lambda each: bool(each.formats)).formats[0] == "tflite"
    before = report(service.answer_to(LoadModel("3", digest), "3"))
    assert before.digest == digest and store.pipeline("door").starts == 1, "it runs already"
    service.send(signal.SIGHUP)
    service.wait_for(lambda: "which the fleet deployed, runs on" in service.said())
    assert report(service.answer_to(LoadModel("4", None), "4")).digest != digest
    service.totals_where(lambda each: each.version == "1" and each.frames > totals.frames)
    assert service.end()[0] == 0
    assert service.heard.totals[-1].losses.skipped == 0


def test_what_fails_leaves_the_running_one_alone(
    store: Store, tmp_path: Path, service: Service
) -> None:
    first = service.totals_where(lambda each: each.phase == "serving")
    crashing = store.install(deployed.crashing(tmp_path, "1"))
    wrong = store.install(deployed.wrong(tmp_path, "2"))
    damaged = store.install(deployed.digits(tmp_path, "3"))
    deployed.damage(store, damaged)
    answers = {
        "crashes its engine": CheckModel("1", crashing),
        "golden sample golden-1.png": CheckModel("2", wrong),
        "damaged on disk": CheckModel("3", damaged),
        "is not installed": CheckModel("4", "0" * 64),
    }
    for words, wish in answers.items():
        answer = service.answer_to(wish, wish.id)
        assert not answer.ok and answer.content is None and words in answer.text
    answer = service.answer_to(LoadModel("6", damaged), "6")
    assert not answer.ok and "damaged on disk" in answer.text
    late = service.totals_where(lambda each: each.unloaded is not None)
    assert late.digest == first.digest and "runs on" in (late.unloaded or "")
    assert not service.answer_to(LoadModel("7", crashing), "7").ok
    # nothing is active in the store: there is no trouble with what it wants
    service.totals_where(lambda each: each.unloaded is None and each.seconds > late.seconds)
    assert service.end()[0] == 0
    last = service.heard.totals[-1]
    assert last.digest == first.digest and last.frames > first.frames
    assert (last.losses.skipped, last.losses.driver) == (0, 0)


def test_one_wish_at_a_time_and_leaving_waits_for_none(
    store: Store, tmp_path: Path, service: Service
) -> None:
    endless = store.install(deployed.hostile(tmp_path, "1", tflite.endless))
    service.wish(CheckModel("1", endless))
    for wish in (CheckModel("2", endless), LoadModel("3", None)):
        answer = service.answer_to(wish, wish.id)
        assert not answer.ok and answer.text.startswith(f"busy: {endless[:12]} is being checked")
    begun_s = time.monotonic()
    service.wish(Leave("4"))
    assert service.end(None)[0] == 0
    assert time.monotonic() - begun_s < 10
    assert [each.text for each in service.heard.answers if each.id == "1"] == ["the pipeline ends"]
