"""The way of a model, whole: an operator's commands, a broker, a depot, devices of processes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models import bundle
from tests.device import Device
from tests.yard import Yard, digits, digits_folder, lying, rewrite

pytestmark = pytest.mark.slow


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with Yard(tmp_path) as yard:
        yield yard


def started(yard: Yard, name: str = "door", **more: str) -> Device:
    """A device that is up and waits for its first model."""
    device = yard.device(name, **more)
    device.start("agent")
    device.start("lane")
    yard.until(lambda: (state := yard.state(name)) and state.pipelines["lane"].phase == "no_model")
    return device


def slow(folder: Path, version: str) -> Path:
    """A bundle that is slower than its own manifest allows."""
    made = digits_folder(folder, version)
    with open(made / "manifest.toml", "a", encoding="utf-8") as manifest:
        manifest.write("\n[limits]\np95_ms = 0.001\n")
    packed = folder / f"slow-{version}.zip"
    bundle.pack(made, packed)
    return packed


def test_four_versions(yard: Yard, tmp_path: Path) -> None:
    """Two good ones, one that is rejected, one that is tried and rolled back, and then peace."""
    device = started(yard)
    first = yard.push(digits(tmp_path, "1"))
    assert first.code == 0, first.err
    yard.until_ended("1", "good")  # the state says so before its record has come
    assert yard.phases("1") == ["fetching", "staged", "checking", "trial", "good"]
    second = yard.push(digits(tmp_path, "2"))
    assert second.code == 0, second.err
    yard.until(lambda: yard.runs("2"))

    third = yard.push(lying(tmp_path, "3"))
    assert third.code == 1, third.err
    yard.until_ended("3", "rejected")
    assert "trial" not in yard.phases("3")
    assert "golden" in yard.reason("3")
    fourth = yard.push(slow(tmp_path, "4"))
    assert fourth.code == 1, fourth.err
    yard.until_ended("4", "rolled_back")
    assert yard.phases("4")[-2:] == ["trial", "rolled_back"]
    assert "too slow" in yard.reason("4")
    yard.until(lambda: yard.runs("2"))

    device.kill("agent")
    device.kill("lane")
    tried = len(yard.updates())
    device.start("agent")
    device.start("lane")
    yard.until(lambda: "connected" in device.log("agent").rpartition("started")[2])
    yard.until(lambda: (state := yard.state()) and state.pipelines["lane"].phase == "serving")
    time.sleep(3)  # whatever it would try again it would have begun
    assert [one.phase for one in yard.updates()[tried:] if one.phase != "good"] == []
    assert yard.runs("2")


def test_a_first_model_that_fails_leaves_the_device_waiting_for_the_next(
    yard: Yard, tmp_path: Path
) -> None:
    started(yard)
    assert yard.push(slow(tmp_path, "1")).code == 1
    yard.until_ended("1", "rolled_back")
    yard.until(lambda: (state := yard.state()) and state.pipelines["lane"].phase == "no_model")
    assert yard.push(digits(tmp_path, "2"), trial_s=1).code == 0
    yard.until(lambda: yard.runs("2"))


def test_the_same_twice_is_no_news_and_other_bytes_are_another_version(
    yard: Yard, tmp_path: Path
) -> None:
    started(yard)
    packed = digits(tmp_path, "1")
    assert yard.push(packed).code == 0
    told = len(yard.updates())
    again = yard.push(packed)
    assert again.code == 0, again.err
    assert len(yard.updates()) == told
    other = digits_folder(tmp_path / "other", "1")
    rewrite(other, "top_k = 3", "top_k = 4")
    bundle.pack(other, tmp_path / "other.zip")
    refused = yard.push(tmp_path / "other.zip")
    assert refused.code == 2 and refused.err.count("\n") <= 2
    assert "other bytes" in refused.err


def test_canary_then_wave_then_back(yard: Yard, tmp_path: Path) -> None:
    for name in ("door", "gate"):
        started(yard, name)
    assert yard.push(digits(tmp_path, "1"), trial_s=1).code == 0
    canary = yard.push(digits(tmp_path, "2"), more=("--canary", "gate"))
    assert canary.code == 0, canary.err
    yard.until(lambda: yard.runs("2", "gate") and yard.runs("1", "door"))
    words = ["--wave", "100%", "--trial", "3", "--json"]
    wide = yard.run("fleet", "deploy", "lane", "digits", "2", *words)
    assert wide.code == 0, wide.err
    yard.until(lambda: yard.runs("2", "door"))

    back = yard.run("fleet", "rollback", "lane", "--json")
    assert back.code == 0, back.err
    for name in ("door", "gate"):
        yard.until(lambda name=name: yard.runs("1", name))  # type: ignore[misc]
        assert "fetching" not in [one.phase for one in yard.updates(name)[-3:]], "it was kept"
    status = json.loads(yard.run("fleet", "status", "--json").out)
    assert {"door", "gate"} <= set(status["devices"])


def test_what_is_retired_is_deployed_no_more(yard: Yard, tmp_path: Path) -> None:
    started(yard)
    assert yard.push(digits(tmp_path, "1"), trial_s=1).code == 0
    assert yard.push(digits(tmp_path, "2"), trial_s=1).code == 0
    retired = yard.run("fleet", "retire", "digits", "1", "--json")
    assert retired.code == 0, retired.err
    refused = yard.run("fleet", "deploy", "lane", "digits", "1", "--json")
    assert refused.code == 2, refused.out


def test_an_agent_killed_again_and_again_comes_to_the_end(yard: Yard, tmp_path: Path) -> None:
    device = started(yard)
    assert yard.push(digits(tmp_path, "1"), trial_s=1).code == 0
    pushed = yard.push(digits(tmp_path, "2"), trial_s=6, more=("--no-wait",))
    assert pushed.code == 0, pushed.err
    for wait_s in (0.1, 0.6, 1.1, 1.6, 2.1):
        time.sleep(wait_s)
        device.kill("agent")
        device.start("agent")
    yard.until_ended("2", "good")
    yard.until(lambda: yard.runs("2"))


def test_a_depot_and_a_broker_that_die_in_between(yard: Yard, tmp_path: Path) -> None:
    started(yard)
    assert yard.push(digits(tmp_path, "1"), trial_s=1).code == 0
    yard.kill_depot()
    packed = digits(tmp_path, "2")
    nobody = yard.push(packed, more=("--timeout", "5"))
    assert nobody.code == 1 and "depot" in nobody.err
    yard.start_depot()
    assert yard.push(packed, more=("--no-wait",)).code == 0
    yard.broker.kill()
    time.sleep(2)
    yard.broker.start()
    yard.until_ended("2", "good")


def test_who_commands_is_said_by_the_release(yard: Yard) -> None:
    """The key list that devices obey is signed; vedette.toml need not name one."""
    started(yard)
    yard.until(lambda: (state := yard.state()) and state.trusted is not None)
    key = str(yard.fleet / "keys" / "command.pem")
    asked = yard.run(
        "ask", "door", "status", "--key", key, "--fleet", "yard", "--broker", yard.broker.url()
    )
    assert asked.code == 0, asked.err
