"""Plots and pages of reports: round axes, places for names, and nothing hostile gets through."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from workshop.drawing import Cell, Tile, document, figure, notes, section, table, tiles, verdict
from workshop.drawing_axes import fitting, linear, logarithmic, number, tick_words
from workshop.drawing_cells import matrix
from workshop.drawing_plots import Bar, Point, Series, bars, lines, scatter

HOSTILE = "<script>alert(1)</script>\"'&"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.984, 0.9911], ["0.984", "0.986", "0.988", "0.990", "0.992"]),
        ([4.1, 12.3], ["4", "6", "8", "10", "12", "14"]),
        ([1, 2], ["1.0", "1.2", "1.4", "1.6", "1.8", "2.0"]),
        ([0.25, 1.5], ["0.25", "0.50", "0.75", "1.00", "1.25", "1.50"]),
        ([1200, 5000], ["1,000", "2,000", "3,000", "4,000", "5,000"]),
    ],
)
def test_ticks_are_round_and_hold_all_values(values: list[float], words: list[str]) -> None:
    scale = linear(values, 0, 100)
    assert tick_words(scale) == words
    assert scale.ticks[0] <= min(values) and max(values) <= scale.ticks[-1]


@pytest.mark.parametrize("values", [[], [0.0], [7.0], [0.99, 0.99], [-3.0, -3.0]])
@pytest.mark.parametrize("zero", [True, False])
def test_an_axis_of_one_value_is_an_axis(values: list[float], zero: bool) -> None:
    scale = linear(values, 10, 90, zero)
    places = [scale.at(value) for value in values]
    assert all(10 <= place <= 90 for place in places) and len(scale.ticks) > 1
    assert not zero or scale.ticks[0] <= 0 <= scale.ticks[-1]


def test_far_apart_values_share_a_logarithmic_axis() -> None:
    assert fitting([1, 150], 0, 100).is_log and not fitting([1, 15], 0, 100).is_log
    assert not fitting([0, 150], 0, 100).is_log, "nothing is at 0 there"
    scale = logarithmic([1, 100], 0, 100)
    assert scale.at(10) == pytest.approx(50) and {1, 10, 100} <= set(scale.ticks)


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (0.99111, "0.991"), (12.345, "12.3"), (1234.5, "1,234"), (0.00123, "0.00123"),
     (0.0000123, "1.2e-05"), (99.96, "100.0"), (-0.5, "-0.500")],
)  # fmt: skip
def test_numbers_have_three_digits(value: float, words: str) -> None:
    assert number(value) == words


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314  of our own making


def test_names_of_points_do_not_lie_on_each_other() -> None:
    points = [Point("a long name", 10 + place / 10, 0.99 + place / 1e4) for place in range(4)]
    drawn = parsed(scatter("x", points, "ms", "top-1"))
    names = [each for each in drawn.iter("text") if each.get("class") == "named halo"]
    assert len({(each.get("x"), each.get("y")) for each in names}) == 4
    tops = sorted(float(each.get("y", "0")) for each in names)
    lefts = {each.get("text-anchor") for each in names}
    assert len(lefts) > 1 or tops[-1] - tops[0] > 14


def test_the_front_is_joined_and_full() -> None:
    points = [Point("a", 1, 1, is_front=True), Point("b", 2, 2, is_front=True), Point("c", 3, 1)]
    drawn = parsed(scatter("x", points, "ms", "top-1"))
    kinds = [each.get("class", "") for each in drawn.iter("circle")]
    assert sum("hollow" in kind for kind in kinds) == 1 and len(kinds) == 3
    front = [each for each in drawn.iter("path") if each.get("class") == "front"]
    assert len(front) == 1 and front[0].get("d", "").count("L") == 1


def test_a_line_has_a_gap_where_there_is_no_figure() -> None:
    series = [Series("one", [1, 2, 3, 4, 5], [1, 2, None, 3, 4]), Series("two", [1, 5], [3, 3])]
    drawn = parsed(lines("x", series, "fps", "ms", mark=(3, "the knee"), level=(2, "most")))
    runs = [each for each in drawn.iter("path") if "line" in each.get("class", "")]
    assert len(runs) == 3
    words = [each.text for each in drawn.iter("text")]
    assert {"the knee", "most", "one", "two"} <= set(words)
    shapes = [each.tag for each in drawn if "point" in each.get("class", "")]
    assert set(shapes) == {"circle", "rect"}, "series differ by shape, too"


def test_bars_and_matrices_hold_what_they_are_given() -> None:
    drawn = parsed(bars("x", [Bar("cat", [0.5, None]), Bar("dog", [0, 1])], ["a", "b"]))
    assert len([each for each in drawn.iter("rect") if "bar" in each.get("class", "")]) == 3
    drawn = parsed(matrix("x", (["cat", "dog"], ["cat", "dog"]), [[5, 0], [1, 3]], ("t", "f")))
    cells = [each.get("class") for each in drawn.iter("rect")]
    assert cells == ["cell", "none", "cell", "cell"]
    assert {"5", "1", "3"} <= {each.text for each in drawn.iter("text")}


def test_no_name_can_become_markup() -> None:
    point = Point(HOSTILE, 1, 1, note=HOSTILE)
    plots = [
        scatter(HOSTILE, [point], HOSTILE, HOSTILE),
        lines(HOSTILE, [Series(HOSTILE, [1, 2], [1, 2]), Series(HOSTILE, [1], [None])], HOSTILE,
              HOSTILE, mark=(1, HOSTILE), level=(1, HOSTILE)),
        bars(HOSTILE, [Bar(HOSTILE, [1, 2])], [HOSTILE, HOSTILE], ending=HOSTILE),
        matrix(HOSTILE, ([HOSTILE], [HOSTILE]), [[1]], (HOSTILE, HOSTILE)),
    ]  # fmt: skip
    for plot in plots:
        assert "script" not in {each.tag for each in parsed(plot).iter()}
    rows = [[HOSTILE, Cell(HOSTILE, True)]]
    body = [table([HOSTILE, HOSTILE], rows, HOSTILE), notes([HOSTILE]), verdict(HOSTILE, True),
            tiles([Tile(HOSTILE, HOSTILE, HOSTILE)]), *map(figure, plots)]  # fmt: skip
    page = document(HOSTILE, HOSTILE, [section(HOSTILE, body, HOSTILE)], HOSTILE)
    assert "<script" not in page and "default-src 'none'" in page
    assert not re.search(r"(src|href)=|url\(|@import", page), "all is in the page itself"


def test_a_hollow_circle_has_not_the_colour_of_a_full_one() -> None:
    """As browsers choose: of the rules the one with most classes, else the last."""
    points = [Point("a", 1, 0.9, is_front=True, colour=1), Point("b", 2, 0.8, colour=1)]
    page = document("t", "", [scatter("s", points, "x", "y")], "")
    style = page.partition("<style>")[2].partition("</style>")[0]
    rules = re.findall(r"([^{}@]+)\{([^{}]*)\}", style)

    def fill(kind: str) -> str:
        known = {"plot", *kind.split()}
        found = [
            (selector.count("."), place, declared[1])
            for place, (selectors, body) in enumerate(rules)
            for selector in selectors.strip().split(",")
            if re.fullmatch(r"[. \w-]+", selector) and selector.startswith(".")
            and set(re.findall(r"[\w-]+", selector)) <= known
            if (declared := re.search(r"(?:^|;)fill:([^;]+)", body))
        ]  # fmt: skip
        return max(found)[2]

    full, hollow = sorted(re.findall(r'<circle class="(dot[^"]*)"', page))
    assert (fill(full), fill(hollow)) == ("var(--c2)", "var(--surface)")
