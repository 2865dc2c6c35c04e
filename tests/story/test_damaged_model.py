"""A deployed model that the disk damages: said, fetched again by itself, and good again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.store import Store
from tests.deployed import damage
from tests.yard import Yard, digits

pytestmark = pytest.mark.slow


def damages(yard: Yard) -> str:
    """What `vedette fleet status` says of damaged models."""
    status = json.loads(yard.run("fleet", "status", "--json").out)
    return str(status["devices"]["door"]["damages"])


def test_it_is_named_and_comes_again_and_is_good_without_a_trial(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        device = yard.device()
        device.start("agent")
        device.start("lane")
        yard.until(lambda: yard.state() is not None)
        assert yard.push(digits(tmp_path, "1"), trial_s=1).code == 0
        yard.until_ended("1", "good")
        yard.until(lambda: yard.runs("1"))
        store = Store(tmp_path / "door" / "state" / "models")
        (one,) = store.installed()
        told = len(yard.phases("1"))

        device.kill("lane")
        damage(store, one)
        yard.kill_depot()
        device.start("lane")
        named = f"lane: model: digits 1 ({one[:12]}) is damaged on disk: it is fetched again"
        yard.until(lambda: (state := yard.state()) and named in state.faults)
        yard.until(lambda: yard.phases("1")[told:] == ["fetching"])

        yard.start_depot()
        again = yard.run("fleet", "deploy", "lane", "digits", "1", "--retry", "--json")
        assert again.code == 0, again.err
        yard.until(lambda: yard.runs("1") and not (yard.state() or pytest.fail()).faults)
        yard.until(lambda: yard.phases("1")[told:] == ["fetching", "good"])
        assert "fetched again" in yard.reason("1")
        assert store.is_whole(one) and damages(yard) == "[]"
        assert store.pipeline("lane").good == store.pipeline("lane").active == one
