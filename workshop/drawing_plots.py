"""Plots as SVG, without a script: named points, lines, bars. Their look is in workshop/drawing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from workshop.drawing_axes import LETTER, Plot, Scale, fitting, linear, number

COLOURS = 5  # that workshop/drawing's style has; a sixth series begins again, with another mark
BOLDER = 1.12  # names of points are
STEP_OFF = 16.0  # pixels: a name that has no room goes further up or down, so often
STEPS_OFF = 7
EDGE = 24  # pixels: the radius of the largest circle, and some more
MARKS = ("circle", "square", "diamond", "triangle")

Corners = tuple[float, float, float, float]  # left, top, right, bottom, in pixels


@dataclass(frozen=True)
class Point:
    """One named point. area: share of the largest circle, 0 to 1. is_front: drawn full. note: what
    is said where the mouse rests on it."""

    name: str
    x: float
    y: float
    area: float = 0.15
    is_front: bool = False
    colour: int = 0
    note: str = ""


@dataclass(frozen=True)
class Series:
    """One line. ys: None where there is no figure: the line has a gap there."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float | None]


@dataclass(frozen=True)
class Bar:
    """One row of bars, one for each series. None: no figure."""

    name: str
    values: Sequence[float | None]


def scatter(
    label: str,
    points: Sequence[Point],
    x_title: str,
    y_title: str,
    y_least: float = 0.0,
    y_most: float = math.inf,
) -> str:
    """Points with their names beside them. A line joins those that no other is left of and above.
    y_least, y_most: as of `linear`."""
    plot = Plot(label, width=560, height=360)
    x = _with_room(fitting([point.x for point in points], *plot.across))
    ys = [point.y for point in points]
    y = _with_room(linear(ys, *plot.upwards, least=y_least, most=y_most))
    plot.axes(x, y, x_title, y_title)
    edge = [(x.at(point.x), y.at(point.y)) for point in _edge(points)]
    if len(edge) > 1:
        plot.draw(f'<path class="front" d="{_path(edge)}"/>')
    circles = [_around(x.at(point.x), y.at(point.y), _radius(point)) for point in points]
    for point in sorted(points, key=lambda point: -point.area):  # the small ones above
        kind = "dot" if point.is_front else "dot hollow"
        plot.draw(
            f'<circle class="{kind} c{point.colour % COLOURS + 1}" cx="{x.at(point.x):.1f}" '
            f'cy="{y.at(point.y):.1f}" r="{_radius(point):.1f}">'
            f"<title>{escape(point.note or point.name)}</title></circle>"
        )
    taken = list(circles)
    for point, own in zip(points, circles, strict=True):
        _name(plot, point, own, taken)
    return plot.svg()


def lines(
    label: str,
    series: Sequence[Series],
    x_title: str,
    y_title: str,
    *,
    mark: tuple[float, str] | None = None,
    level: tuple[float, str] | None = None,
    zero: bool = True,
    across: Callable[[Sequence[float], float, float], Scale] = fitting,
) -> str:
    """Lines over one axis. mark: an x that has a name. level: a y that has one. zero: the y axis
    begins at 0. across: makes the x axis."""
    plot = Plot(label)
    plot.top += _legend_height([each.name for each in series], plot.left, plot.width)
    xs = [value for each in series for value in each.xs]
    ys = [value for each in series for value in each.ys if value is not None]
    x = across(xs + ([mark[0]] if mark else []), *plot.across)
    y = linear(ys + ([level[0]] if level else []), *plot.upwards, zero=zero)
    plot.axes(x, y, x_title, y_title)
    foot, head = plot.upwards
    if mark is not None:
        at = x.at(mark[0])
        plot.draw(f'<path class="mark" d="M{at:.1f} {foot:.1f}L{at:.1f} {head:.1f}"/>')
        is_right = at > plot.width * 0.7
        plot.text(at - 6 if is_right else at + 6, head + 12, mark[1], "named",
                  "end" if is_right else "start")  # fmt: skip
    if level is not None:
        at = y.at(level[0])
        plot.draw(f'<path class="level" d="M{plot.left:g} {at:.1f}L{x.end:.1f} {at:.1f}"/>')
        plot.text(x.end - 4, at - 5, level[1], "named", "end")
    for place, each in enumerate(series):
        _line(plot, each, place, x, y)
    _legend(plot, [each.name for each in series])
    return plot.svg()


def bars(
    label: str, rows: Sequence[Bar], series: Sequence[str], *, most: float = 1.0, ending: str = ""
) -> str:
    """Bars from the left, a group for each row, with their figures. most: the longest one's."""
    named = min(200.0, max([len(row.name) for row in rows], default=0) * LETTER + 16)
    thick = 14.0 if len(series) == 1 else 11.0
    group = thick * len(series) + 9
    plot = Plot(label, width=560, left=max(60.0, named), right=52)
    head = 8 + _legend_height(series, plot.left, plot.width)
    plot.height = head + group * len(rows) + 8
    start, end = plot.across
    for place, row in enumerate(rows):
        top = head + place * group
        plot.text(start - 8, top + (group - 9) / 2 + 4, _short(row.name, named), "tick", "end")
        for which, value in enumerate(row.values):
            y = top + which * thick
            if value is None:
                plot.text(start + 4, y + thick - 2, "-", "tick")
                continue
            width = max(0.0, min(1.0, value / most)) * (end - start)
            plot.draw(
                f'<rect class="bar c{which % COLOURS + 1}" x="{start:.1f}" y="{y:.1f}" '
                f'width="{max(width, 0.5):.1f}" height="{thick - 2:g}"/>'
            )
            plot.text(start + width + 5, y + thick - 3 + (len(series) == 1) * 0.5,
                      f"{number(value)}{ending}", "figure")  # fmt: skip
    _legend(plot, series)
    return plot.svg()


def _with_room(scale: Scale) -> Scale:
    """The scale with some pixels less at both ends, so that circles do not lie over the edge."""
    inwards = EDGE if scale.end > scale.start else -EDGE
    return Scale(scale.low, scale.high, scale.start + inwards, scale.end - inwards,
                 scale.ticks, scale.is_log)  # fmt: skip


def _edge(points: Sequence[Point]) -> list[Point]:
    """Those of which no other is at least as far left and up, from the left."""
    best, edge = -math.inf, []
    for point in sorted(points, key=lambda point: (point.x, -point.y)):
        if point.y > best:
            best = point.y
            edge.append(point)
    return edge


def _radius(point: Point) -> float:
    return 5 + 15 * math.sqrt(point.area)


def _around(x: float, y: float, radius: float) -> Corners:
    return (x - radius, y - radius, x + radius, y + radius)


def _name(plot: Plot, point: Point, own: Corners, taken: list[Corners]) -> None:
    """Where nothing else is: right of its point, left, above, below, or further off by a line."""
    width = len(point.name) * LETTER * BOLDER
    left, top, right, low = own
    middle = (left + right) / 2
    places = [  # x, y, anchor, where the words begin
        (right + 4, (top + low) / 2 + 4, "start", right + 4),
        (left - 4, (top + low) / 2 + 4, "end", left - 4 - width),
    ]
    for step in range(STEPS_OFF):
        places += [
            (middle, y, "middle", middle - width / 2)
            for y in (top - 5 - step * STEP_OFF, low + 14 + step * STEP_OFF)
        ]
    others = [each for each in taken if each != own]

    def is_free(y: float, start: float) -> bool:
        inside = start > plot.left and start + width < plot.width and y > 12
        inside = inside and y < plot.height - plot.bottom
        return inside and not any(_overlap(_words_at(start, y, width), each) for each in others)

    free = [place for place in places if is_free(place[1], place[3])]
    x, y, anchor, start = free[0] if free else places[right + width > plot.width]
    taken.append(_words_at(start, y, width))
    if y < top - STEP_OFF or y > low + 14 + STEP_OFF / 2:
        end, begin = (y + 3, top) if y < top else (y - 11, low)
        plot.draw(f'<path class="leader" d="M{middle:.1f} {begin:.1f}L{middle:.1f} {end:.1f}"/>')
    plot.text(x, y, point.name, "named halo", anchor)


def _words_at(start: float, y: float, width: float) -> Corners:
    return (start, y - 11, start + width, y + 3)


def _overlap(one: Corners, other: Corners) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


def _line(plot: Plot, series: Series, place: int, x: Scale, y: Scale) -> None:
    run: list[tuple[float, float]] = []
    runs = [run]
    for across, up in zip(series.xs, series.ys, strict=True):
        if up is None:
            run = []
            runs.append(run)
        else:
            run.append((x.at(across), y.at(up)))
    for each in runs:
        if len(each) > 1:
            plot.draw(f'<path class="line c{place % COLOURS + 1}" d="{_path(each)}"/>')
        for left, top in each:
            plot.draw(_mark(left, top, place))


def _mark(x: float, y: float, place: int) -> str:
    """Series differ by the shape of their marks too: not everybody tells colours apart."""
    shape = MARKS[place % len(MARKS)]
    kind = f'class="point c{place % COLOURS + 1}"'
    if shape == "circle":
        return f'<circle {kind} cx="{x:.1f}" cy="{y:.1f}" r="3.6"/>'
    if shape == "square":
        return f'<rect {kind} x="{x - 3.3:.1f}" y="{y - 3.3:.1f}" width="6.6" height="6.6"/>'
    if shape == "diamond":
        return f'<path {kind} d="M{x:.1f} {y - 4.6:.1f}l4.6 4.6l-4.6 4.6l-4.6 -4.6z"/>'
    return f'<path {kind} d="M{x:.1f} {y - 4.4:.1f}l4.4 7.8h-8.8z"/>'


def _legend_places(names: Sequence[str], left: float, width: float) -> list[tuple[float, float]]:
    """Where each name of a legend begins; nowhere for a single one."""
    if len(names) < 2:
        return []
    x, y, places = left, 14.0, []
    for name in names:
        wide = len(name) * LETTER + 34
        if x + wide > width and x > left:
            x, y = left, y + 18
        places.append((x, y))
        x += wide
    return places


def _legend_height(names: Sequence[str], left: float, width: float) -> float:
    places = _legend_places(names, left, width)
    return places[-1][1] + 6 if places else 0.0


def _legend(plot: Plot, names: Sequence[str]) -> None:
    for place, (x, y) in enumerate(_legend_places(names, plot.left, plot.width)):
        plot.draw(_mark(x + 6, y - 4, place))
        plot.text(x + 16, y, names[place], "tick")


def _short(name: str, room: float) -> str:
    most = int((room - 12) / LETTER)
    return name if len(name) <= most else name[: max(1, most - 1)] + "\u2026"
