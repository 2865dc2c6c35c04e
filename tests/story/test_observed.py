"""What is published, drawn and written of tracks, zones and crossings."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest

from runtime.cameras.synthetic import SyntheticCamera, parse
from runtime.canvas import Canvas
from runtime.engines import EngineOptions
from runtime.frames import packed
from runtime.locating import locate, resolve
from runtime.loop import Loop, Result
from runtime.opening import open_model
from runtime.publishing import Publisher
from runtime.tasks import Box
from runtime.things import MOST_THINGS
from runtime.tracking.observer import Mark, Observed, Observer
from runtime.tracking.overlay import overlay_of
from runtime.tracking.places import Moved
from runtime.tracking.telling import MOST_HAPPENINGS, MOST_WAITING, line_of
from tests import warm
from tests.by_hand import model_of
from tests.unit.test_zones import FLOOR, box
from tests.walking import SECOND, SIZE, result_of
from wire import results
from wire.happenings import ZoneSums
from wire.messages import LARGEST, PipelineSettings, ResultMode, to_json
from wire.observation import Observation, Tracking, Zone

MODEL = model_of()
UNIX_S = 1_700_000_000


class Desk:
    """A publisher behind an observer, at most one result a second."""

    def __init__(self, wanted: Observation = FLOOR, mode: ResultMode = "change") -> None:
        self.now_ns = 0
        self.observer = Observer(wanted, lambda: SIZE)
        self.publisher = Publisher(
            "door", PipelineSettings(mode, 1.0), lambda: self.now_ns,
            lambda: UNIX_S * SECOND + self.now_ns,
        )  # fmt: skip

    def show(self, at_s: float, *boxes: Box) -> results.Result | None:
        self.now_ns = round(at_s * SECOND)
        return self.publisher.choose(self.observer(result_of(boxes, at_s)), MODEL)


def test_a_crossing_is_news_and_is_said_when_the_rate_allows() -> None:
    desk = Desk()
    assert desk.show(10, box(0.66))
    there = [0.66 - 0.02 * k for k in range(1, 11)]
    xs = [*there, 0.48, 0.50, 0.52, 0.54, 0.52, 0.50, 0.48, *[0.46] * 10]
    said = {k: each for k, x in enumerate(xs, 1) if (each := desk.show(10 + k / 10, box(x)))}
    assert list(said) == [9, 13, 20]  # it crossed at the 9th, the 13th and the 17th
    assert [(each.kind, each.where, each.direction) for each in said[20].happened] == [
        ("enter", "left", None), ("cross", "middle", "west"),
    ]  # fmt: skip
    assert said[20].happened[0].at == pytest.approx(UNIX_S + 11.7)
    assert said[20].captured == pytest.approx(UNIX_S + 12.0)
    sums = said[20].zones["left"]
    assert (sums.count, sums.entered, sums.left) == (1, 2, 1)
    assert sums.longest_s == pytest.approx(0.3)
    assert said[20].lines == {"middle": {"west": 2, "east": 1}}
    assert (said[20].found[0].track, said[20].found[0].zones) == (1, ("left",))


def test_a_score_that_is_not_published_takes_no_mark_of_another() -> None:
    desk = Desk(Observation(zone=FLOOR.zone))
    desk.publisher.apply(PipelineSettings("every", 30.0, 0.5))
    said = desk.show(1, box(0.7, score=0.3), box(0.2, score=0.9))
    assert said is not None
    assert [(each.score, each.zones) for each in said.found] == [(0.9, ("left",))]


def test_a_crossing_alone_is_news() -> None:
    desk = Desk(Observation(tracking=Tracking(), line=FLOOR.line))
    desk.show(9, box(0.66))
    xs = [0.66 - 0.02 * k for k in range(15)]
    said = {k: each for k, x in enumerate(xs) if (each := desk.show(10 + k / 10, box(x)))}
    assert [[each.kind for each in one.happened] for one in said.values()] == [["cross"]]


def test_switched_off_nothing_waits_until_it_is_on_again() -> None:
    desk = Desk(mode="every")
    for k in range(3):
        desk.show(10 + k / 1000, box(0.66))  # the next may be said in a second
    for k in range(10):
        desk.show(10.1 + k / 20, box(0.64 - 0.02 * k))
    desk.publisher.apply(PipelineSettings("off", 1.0))
    assert desk.show(10.9, box(0.32)) is None
    desk.publisher.apply(PipelineSettings("change", 1.0))
    said = desk.show(11.2, box(0.20))
    assert said is not None
    assert said.lines["middle"]["west"] == 1
    assert said.happened == ()


def crowded(moved: int) -> Observed:
    """As much as there can be."""
    boxes = tuple(box(0.2, label="ä" * 1000) for _ in range(300))
    zones = {f"{'z' * 60}{k:02}": Zone(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))) for k in range(16)}
    mark = Mark(10**9, tuple(zones))
    news = tuple(Moved("enter", "z" * 64, 10**9, "ä" * 1000, 1.0) for _ in range(moved))
    sums = dict.fromkeys(zones, ZoneSums(300, 10**9, 10**9, 1e9))
    wanted = Observation(tracking=Tracking(), zone=zones)
    timing = result_of((), 1.0).timing
    return Observed(0, "ab" * 32, boxes, timing, (mark,) * 300, sums, {}, news, wanted)


def test_a_result_stays_small_whatever_happens() -> None:
    desk = Desk(mode="every")
    desk.now_ns = SECOND
    said = desk.publisher.choose(crowded(10_000), MODEL)
    assert said is not None
    assert len(said.found) == MOST_THINGS
    assert len(said.happened) == MOST_HAPPENINGS
    assert len(to_json(said)) < LARGEST / 2
    assert len(msgspec.msgpack.encode(said)) < 100_000  # a datagram to the agent
    rest = 0
    for _ in range(20):
        desk.now_ns += SECOND
        timing = result_of((), desk.now_ns / SECOND).timing
        quiet = Observed(0, "ab" * 32, (), timing, (), {}, {}, (), FLOOR)
        told = desk.publisher.choose(quiet, MODEL)
        rest += len(told.happened) if told else 0
    assert rest == MOST_WAITING - MOST_HAPPENINGS


def test_a_line_of_results_has_tracks_in_its_boxes() -> None:
    desk = Desk()
    for k in range(3):
        result = desk.observer(result_of((box(0.2),), k / 10))
    written = json.loads(msgspec.json.encode(line_of(result)))
    assert (written["found"][0]["track"], written["found"][0]["zones"]) == (1, ["left"])
    assert written["zones"]["left"]["count"] == 1
    assert written["lines"] == {"middle": {"west": 0, "east": 0}}
    plain = Result(1, "x", (), result.timing)
    assert line_of(plain) is plain


@pytest.mark.parametrize("size", [(32, 32), (640, 480), (1920, 1080)])
def test_what_is_drawn_is_where_it_is_asked_for(size: tuple[int, int]) -> None:
    canvas = Canvas(packed("BGR3", *size))
    canvas.raw.fill(80)
    result = Observer(FLOOR, lambda: size)(result_of((), 1.0))
    overlay = overlay_of(result)
    assert overlay is not None
    picture = np.full((size[1], size[0], 3), 80, np.uint8)
    overlay.below(picture)
    tall, wide = picture.shape[:2]
    changed = (picture != 80).any(axis=2)
    assert changed[:, wide // 2].all()  # the line, and the zone's right side
    assert changed[:, 0].all() and changed[0, : wide // 2].all()
    if size[0] > 100:
        assert not changed[tall // 8 : tall // 4, wide * 7 // 8 :].any()
    assert canvas.jpeg((), overlay=overlay) != canvas.jpeg(())


def test_the_number_of_a_track_is_on_its_box() -> None:
    observer = Observer(Observation(tracking=Tracking()), lambda: SIZE)
    for k in range(2):
        result = observer(result_of((box(0.5),), k / 10))
    overlay = overlay_of(result)
    assert overlay is not None
    picture = np.full((480, 640, 3), 80, np.uint8)
    overlay.above(picture, SIZE)
    rows, columns = (picture != 80).any(axis=2).nonzero()
    assert abs(columns.mean() - 320) < 10 and rows.min() > 200 and rows.max() <= 240


def test_hostile_words_and_marks_are_drawn_all_the_same() -> None:
    overlay = overlay_of(crowded(0))
    assert overlay is not None
    picture = np.full((40, 30, 3), 80, np.uint8)
    overlay.below(picture)
    overlay.above(picture, SIZE)


ANY_LABEL = Observation(tracking=Tracking(labels="any"), zone=FLOOR.zone, line=FLOOR.line)
ZONES = """
[tracking]
labels = "any"
[zone.left]
points = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
[line.middle]
points = [[0.5, 0], [0.5, 1]]
directions = ["west", "east"]
"""


def test_a_loop_counts_what_crosses_before_a_camera_that_knows() -> None:
    """Real pictures through a real model, by a clock of their own: two digits go to and fro."""
    now_s = [100.0]

    def sleep(seconds: float) -> None:
        now_s[0] += seconds

    def clock() -> int:
        return round(now_s[0] * SECOND)

    camera = SyntheticCamera(
        parse("synthetic://640x480@30?digits=2&motion=walk&seed=3"), clock, sleep
    )
    with locate(resolve("digits-detect")) as located:
        model = open_model(located, EngineOptions(threads=1))
    observer, observed = Observer(ANY_LABEL, lambda: camera.layout.source), []
    loop = Loop(camera, model, lambda result: observed.append(observer(result)), clock=clock)
    camera.start()
    while len(observed) < 500:
        loop.step(1.0)
    camera.stop()
    model.engine.close()
    crossed = {"west": 0, "east": 0}
    for digit in range(2):
        truth = [camera.truth(result.seq)[digit] for result in observed]
        sides = [x > 320 for x in (b.x + b.width / 2 for b in truth) if abs(x - 320) > 20]
        for before, after in pairwise(sides):
            crossed["east" if after else "west"] += before != after
    assert crossed["east"] + crossed["west"] >= 6
    seen = [result for result in observed if isinstance(result, Observed)]
    assert seen[-1].lines["middle"] == crossed
    assert {mark.track for mark in seen[-1].marks} == {1, 2}
    happened = [each for result in seen for each in result.moved if each.kind == "cross"]
    assert len(happened) == sum(crossed.values())


def test_a_run_with_zones_writes_them(tmp_path: Path) -> None:
    (tmp_path / "zones.toml").write_text(ZONES)
    uri = "synthetic://320x240?digits=2&motion=walk&seed=3"
    done = warm.run(["run", "--camera", uri, "--model", "digits-detect", "--frames", "20",
                     "--zones", tmp_path / "zones.toml", "--results", "-"])  # fmt: skip
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["zones"]["left"]["count"] <= 2
    assert set(last["lines"]["middle"]) == {"west", "east"}
    assert all({"label", "track", "zones"} <= set(each) for each in last["found"])


def test_track_alone_gives_numbers() -> None:
    done = warm.run(["run", "--camera", "synthetic://320x240?motion=walk", "--model",
                   "digits-detect", "--frames", "9", "--track", "--results", "-"])  # fmt: skip
    found = [each for line in done.stdout.splitlines() for each in json.loads(line)["found"]]
    assert 1 in [each["track"] for each in found]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[zone.a]\npoints = [[0, 0], [1, 1]]\n", ":2: zone.a.points: too short: at least 3"),
        ("[line.a]\npoints = [[0, 0], [1, 1]]\n", "a line counts tracks: add the table [tracking]"),
        ("[pipeline.a.tracking]\n", "has tables of pipelines: write [zone.NAME]"),
        (None, "is not there: write one, docs/zones.md shows how"),
    ],
)
def test_a_file_of_zones_that_is_wrong_is_refused(
    tmp_path: Path, text: str | None, complaint: str
) -> None:
    file = tmp_path / "zones.toml"
    if text is not None:
        file.write_text(text)
    done = warm.run(["run", "--model", "digits-detect", "--zones", str(file), "--frames", "1"])
    assert done.returncode in (1, 2)
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
