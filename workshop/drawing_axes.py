"""Axes of a plot: from values to pixels of an SVG, with round numbers along them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

LETTER = 6.7  # pixels of the mean letter of 12 px, to guess how wide words are
LEAST = 460.0  # pixels: a narrower screen scrolls, since words would be too small to be read
WIDE_RANGE = 20.0  # the largest over the smallest value from which an axis is better logarithmic


@dataclass(frozen=True)
class Scale:
    """One axis. low, high: values at the pixels start and end. ticks: values that are named."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    is_log: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value."""
        low, high = (math.log(self.low), math.log(self.high)) if self.is_log else (
            self.low, self.high)  # fmt: skip
        place = math.log(value) if self.is_log else value
        return self.start + (place - low) / (high - low) * (self.end - self.start)


def linear(
    values: Sequence[float],
    start: float,
    end: float,
    zero: bool = False,
    least: float = 0.0,
    most: float = math.inf,
) -> Scale:
    """An axis on which all these values have room. zero: it begins at 0. least: it is no shorter,
    so that differences do not look larger than they are. most: no value is beyond. All finite."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < least:
        high = min(most, (low + high + least) / 2)
        low = high - least
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        room = abs(high) * 0.1 or 1.0
        low, high = (low if zero and low == 0 else low - room), high + room
    step = _round_step((high - low) / 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(place * step, 12) for place in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], start, end, ticks)


def logarithmic(values: Sequence[float], start: float, end: float) -> Scale:
    """An axis of decades; ticks at 1, 2 and 5 of each. All values are above 0."""
    low, high = min(values) / 1.15, max(values) * 1.15
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 1500 else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return Scale(low, high, start, end, tuple(t for t in ticks if low <= t <= high), is_log=True)


def fitting(values: Sequence[float], start: float, end: float) -> Scale:
    """Logarithmic where the values are far apart, linear elsewhere."""
    least = min(values, default=0.0)
    if least > 0 and max(values) / least > WIDE_RANGE:
        return logarithmic(values, start, end)
    return linear(values, start, end)


def number(value: float) -> str:
    """Three digits that tell, without an exponent as long as it is readable."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 1e-4 or not math.isfinite(value):
        return f"{value:.2g}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def tick_words(scale: Scale, ending: str = "") -> list[str]:
    """The ticks in words, all with as many decimals as tell them apart."""
    if scale.is_log or len(scale.ticks) < 2:
        return [f"{tick:,.10g}{ending}" for tick in scale.ticks]
    step = scale.ticks[1] - scale.ticks[0]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(step, decimals) != round(step, 12):
        decimals += 1  # 0.25, 2.5
    return [f"{tick:,.{decimals}f}{ending}" for tick in scale.ticks]


def _round_step(least: float) -> float:
    """The next of 1, 2, 2.5, 5 or 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= least * 0.999999)


@dataclass
class Plot:
    """An SVG on which one plot is drawn. label: what it shows, for those who do not see it. least:
    it is never shown narrower than that, in pixels."""

    label: str
    width: float = 720
    height: float = 340
    left: float = 64
    right: float = 20
    top: float = 18
    bottom: float = 50
    least: float = LEAST
    parts: list[str] = field(default_factory=list)

    @property
    def across(self) -> tuple[float, float]:
        """The pixels at which the x axis starts and ends."""
        return self.left, self.width - self.right

    @property
    def upwards(self) -> tuple[float, float]:
        """The pixels at which the y axis starts, below, and ends."""
        return self.height - self.bottom, self.top

    def draw(self, element: str) -> None:
        self.parts.append(element)

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> None:
        """anchor: start, middle or end."""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
            f"{escape(words)}</text>"
        )

    def axes(self, x: Scale, y: Scale, x_title: str, y_title: str, y_ending: str = "") -> None:
        """The grid, its numbers and what they are."""
        foot, head = self.upwards
        for tick, words in zip(x.ticks, tick_words(x), strict=True):
            self._grid(x.at(tick), foot, x.at(tick), head)
            self.text(x.at(tick), foot + 17, words, "tick", "middle")
        for tick, words in zip(y.ticks, tick_words(y, y_ending), strict=True):
            self._grid(self.left, y.at(tick), self.width - self.right, y.at(tick))
            self.text(self.left - 8, y.at(tick) + 4, words, "tick", "end")
        self.text((self.left + self.width - self.right) / 2, self.height - 8, x_title, "title",
                  "middle")  # fmt: skip
        middle = (foot + head) / 2
        self.draw(
            f'<text class="title" text-anchor="middle" '
            f'transform="translate(14 {middle:.1f}) rotate(-90)">{escape(y_title)}</text>'
        )

    def _grid(self, x1: float, y1: float, x2: float, y2: float) -> None:
        self.draw(f'<path class="grid" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>')

    def svg(self) -> str:
        return (
            f'<svg class="plot" viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'style="max-width:{self.width:g}px;min-width:{min(self.width, self.least):g}px" '
            f'aria-label="{escape(self.label)}">' + "".join(self.parts) + "</svg>"
        )
