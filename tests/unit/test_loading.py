"""What a load test makes of what its pipelines say: shares, percentiles, the knee, the words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from runtime.loop import NO_MODEL, Result
from runtime.panel import Spread
from runtime.suite.machine import this_machine
from runtime.tasks import Class
from runtime.timing import Timing
from wire.troubles import Refused, Unavailable
from workshop.loading import FORM, Load, LoadTest, Point, Subject
from workshop.loading.cameras import feed_of
from workshop.loading.cost import busy_s, memory_bytes
from workshop.loading.knee import knee_of
from workshop.loading.pipeline import Counted, Notes, Watch, Window
from workshop.loading.report import as_html
from workshop.loading.rising import rates_around
from workshop.loading.running import Ran, point_of
from workshop.loading.table import as_text

MS = 1_000_000  # ns


def point(
    rate: float, p95_ms: float, skipped: float = 0.0, errors: float = 0.0, pipelines: int = 1
) -> Point:
    """Of ten seconds."""
    us = p95_ms * 1000
    return Point(
        load=Load(rate, pipelines, 1),
        pictures=round(10 * rate * pipelines),
        offered=rate * pipelines,
        answered=rate * pipelines * (1 - skipped),
        skipped=skipped,
        errors=errors,
        latency_us=Spread(us / 2, us, us * 2),
        inference_us=Spread(us / 2, us, us * 2),
        cpu_percent=50.0,
        others_percent=3.0,
        memory_mib=80.0,
    )


def gone(rate: float) -> Point:
    return msgspec.structs.replace(
        point(rate, 1), answered=0.0, errors=1.0, latency_us=None, inference_us=None,
        memory_mib=None, trouble="m.onnx: crashes its engine (SIGFPE)",
    )  # fmt: skip


def load_test(points: Sequence[Point], left_out: Sequence[Load] = ()) -> LoadTest:
    subject = Subject("digits", "1", "0" * 64, "litert")
    return LoadTest(
        FORM, subject, this_machine(), "synthetic://64x64", 100.0, 10.0, tuple(points),
        (knee_of(points),), tuple(left_out),
    )  # fmt: skip


# --- the knee


def test_the_knee_is_the_last_rate_before_latency_rises() -> None:
    found = knee_of([point(10, 5), point(20, 5), point(40, 5.2), point(80, 30), point(160, 90)])
    assert (found.rate, found.keeps_up, found.reached) == (40, 160, True)
    assert found.words == (
        "knee at 40/s; at 80/s the 95th percentile is 5.8 times as long for 2.0 times as many "
        "answers"
    )


def test_the_knee_is_the_last_rate_before_pictures_are_skipped() -> None:
    """What skips stays quick and goes on with its highest power: it does not carry the load."""
    found = knee_of([point(10, 5), point(20, 5), point(40, 4, skipped=0.3)])
    assert (found.rate, found.keeps_up, found.reached) == (20, 20, True)
    assert "30% of the pictures come to nothing" in found.words


def test_of_two_that_are_nearly_equal_the_lower_one_is_the_knee() -> None:
    assert knee_of([point(10, 5), point(100, 20), point(200, 39), point(400, 300)]).rate == 100


def test_rates_behind_a_gap_do_not_count() -> None:
    found = knee_of([point(10, 5), point(20, 5, skipped=0.2), point(40, 5)])
    assert (found.rate, found.keeps_up) == (10, 10)


def test_there_is_no_knee_where_nothing_bends() -> None:
    found = knee_of([point(10, 5), point(20, 5), point(40, 5)])
    assert (found.rate, found.keeps_up, found.reached) == (40, 40, False)
    assert found.words == "no knee up to 40/s: ask for higher rates"


def test_there_is_no_knee_where_the_lowest_rate_is_too_much() -> None:
    found = knee_of([point(50, 20, skipped=0.6, pipelines=2)])
    assert (found.rate, found.keeps_up, found.reached) == (None, None, True)
    assert found.words == (
        "no knee: 50/s for each pipeline is too much already, and 60% of the pictures come to "
        "nothing"
    )


def test_a_load_that_ends_a_pipeline_is_not_kept_up_with() -> None:
    found = knee_of([point(10, 5), gone(20)])
    assert (found.rate, found.keeps_up) == (10, 10)
    assert found.words == "knee at 10/s; nothing comes of 20/s: m.onnx: crashes its engine (SIGFPE)"


def test_one_picture_of_each_pipeline_may_be_lost_however_few_there_are() -> None:
    def few(lost: int) -> Point:
        return msgspec.structs.replace(point(5, 5, pipelines=2), pictures=50, skipped=lost / 50)

    assert [few(lost).keeps_up for lost in (0, 1, 2, 3)] == [True, True, True, False]


# --- what the pipelines say, added up


def counted(pictures: int, answers: int, broken: int = 0) -> Counted:
    return Counted(pictures, (4 * MS,) * answers, (3 * MS,) * answers, broken, 0.25, 2**20)


def ran(*said: Counted | None, busy: float | None = 1.5) -> Ran:
    troubles = [Unavailable("m.onnx: is gone") for each in said if each is None]
    return Ran((), tuple(said), tuple(troubles), busy)


def test_shares_are_of_all_pictures_that_came() -> None:
    made = point_of(Load(30.0, 2, 1), 2.0, ran(counted(60, 60), counted(60, 30, broken=6)))
    assert (made.pictures, made.offered, made.answered) == (120, 60.0, 45.0)
    assert (made.skipped, made.errors) == (0.25, 0.05)
    assert made.latency_us == Spread(4000.0, 4000.0, 4000.0)
    assert made.inference_us == Spread(3000.0, 3000.0, 3000.0)
    assert (made.cpu_percent, made.others_percent, made.memory_mib) == (50.0, 100.0, 2.0)


def test_the_pictures_of_a_pipeline_that_ended_are_errors() -> None:
    made = point_of(Load(30.0, 2, 1), 2.0, ran(counted(60, 60), None))
    assert (made.pictures, made.skipped, made.errors) == (120, 0.0, 0.5)
    assert made.trouble == "m.onnx: is gone" and not made.keeps_up


def test_one_that_hardly_answers_skips_what_was_due() -> None:
    """It has no two results that would say how many pictures came between them."""
    made = point_of(Load(30.0, 1, 1), 2.0, ran(counted(1, 1)))
    assert (made.pictures, round(made.skipped, 3)) == (60, 0.983)


def test_what_is_not_known_is_absent() -> None:
    made = point_of(Load(30.0, 1, 1), 2.0, ran(None, busy=None))
    assert made.latency_us is None and made.memory_mib is None and made.others_percent is None


def noted(*of: tuple[int, int, float]) -> Counted:
    """Results (ms when it was captured, its number, its score), counted from 100 to 200 ms."""
    model = replace(NO_MODEL, manifest=msgspec.structs.replace(NO_MODEL.manifest, task="classify"))
    notes = Notes()
    for ms, seq, score in of:
        at = ms * MS
        timing = Timing(at, at + MS, at + 2 * MS, at + 5 * MS, at + 6 * MS)
        notes.add(Result(seq, "", (Class(0, "0", score),), timing), model)
    watch = Watch.__new__(Watch)  # without its thread
    watch.cpu_cores, watch.memory_bytes = 0.1, None
    return notes.counted(Window(100 * MS, 200 * MS), watch)


def test_what_was_captured_outside_of_the_window_does_not_count() -> None:
    made = noted((90, 1, 0.5), (100, 2, 0.5), (150, 5, 0.5), (199, 6, 0.5), (200, 9, 0.5))
    assert made.pictures == 5, "2 to 6, of which two were skipped"
    assert made.end_to_end_ns == (6 * MS,) * 3 and made.inference_ns == (3 * MS,) * 3


def test_scores_that_are_no_numbers_are_counted_in_the_window_alone() -> None:
    nan = float("nan")
    made = noted((80, 0, nan), (90, 1, nan), (110, 2, nan), (120, 3, 0.5), (210, 4, nan))
    assert made.broken == 1


def test_a_window_without_a_result_has_no_pictures() -> None:
    assert noted((10, 1, 0.5)).pictures == 0


# --- cameras


def test_a_synthetic_camera_gets_the_rate_and_other_digits_for_each_pipeline() -> None:
    feed = feed_of("synthetic://64x48@30?digits=2")
    assert feed(12.5, 0) == "synthetic://64x48@12.5?digits=2&seed=0"
    assert feed(None, 1) == "synthetic://64x48?digits=2&seed=1"
    assert feed_of("synthetic://64x48?seed=7")(5, 3) == "synthetic://64x48@5?seed=7"


def test_a_recording_is_played_again_and_again_at_the_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "door.mp4").touch()
    feed = feed_of("file://door.mp4?pace=real")
    assert feed(12.5, 0) == f"file://{tmp_path}/door.mp4?loop=yes&pace=12.5"
    assert feed(None, 1) == f"file://{tmp_path}/door.mp4?loop=yes&pace=fast"


def test_rows_come_at_the_rate_too(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("a,b,c\n1,2,3\n4,5,6\n")
    feed = feed_of(f"rows://{table}?columns=a,b&rate=3")
    assert feed(20, 1) == f"rows://{table}?loop=yes&columns=a,b&rate=20"
    assert feed(None, 1) == f"rows://{table}?loop=yes&columns=a,b"
    assert feed_of("rows+synthetic://4@10")(20, 1) == "rows+synthetic://4@20?seed=1"


@pytest.mark.parametrize(
    ("uri", "what"),
    [
        ("v4l2:///dev/video0", "v4l2:///dev/video0: a load test sets the rate itself"),
        ("rtsp://me:secret@cam/1", "rtsp://[hidden]@cam/1: a load test"),
        ("synthetic://64", "write synthetic://WIDTHxHEIGHT"),
        ("file://door.mp4?speed=2", "'speed' means nothing to a load test"),
    ],
)
def test_a_camera_that_has_no_rate_of_our_choice_is_refused(uri: str, what: str) -> None:
    with pytest.raises(Refused) as refusal:
        feed_of(uri)
    assert what in str(refusal.value) and "secret" not in str(refusal.value)


def test_usual_rates_lie_below_and_above_what_a_pipeline_manages() -> None:
    assert rates_around(100.0) == (30.0, 60.0, 80.0, 95.0, 110.0, 140.0)
    assert rates_around(5000.0) == (300.0, 600.0, 800.0, 950.0, 1000.0)
    assert rates_around(0.0) == (0.1,)


# --- what the machine says of itself


def test_memory_that_is_shared_is_shared_out(tmp_path: Path) -> None:
    rollup, status, missing = tmp_path / "rollup", tmp_path / "status", tmp_path / "missing"
    rollup.write_text("55-7f ---p 00000000 00:00 0  [rollup]\nRss: 9000 kB\nPss:    2000 kB\n")
    status.write_text("VmPeak: 9000 kB\nVmRSS:\t    5000 kB\n")
    assert memory_bytes(rollup, status) == 2000 * 1024
    assert memory_bytes(missing, status) == 5000 * 1024
    assert memory_bytes(missing, missing) is None
    assert (memory_bytes() or 0) > 1 << 20


def test_what_everybody_did_is_without_waiting(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 20 30 5000 700 1 2 3 0 0\ncpu0 1 1 1 1\n")
    assert busy_s(stat) == pytest.approx(1.56)
    stat.write_text("nothing")
    assert busy_s(stat) is None
    assert busy_s(tmp_path / "missing") is None


# --- words and page


def test_the_table_has_a_row_for_each_load_and_says_what_was_left_out() -> None:
    points = [point(10, 5), point(20, 50, skipped=0.6)]
    text = as_text(load_test(points, [Load(40.0, 1, 1)]))
    assert "knee at 10/s; at 20/s the 95th percentile is 10.0 times as long" in text
    assert "1 load left out: a lower one was far too much already" in text
    assert "on a quiet machine" not in text
    rows = [line.split() for line in text.splitlines()]
    assert ["10", "10", "10", "0.0%", "0.0%", "2.50", "ms", "5.00", "ms", "10.0", "ms", "50",
            "3", "80"] in rows  # fmt: skip


def test_a_machine_that_had_much_else_to_do_is_said() -> None:
    busy = msgspec.structs.replace(point(10, 5), others_percent=130.0)
    assert "other programs had up to 130 % of a core meanwhile" in as_text(load_test([busy]))
    assert "Other programs had up to 130 % of a core" in as_html(load_test([busy]))


def test_the_page_shows_also_what_ended() -> None:
    page = as_html(load_test([point(10, 5), gone(20)], [Load(40.0, 1, 1)]))
    assert "crashes its engine (SIGFPE)" in page
    assert "left out, since less was far too much already: 1 pipeline at 40/s" in page
    assert "nan" not in page.lower() and "None" not in page


def test_the_page_needs_nothing_from_elsewhere_and_believes_no_name() -> None:
    test = load_test([point(10, 5)])
    subject = msgspec.structs.replace(test.subject, name="<script>alert(1)</script>")
    page = as_html(msgspec.structs.replace(test, subject=subject))
    assert "<script" not in page and "http://" not in page and "https://" not in page
