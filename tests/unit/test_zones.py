"""Zones and lines: counts are those of the truth, and who trembles on an edge counts once."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.loop import Result
from runtime.tasks import Box, Class
from runtime.tracking.observer import Observed, Observer
from runtime.tracking.places import Moved
from runtime.tracking.plane import Polygon, Segment, polygon
from tests.walking import NONE, SIZE, WATCHED, Errors, Walk, result_of
from wire.observation import Bounds, Filter, Line, Observation, Tracking, Zone

SHARE = st.floats(0, 1)
POINT = st.tuples(SHARE, SHARE)
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
FLOOR = Observation(
    tracking=Tracking(),
    zone={"left": Zone(LEFT)},
    line={"middle": Line(((0.5, 0.0), (0.5, 1.0)), ("west", "east"))},
)


def box(x: float, y: float = 0.5, label: str = "0", score: float = 0.9) -> Box:
    """A box of 64 x 96 pixels whose bottom middle is at these shares of a 640 x 480 picture."""
    return Box(0, label, score, x * 640 - 32, y * 480 - 96, 64, 96)


class Floor:
    """An observer, and what happened on it."""

    def __init__(self, wanted: Observation = FLOOR, size: tuple[int, int] = SIZE) -> None:
        self.size = size
        self.observer = Observer(wanted, lambda: self.size)
        self.now_s = 100.0
        self.moved: list[Moved] = []

    def see(self, *boxes: Box, passed_s: float = 0.1, digest: str = "ab" * 32) -> Observed:
        self.now_s += passed_s
        result = self.observer(result_of(boxes, self.now_s, digest))
        assert isinstance(result, Observed)
        self.moved += result.moved
        return result

    def walk(self, *xs: float, y: float = 0.5) -> Observed:
        """One box at these places, one after the other."""
        return [self.see(box(x, y)) for x in xs][-1]

    def happened(self) -> list[tuple[str, str, str | None]]:
        return [(each.kind, each.where, each.direction) for each in self.moved]


def is_inside(corners: list[tuple[float, float]], point: tuple[float, float]) -> bool:
    """By the angles under which the point sees the sides: they add up to a whole turn."""
    turn = 0.0
    for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
        one = math.atan2(y1 - point[1], x1 - point[0])
        other = math.atan2(y2 - point[1], x2 - point[0])
        turn += (other - one + math.pi) % (2 * math.pi) - math.pi
    return abs(turn) > math.pi


@given(st.integers(3, 12), st.integers(0, 10_000), POINT)
def test_inside_is_what_sees_all_sides_around_it(
    count: int, seed: int, point: tuple[float, float]
) -> None:
    angles = [2 * math.pi * k / count for k in range(count)]
    radii = [0.15 + 0.3 * ((seed * (k + 3) * 7919) % 97) / 97 for k in range(count)]
    corners = [
        (0.5 + r * math.cos(a), 0.5 + r * math.sin(a)) for a, r in zip(angles, radii, strict=True)
    ]
    shape: Polygon = polygon(tuple(corners))
    if shape.distance(point) > 1e-9:
        assert shape.holds(point) == is_inside(corners, point)


def test_zones_that_share_a_side_share_no_point() -> None:
    one, other = polygon(LEFT), polygon(((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)))
    points = [(x / 8, y / 8) for x in range(8) for y in range(8)]
    assert all(one.holds(point) + other.holds(point) == 1 for point in points)


@given(POINT, POINT, POINT, POINT, st.integers(1, 6))
def test_a_way_passes_a_line_as_often_in_pieces(
    a: tuple[float, float], b: tuple[float, float], start: tuple[float, float],
    end: tuple[float, float], pieces: int,
) -> None:  # fmt: skip
    if math.dist(a, b) < 1e-3:
        return
    line = Segment(a, b)
    stops = [
        (start[0] + (end[0] - start[0]) * k / pieces, start[1] + (end[1] - start[1]) * k / pieces)
        for k in range(pieces + 1)
    ]
    if min(abs(line.beyond(stop)) for stop in stops) < 1e-9:
        return
    if any(math.dist(end_of, p) < 1e-6 for end_of in (a, b) for p in stops):
        return
    passed = sum(line.passed(p, q) for p, q in pairwise(stops))
    assert passed == line.passed(start, end) or near_an_end(line, start, end)


def near_an_end(line: Segment, start: tuple[float, float], end: tuple[float, float]) -> bool:
    """Whether the way goes so close by an end of the line that rounding decides."""
    if math.dist(start, end) < 1e-9:
        return True
    way = Segment(start, end)
    return min(abs(way.beyond(line.a)), abs(way.beyond(line.b))) < 1e-9


def test_left_and_right_are_those_of_who_looks_along_the_line() -> None:
    line = Segment((0.0, 0.5), (1.0, 0.5))  # looks to the right of the picture: down is right
    assert line.passed((0.3, 0.4), (0.3, 0.6)) == 1
    assert line.passed((0.3, 0.6), (0.3, 0.4)) == -1
    assert line.passed((1.3, 0.4), (1.3, 0.6)) == 0  # by its end


def true_crossings(walk: Walk) -> dict[str, int]:
    """By the middles of the true boxes, frame by frame, by a plain loop. Digits go straight."""
    crossed = {"west": 0, "east": 0}
    for digit in range(walk.digits):
        side = None
        for seq in walk.frames():
            truth = walk.scene.truth(seq)[digit]
            middle = truth.x + truth.width / 2
            margin = 0.1 * math.sqrt(truth.width * truth.height)
            if side is not None and abs(middle - 320) < margin:
                continue
            now = "east" if middle > 320 else "west"
            if side is not None and now != side:
                crossed[now] += 1
            side = now
    return crossed


@pytest.mark.parametrize("seed", range(3))
def test_crossings_are_those_of_the_truth(seed: int) -> None:
    walk = Walk(4, seed, WATCHED, errors=NONE, seconds=40).run()
    true = true_crossings(walk)
    assert true["west"] + true["east"] > 8
    assert walk.results[-1].lines["middle"] == true
    moved = [each for result in walk.results for each in result.moved if each.kind == "cross"]
    assert len(moved) == sum(true.values())


def test_a_detector_that_errs_miscounts_little() -> None:
    walk = Walk(3, 1, WATCHED, errors=Errors(), seconds=60).run()
    true, counted = true_crossings(walk), walk.results[-1].lines["middle"]
    for direction in true:
        assert abs(counted[direction] - true[direction]) <= 1 + 0.1 * true[direction]


def test_zone_counts_are_those_of_the_truth() -> None:
    walk = Walk(4, 0, WATCHED, errors=NONE, seconds=40).run()
    for seq, result in zip(walk.frames(), walk.results, strict=True):
        inside = [b.x + b.width / 2 < 320 for b in walk.scene.truth(seq)]
        near = sum(abs(b.x + b.width / 2 - 320) < 0.12 * b.height for b in walk.scene.truth(seq))
        assert seq == 0 or abs(result.zones["left"].count - sum(inside)) <= near
    sums = walk.results[-1].zones["left"]
    assert sums.entered is not None
    assert sums.left is not None
    assert sums.entered - sums.left == sums.count


def test_who_comes_stays_and_leaves() -> None:
    floor = Floor()
    floor.walk(0.64, 0.6, 0.56, 0.52)
    assert floor.happened() == []
    last = floor.walk(0.48, 0.44, 0.40)
    assert floor.happened() == [("enter", "left", None), ("cross", "middle", "west")]
    assert last.zones["left"].count == 1
    assert last.zones["left"].longest_s == pytest.approx(0.2)
    assert last.marks[0].zones == ("left",)
    floor.walk(0.44, 0.48, 0.52, 0.56)
    assert floor.happened()[2:] == [("leave", "left", None), ("cross", "middle", "east")]
    assert floor.moved[2].seconds == pytest.approx(0.4, abs=0.11)
    assert {each.track for each in floor.moved} == {1}


def test_who_trembles_on_the_line_crosses_it_once() -> None:
    floor = Floor()
    floor.walk(0.6, 0.55, *[0.505, 0.495] * 20, 0.45)
    assert floor.happened() == [("enter", "left", None), ("cross", "middle", "west")]


def test_who_comes_back_before_the_margin_has_not_crossed() -> None:
    floor = Floor()
    floor.walk(0.6, 0.55, 0.495, 0.55, 0.6)
    assert [each for each in floor.moved if each.kind == "cross"] == []


def test_around_the_end_of_a_line_is_not_over_it() -> None:
    short = Observation(tracking=Tracking(), line={"gate": Line(((0.5, 0.3), (0.5, 0.5)))})
    floor = Floor(short)
    for k in range(40):  # from the left of it to the right, below its foot
        turn = math.pi * k / 39
        floor.see(box(0.5 - 0.2 * math.cos(turn), 0.5 + 0.3 * math.sin(turn)))
    assert floor.happened() == []


def test_who_vanishes_behind_the_line_has_crossed_it() -> None:
    floor = Floor()
    floor.walk(0.6, 0.55, 0.52, 0.49)  # not as far as the margin
    for _ in range(15):
        floor.see()
    assert [each.kind for each in floor.moved] == ["enter", "cross", "leave"]


def test_a_box_that_is_cut_at_the_foot_of_the_picture_is_in_the_zone_there() -> None:
    floor = Floor()
    assert floor.walk(0.2, 0.2, y=1.0).zones["left"].count == 1


def test_who_is_hidden_for_a_moment_stays_inside() -> None:
    floor = Floor()
    floor.walk(0.2, 0.2, 0.2)
    assert [floor.see().zones["left"].count for _ in range(8)] == [1] * 8
    assert [floor.see() for _ in range(5)][-1].zones["left"].count == 0


def test_without_tracking_zones_count_boxes() -> None:
    floor = Floor(Observation(zone={"left": Zone(LEFT, labels=("0",))}))
    result = floor.see(box(0.2), box(0.3), box(0.7), box(0.2, label="1"))
    sums = result.zones["left"]
    assert (sums.count, sums.entered, sums.left, sums.longest_s) == (2, None, None, None)
    assert [mark.zones for mark in result.marks] == [("left",), ("left",), (), ()]
    assert {mark.track for mark in result.marks} == {None}
    assert result.moved == ()


@pytest.mark.parametrize(("anchor", "count"), [("bottom", 1), ("middle", 1), ("top", 0)])
def test_the_point_that_counts_can_be_chosen(anchor: str, count: int) -> None:
    lower = ((0.0, 0.35), (1.0, 0.35), (1.0, 1.0), (0.0, 1.0))
    floor = Floor(Observation(zone={"low": Zone(lower, anchor=anchor)}))  # type: ignore[arg-type]
    assert floor.see(box(0.5)).zones["low"].count == count  # from 0.3 to 0.5, middle 0.4


def test_filters_take_boxes_away_before_anything_else() -> None:
    wanted = Observation(
        filter=Filter(
            min_score=0.4, max_size=(0.5, 0.5), labels=("0", "1"),
            label={"1": Bounds(min_score=0.8, min_size=(0.05, 0.1))},
        ),
        zone={"all": Zone(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)))},
    )  # fmt: skip
    floor = Floor(wanted)
    shown = floor.see(
        box(0.1, score=0.5),
        box(0.2, score=0.3),
        box(0.3, label="1", score=0.9),
        box(0.4, label="1", score=0.6),
        box(0.5, label="2"),
        Box(1, "1", 0.9, 10, 10, 20, 20),  # too small of a 1
        Box(0, "0", 0.9, 10, 10, 20, 20),
        Box(0, "0", 0.9, 0, 0, 400, 20),  # too wide
    )
    assert [(b.label, b.score, b.width) for b in shown.found if isinstance(b, Box)] == [
        ("0", 0.5, 64), ("1", 0.9, 64), ("0", 0.9, 20),
    ]  # fmt: skip
    assert shown.zones["all"].count == 3


def test_what_is_no_box_goes_by() -> None:
    floor = Floor()
    classes = Result(0, "x", (Class(0, "zero", 1.0),), result_of((), 1.0).timing)
    assert floor.observer(classes) is classes
    hostile = [
        Box(0, "0", 0.9, math.nan, 0, 10, 10), Box(0, "0", 0.9, 0, math.inf, 10, 10),
        Box(0, "0", 0.9, 0, 0, -5, 10), Box(0, "0", 0.9, 0, 0, 0, 0),
        Box(0, "0", 0.9, 1e300, 0, 1, 1), Box(0, "0", math.nan, 1, 1, 10, 10),
    ]  # fmt: skip
    for _ in range(3):
        result = floor.see(*hostile)
        assert {mark.track for mark in result.marks} <= {None}
    assert floor.moved == []


def test_nothing_asked_for_is_nothing_done() -> None:
    result = result_of((box(0.2),), 1.0)
    assert Observer(Observation(), lambda: SIZE)(result) is result


def test_a_picture_of_another_size_and_the_same_shape_is_the_same_place() -> None:
    floor = Floor()
    floor.walk(0.2, 0.2)
    floor.size = (1280, 960)
    big = Box(0, "0", 0.9, 0.2 * 1280 - 64, 0.5 * 960 - 192, 128, 192)
    assert floor.see(big).marks[0].track == 1
    assert floor.moved == [floor.moved[0]]  # it came in once


def test_another_model_begins_with_new_numbers_and_the_sums_go_on() -> None:
    floor = Floor()
    floor.walk(0.2, 0.2)
    other = [floor.see(box(0.2), digest="cd" * 32) for _ in range(2)][-1]
    assert other.marks[0].track == 2
    assert [each.kind for each in floor.moved] == ["enter", "leave", "enter"]
    assert (other.zones["left"].entered, other.zones["left"].left) == (2, 1)


def test_another_configuration_keeps_tracks_and_what_did_not_change() -> None:
    floor = Floor()
    floor.walk(0.6, 0.56, 0.52, 0.48, 0.44, 0.48, 0.52, 0.56, 0.52, 0.48, 0.44, 0.4)
    more = Observation(
        tracking=Tracking(lost_s=5.0),
        zone={"left": Zone(LEFT), "top": Zone(((0.0, 0.0), (1.0, 0.0), (1.0, 0.6)))},
        line={"middle": Line(((0.5, 0.0), (0.5, 1.0)), ("in", "out"))},
    )
    floor.observer.apply(more)
    result = floor.walk(0.38)
    assert result.marks[0].track == 1
    assert (result.zones["left"].entered, result.zones["top"].entered) == (2, 0)
    assert result.lines == {"middle": {"in": 0, "out": 0}}
    floor.observer.apply(Observation(zone={"left": Zone(LEFT)}))
    assert floor.see(box(0.38)).zones["left"].entered is None
    floor.observer.apply(more)
    assert [floor.see(box(0.38)) for _ in range(2)][-1].marks[0].track == 2  # never 1 again


def test_many_boxes_in_many_zones_are_all_there() -> None:
    floor = Floor()
    for _ in range(3):
        result = floor.see(*[box((k % 100) / 100, (k % 97) / 97) for k in range(10_000)])
    assert len(result.found) == len(result.marks) == 10_000
