"""Which model a pipeline starts with, by what lies in a real store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from models.store import Store
from runtime.choosing import Choice, configured
from runtime.choosing import deployed as chosen
from runtime.engines import EngineOptions
from runtime.locating import ZOO
from runtime.loop import NO_MODEL
from runtime.sources import MOST_STARTS, Sources
from tests import deployed
from tests.deployed import PIPELINE
from wire.troubles import Refused

OWN = ZOO / "digits-detect"
Choose = Callable[[Path | None], Choice]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Store(tmp_path / "models")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def choose(store: Store, said: list[str]) -> Choose:
    def start(own: Path | None) -> Choice:
        """As a process that starts; the engine computes nothing, so no child tries the models."""
        sources = Sources(store, PIPELINE, own, "null", EngineOptions(), said.append)
        return chosen(sources, lambda: None)

    return start


def test_nothing_deployed_and_nothing_configured(choose: Choose) -> None:
    assert choose(None) == Choice(NO_MODEL, None)


def test_nothing_deployed(choose: Choose) -> None:
    choice = choose(OWN)
    assert choice.model.manifest.name == "digits-detect" and choice.unloaded is None
    assert choice.source is not None and choice.source.digest is None


def test_what_is_active_goes_before_what_is_configured(
    choose: Choose, store: Store, tmp_path: Path
) -> None:
    digest = deployed.put_on_trial(store, deployed.digits(tmp_path, "2"))
    choice = choose(OWN)
    assert choice.model.digest == digest and choice.unloaded is None
    assert choice.source is not None and choice.source.digest == digest
    store.mark_good(PIPELINE, digest)
    assert choose(OWN).model.digest == digest
    assert store.pipeline(PIPELINE).starts == 0, "a good model is started as often as one likes"


def test_the_last_start_of_a_trial_is_the_good_models(
    choose: Choose, store: Store, tmp_path: Path
) -> None:
    good = deployed.make_good(store, deployed.digits(tmp_path, "2"))
    tried = deployed.put_on_trial(store, deployed.digits(tmp_path, "3"))
    for _ in range(MOST_STARTS - 1):
        assert choose(OWN).model.digest == tried
    for count in (MOST_STARTS, MOST_STARTS + 1):
        choice = choose(OWN)
        assert choice.model.digest == good
        assert f"started {count} times in its trial" in (choice.unloaded or "")
    store.rollback(PIPELINE, tried, "died")
    store.forgive(PIPELINE, tried)
    store.activate(PIPELINE, deployed.trial(tried))
    assert choose(OWN).model.digest == tried, "another trial, other starts"


def test_a_first_model_that_never_stays_leaves_the_configured_one_or_none(
    choose: Choose, store: Store, tmp_path: Path
) -> None:
    deployed.put_on_trial(store, deployed.digits(tmp_path, "2"))
    for _ in range(MOST_STARTS - 1):
        choose(None)
    choice = choose(None)
    assert choice.model is NO_MODEL and "3 times" in (choice.unloaded or "")
    assert choose(OWN).model.manifest.name == "digits-detect"


def test_damaged_ones_are_passed_by(choose: Choose, store: Store, tmp_path: Path) -> None:
    good = deployed.make_good(store, deployed.digits(tmp_path, "2"))
    tried = deployed.put_on_trial(store, deployed.digits(tmp_path, "3"))
    deployed.damage(store, tried)
    choice = choose(OWN)
    assert choice.model.digest == good
    assert choice.unloaded is not None and f"model {tried[:12]} is not run" in choice.unloaded
    deployed.damage(store, good)
    choice = choose(OWN)
    assert choice.model.manifest.name == "digits-detect"
    assert (choice.unloaded or "").count("damaged on disk") == 2


def test_a_model_that_is_gone(choose: Choose, store: Store, tmp_path: Path) -> None:
    good = deployed.make_good(store, deployed.digits(tmp_path, "2"))
    tried = deployed.put_on_trial(store, deployed.digits(tmp_path, "3"))
    store.folder(tried).rename(tmp_path / "gone")
    choice = choose(OWN)
    assert choice.model.digest == good and "not installed" in (choice.unloaded or "")


def test_a_configured_one_that_will_not_open_is_no_reason_to_end(choose: Choose) -> None:
    choice = choose(Path("/nowhere/model"))
    assert choice.model is NO_MODEL
    assert "/nowhere/model is not run: there is no model at" in (choice.unloaded or "")


def test_where_no_fleet_deploys_it_is(store: Store, said: list[str]) -> None:
    sources = Sources(
        store, PIPELINE, Path("/nowhere/model"), None, EngineOptions(), said.append
    )  # fmt: skip
    with pytest.raises(Refused, match="there is no model at"):
        configured(sources)


def test_a_start_that_cannot_be_counted_is_made(
    choose: Choose, store: Store, tmp_path: Path, said: list[str]
) -> None:
    digest = deployed.put_on_trial(store, deployed.digits(tmp_path, "2"))
    (tmp_path / "models" / "starts").write_text("in the way")
    for _ in range(MOST_STARTS + 1):
        assert choose(OWN).model.digest == digest
    assert len(said) == MOST_STARTS + 1 and "is not counted" in said[0]


def test_a_disk_that_takes_nothing_any_more_does_not_make_a_trial_endless(
    choose: Choose, store: Store, tmp_path: Path, said: list[str]
) -> None:
    tried = deployed.put_on_trial(store, deployed.digits(tmp_path, "2"))
    for _ in range(MOST_STARTS - 1):
        assert choose(OWN).model.digest == tried
    (tmp_path / "models" / "starts" / f".{PIPELINE}.new").mkdir()
    assert choose(OWN).model.manifest.name == "digits-detect"
    assert "is not counted" in said[0]


def test_every_try_is_announced(store: Store, tmp_path: Path, said: list[str]) -> None:
    """Each may take minutes: systemd is told so."""
    deployed.make_good(store, deployed.digits(tmp_path, "2"))
    deployed.damage(store, deployed.put_on_trial(store, deployed.digits(tmp_path, "3")))
    sources = Sources(store, PIPELINE, None, "null", EngineOptions(), said.append)
    tries: list[int] = []
    chosen(sources, lambda: tries.append(1))
    assert len(tries) == 2
