"""What operators set lies over the configuration, and outlives the agent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.settings import Settings
from wire import config
from wire.messages import PipelineSettings
from wire.orders import Set
from wire.troubles import Refused, Unavailable

DOOR = '[pipeline.door]\ncamera = "synthetic://"\nmodel = "m"\nmin_score = 0.5\nresults = "every"\n'
ROOF = '[pipeline.roof]\ncamera = "synthetic://"\nmodel = "m"\n'


def configured(*pipelines: str) -> config.Config:
    text = 'device = "d"\nlog_level = "warning"\n[broker]\nurl = "mqtt://localhost"\n'
    text += "[telemetry]\nperiod_s = 120\n"
    return config.parse(text + "".join(pipelines), "vedette.toml")


ONE, BOTH = configured(DOOR), configured(DOOR, ROOF)


def test_nothing_set_is_the_configuration(tmp_path: Path) -> None:
    both = Settings(tmp_path, BOTH)
    assert both.telemetry_period_s == 120
    assert both.log_level == "warning"
    assert both.pipeline("door") == PipelineSettings("every", 1.0, 0.5)
    assert both.pipeline("roof") == PipelineSettings("change", 1.0, None)
    assert both.damage is None
    assert os.listdir(tmp_path) == []


def test_what_was_set_lies_over_it_and_stays(tmp_path: Path) -> None:
    before = Settings(tmp_path, BOTH)
    said = before.apply(Set("door", "off", 5.0, 0.0, 30.0, "debug"))
    assert said == (
        "results of door is now off, results_per_s of door is now 5, min_score of door is now "
        "0, telemetry_period_s is now 30, log_level is now debug"
    )
    for each in (before, Settings(tmp_path, BOTH)):
        assert each.telemetry_period_s == 30
        assert each.log_level == "debug"
        assert each.pipeline("door") == PipelineSettings("off", 5.0, 0.0)
        assert each.pipeline("roof") == PipelineSettings("change", 1.0, None)


def test_what_was_not_set_follows_the_configuration(tmp_path: Path) -> None:
    Settings(tmp_path, ONE).apply(Set(results_per_s=5.0))
    changed = configured(DOOR.replace("0.5", "0.75"))
    assert Settings(tmp_path, changed).pipeline("door") == PipelineSettings("every", 5.0, 0.75)


def test_reset_goes_back_to_the_configuration(tmp_path: Path) -> None:
    one = Settings(tmp_path, ONE)
    one.apply(Set(None, "off", 5.0, 0.1, 30.0, "debug"))
    said = one.apply(Set(reset=("min_score", "log_level")))
    assert said == (
        "min_score of door is now 0.5 (as configured), log_level is now warning (as configured)"
    )
    assert one.pipeline("door") == PipelineSettings("off", 5.0, 0.5)
    assert (one.telemetry_period_s, one.log_level) == (30, "warning")
    one.apply(Set(results="every", reset=("results_per_s", "telemetry_period_s")))
    again = Settings(tmp_path, ONE)
    assert again.pipeline("door") == PipelineSettings("every", 1.0, 0.5)
    again.apply(Set(reset=("results",)))
    assert b"door" not in (tmp_path / "settings.json").read_bytes()
    roof = Settings(tmp_path, configured(ROOF))
    assert roof.apply(Set(reset=("min_score",))) == (
        "min_score of roof is now as the model has it (as configured)"
    )


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (Set(), "say what to set"),
        (Set("door"), "say what to set"),
        (Set(results="off"), "say which pipeline: this device has door, roof"),
        (Set(reset=("results",)), "say which pipeline"),
        (Set("gate", results="off"), "there is no pipeline gate"),
        (Set("gate", log_level="debug"), "there is no pipeline gate"),
        (Set(log_level="debug", reset=("log_level",)), "log_level: set it or reset it, not both"),
    ],
    ids=str,
)
def test_what_is_refused_changes_nothing(tmp_path: Path, order: Set, why: str) -> None:
    both = Settings(tmp_path, BOTH)
    with pytest.raises(Refused, match=why):
        both.apply(order)
    assert os.listdir(tmp_path) == []
    assert both.log_level == "warning"


def test_the_device_can_be_set_without_naming_a_pipeline(tmp_path: Path) -> None:
    both = Settings(tmp_path, BOTH)
    assert both.apply(Set(log_level="error")) == "log_level is now error"


def test_a_pipeline_that_went_takes_its_settings_with_it(tmp_path: Path) -> None:
    both = Settings(tmp_path, BOTH)
    both.apply(Set("door", results="off"))
    both.apply(Set("roof", results="off"))
    roof = Settings(tmp_path, configured(ROOF))
    assert roof.pipeline("roof").results == "off"
    assert Settings(tmp_path, BOTH).pipeline("door").results == "every", "and not kept for later"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"telemetry_period_s": 1}', b'{"log_level": "loud"}', b"\xff" * 9]
)
def test_a_damaged_file_means_the_configuration_and_is_said_once(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "settings.json").write_bytes(content)
    damaged = Settings(tmp_path, ONE)
    assert damaged.telemetry_period_s == 120
    assert damaged.damage is not None and "as configured again" in damaged.damage
    assert (tmp_path / "settings.json.damaged").read_bytes() == content
    assert Settings(tmp_path, ONE).damage is None
    damaged.apply(Set(log_level="debug"))
    assert Settings(tmp_path, ONE).log_level == "debug"


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    one = Settings(tmp_path, ONE)
    one.apply(Set(log_level="error"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(Unavailable, match="No space left"):
            one.apply(Set(log_level="debug"))
    assert one.log_level == Settings(tmp_path, ONE).log_level == "error"


@given(st.binary(max_size=100))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_in_the_file_harm_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "settings.json").write_bytes(content)
    Settings(tmp_path, BOTH).pipeline("door")
