"""Numbers behind the drawings of pages, and the past of a device as charts get it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleet.live.summary import Release, StageLatency
from fleet.registry.registry import open_registry
from fleet.registry.words import Heard, Span
from fleet.serve.pages.figures import bar_of, curve_of, reaches_of
from fleet.serve.pages.filters import degrees, iso, rate, short_board, utc
from fleet.serve.pages.history import history_of, range_of
from tests.browser.filling import Telling
from tests.browser.made_up import made_up
from wire.messages import to_json

NOW_S = 1_795_000_000.0


def test_a_bar_is_whole() -> None:
    many = [Release(f"digits {number}", 10 + number, 0) for number in range(9)]
    parts = bar_of(many)
    assert len(parts) == 6 and parts[-1].release is None
    assert parts[-1].count == sum(one.count for one in many[5:])
    assert sum(part.width for part in parts) == pytest.approx(100, abs=0.01)
    assert bar_of([]) == ()


def test_stages_share_a_scale() -> None:
    slow = StageLatency("inference", 10_000.0, 20_000.0, 30_000.0)
    quick = StageLatency("queue", 100.0, 200.0, 300.0)
    unknown = StageLatency("preprocess", None, None, None)
    first, second, third = reaches_of([quick, slow, unknown])
    assert 0 <= first.p50 < first.p95 < first.p99 < second.p50 < second.p95 < second.p99 <= 100
    assert third.p50 == third.p99 == 0.0
    assert reaches_of([unknown])[0].p95 == 0.0


def test_a_curve_begins_at_zero_and_leaves_holes_out() -> None:
    assert curve_of([1.0, None]) == ""
    points = [tuple(map(float, each.split(","))) for each in curve_of([0, 5, None, 10]).split()]
    assert points[0] == (0.0, 27.0) and points[-1] == (100.0, 2.0) and len(points) == 3
    assert curve_of([0.0, 0.0, 0.0])


@pytest.mark.parametrize("at_s", [-1e30, 0.0, 1e300])
def test_any_time_can_be_written(at_s: float) -> None:
    assert iso(at_s).endswith("Z") and utc(at_s).endswith("UTC")


def test_words() -> None:
    assert short_board("Raspberry Pi 5 Model B Rev 1.0") == "Raspberry Pi 5"
    assert short_board("NVIDIA Jetson Orin Nano") == "Jetson Orin Nano"
    assert short_board("NVIDIA") == "NVIDIA"
    assert degrees("86 C hot") == "86 °C hot"
    assert degrees("camera C: 4 Cores, vitamin C") == "camera C: 4 Cores, vitamin C"
    assert (rate(None), rate(0.0), rate(29.97), rate(6257.2)) == ("-", "0.0", "30.0", "6,257")


def test_the_past_of_a_device(tmp_path: Path) -> None:
    (known,) = made_up(1, NOW_S, seed=3)
    with closing(open_registry(f"sqlite:///{tmp_path / 'r.db'}")) as registry:
        telling = Telling(registry)
        telling.fill_past(known, NOW_S, 1.0, 10.0)
        assert known.telemetry is not None
        # one that never came, as the device says: it has nothing older than this any more
        late = telling.say(known, known.telemetry, NOW_S)
        record = replace(known.telemetry, seq=1_000, oldest=1_000, time=NOW_S)
        registry.write([late, Heard(known.name, "telemetry", to_json(record), NOW_S)])
        past = history_of(registry, known.name, "lane", Span(NOW_S - 3600, NOW_S + 1))
        nothing = history_of(registry, known.name, "", Span(NOW_S - 3600, NOW_S + 1))
    columns = past.stretches
    assert 200 < len(columns.at_s) <= 400
    assert list(columns.at_s) == sorted(columns.at_s)
    stage = columns.stages["end_to_end"]
    rows = zip(stage.p50, stage.p95, stage.p99, strict=True)
    assert all(a is not None and a <= b <= c for a, b, c in rows)  # type: ignore[operator]
    assert "soft_temperature_limit" in past.vitals.throttled
    kinds = [mark.kind for mark in past.marks]
    assert {"fault", "recovered", "trial", "good", "gap"} <= set(kinds)
    assert any("never came" in mark.words for mark in past.marks)
    assert nothing.stretches.at_s == () and nothing.vitals.at_s


def test_a_range_that_is_none_is_the_hour() -> None:
    assert range_of("24h").seconds == 86400.0
    assert range_of("'; drop").name == "1h"
