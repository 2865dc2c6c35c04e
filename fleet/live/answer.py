"""The lines of the fleet's table that a question asks for: searched, filtered, sorted, paged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import cast

from fleet.concerns import Kind
from fleet.live.line import Line
from fleet.live.question import Question

PAGE = 100  # lines
# by which number a column is sorted, the largest first; lines without one come last
_NUMBERS: dict[str, Callable[[Line], float | None]] = {
    "fps": attrgetter("fps"),
    "p95": attrgetter("p95_us"),
    "hot": attrgetter("hottest_c"),
    "heard": attrgetter("heard_s"),
}
_TEXTS: dict[str, Callable[[Line], str]] = {
    "name": attrgetter("name"),
    "model": attrgetter("model"),
    "board": attrgetter("board"),
}


@dataclass(frozen=True)
class Answer:
    """One page of lines. found: how many lines there are on all pages; whole: in the fleet."""

    question: Question
    lines: tuple[Line, ...]
    found: int
    whole: int
    pages: int

    @property
    def first(self) -> int:
        """The number of the page's first line, from 1."""
        return (self.question.page - 1) * PAGE + 1 if self.lines else 0

    @property
    def last(self) -> int:
        return self.first + len(self.lines) - 1 if self.lines else 0


def answer(lines: Sequence[Line], question: Question) -> Answer:
    """lines: the whole fleet, the worst first, then by name. A page behind the last one is the
    last one."""
    found = ordered(chosen(lines, question), question)
    pages = max(1, -(-len(found) // PAGE))
    page = min(question.page, pages)
    shown = tuple(found[(page - 1) * PAGE : page * PAGE])
    return Answer(question.turned(page), shown, len(found), len(lines), pages)


def chosen(lines: Sequence[Line], question: Question) -> list[Line]:
    """All lines that it asks for, in the order of the whole."""
    found = list(lines)
    if question.show == "needs":
        found = [line for line in found if line.level != "good"]
    elif question.show == "online":
        found = [line for line in found if line.is_online]
    elif question.show == "offline":
        found = [line for line in found if line.is_online is False]
    if question.kind:
        kind = cast(Kind, question.kind)
        found = [line for line in found if kind in line.kinds]
    if question.model:
        found = [line for line in found if question.model in line.models]
    if question.board:
        found = [line for line in found if line.board == question.board]
    if question.group:
        found = [line for line in found if question.group in line.groups]
    for word in question.search.casefold().split():
        found = [line for line in found if word in line.found]
    return found


def ordered(lines: list[Line], question: Question) -> list[Line]:
    """By the column of the question; equals stay as they are, the worst first."""
    if question.order in _NUMBERS:
        number = _NUMBERS[question.order]
        known = [line for line in lines if number(line) is not None]
        known.sort(key=lambda line: number(line) or 0.0, reverse=not question.reverse)
        return known + [line for line in lines if number(line) is None]
    if question.order in _TEXTS:
        text = _TEXTS[question.order]
        return sorted(lines, key=text, reverse=question.reverse)
    return lines[::-1] if question.reverse else lines
