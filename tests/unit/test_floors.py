"""The [floors] of a manifest: what is no sensible floor is refused, with its line."""

from __future__ import annotations

import pytest

from models import manifest
from models.manifest import Floors
from tests.model_folder import MANIFEST
from wire.troubles import Refused

LINE = MANIFEST.count("\n") + 2


def with_floors(lines: str) -> Floors:
    return manifest.parse(f"{MANIFEST}[floors]\n{lines}\n", "m.toml").floors


@pytest.mark.parametrize("key", Floors.__struct_fields__)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-0.5", '"1"', "true", "[1.0]", "1e400"])
def test_a_floor_is_a_number_that_can_be_met(key: str, value: str) -> None:
    with pytest.raises(Refused, match=rf"^m\.toml:{LINE}: floors\.{key}: ") as told:
        with_floors(f"{key} = {value}")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("trial_s = 0", "possible: above 0 to 604800"),
        ("trial_s = 604_801", "possible: above 0 to 604800"),
        ("first_result_s = 3601", "possible: above 0 to 3600"),
        ("fps_share = 1.01", "possible: from 0 to 1"),
        ("score_drop = 2", "possible: from 0 to 1"),
        ("error_share = 1.5", "possible: from 0 to 1"),
        ("trial = 5", "did you mean trial_s"),
    ],
)
def test_a_floor_out_of_range_says_what_is_possible(line: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        with_floors(line)


def test_floors_come_back_as_they_were_written() -> None:
    floors = with_floors("trial_s = 30\nfps_share = 0.5\nscore_drop = 0\nerror_share = 1")
    assert floors == Floors(trial_s=30.0, fps_share=0.5, score_drop=0.0, error_share=1.0)
    whole = manifest.parse(f"{MANIFEST}[floors]\ntrial_s = 30\n", "m.toml")
    assert manifest.parse(manifest.as_text(whole), "again.toml") == whole
    assert manifest.parse(MANIFEST, "m.toml").floors == Floors()
