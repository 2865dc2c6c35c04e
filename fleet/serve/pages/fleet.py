"""The page of the whole fleet: what is wrong, its numbers, and the table of all devices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from litestar import get
from litestar.response import ServerSentEvent, ServerSentEventMessage
from msgspec import Struct

from fleet.live.answer import Answer, answer
from fleet.live.line import Line
from fleet.live.question import Question, question_of
from fleet.live.view import Sight
from fleet.serve.pages.figures import bar_of, curve_of, reaches_of
from fleet.serve.pages.streaming import as_event, beat_of
from fleet.serve.rendering import HtmlResponse, html
from fleet.serve.routes import Route
from fleet.serve.scope import WebRequest, parts_of

LOOK_S = 2.0  # between two looks at what changed
COLUMNS = (
    ("worst", "State", ""),
    ("name", "Device", ""),
    ("model", "Model", ""),
    ("board", "Board", ""),
    ("fps", "Frames/s", "num"),
    ("p95", "p95", "num"),
    ("hot", "Hottest", "num"),
    ("heard", "Heard", "num"),
)
# what the select of a phone offers: which order, and its two directions
SORTS = (
    ("worst", "Trouble", "worst first", "worst last"),
    ("name", "Device", "A to Z", "Z to A"),
    ("model", "Model", "A to Z", "Z to A"),
    ("board", "Board", "A to Z", "Z to A"),
    ("fps", "Frames/s", "most first", "fewest first"),
    ("p95", "p95", "slowest first", "quickest first"),
    ("hot", "Temperature", "hottest first", "coolest first"),
    ("heard", "Heard", "newest first", "oldest first"),
)


@get("/", sync_to_thread=True)
def fleet_page(request: WebRequest) -> HtmlResponse:
    """Everything, whole."""
    sight = parts_of(request).live.sight
    question = question_of(request.query_params)
    return html(request, "fleet.html", _head(sight) | _lines(sight, question))


@get("/lines", sync_to_thread=True)
def fleet_lines(request: WebRequest) -> HtmlResponse:
    """The table alone."""
    sight = parts_of(request).live.sight
    return html(request, "fleet_lines.html", _lines(sight, question_of(request.query_params)))


class LinesNews(Struct, frozen=True):
    """What is new in the table. order: the names on this page. rows: those that look otherwise, as
    HTML. foot: how many there are."""

    order: tuple[str, ...]
    rows: dict[str, str]
    count: str


@get("/live", sync_to_thread=False)
def fleet_live(request: WebRequest) -> ServerSentEvent:
    """The page as it changes: `head` and `lines`, and a `beat` when nothing does."""
    return ServerSentEvent(_news(request))


async def _news(request: WebRequest) -> AsyncIterator[ServerSentEventMessage]:
    # ten thousand lines are looked through
    told = await asyncio.to_thread(
        _Told, request, question_of(request.query_params), request.query_params.get("since", "")
    )
    while True:
        for message in await asyncio.to_thread(told.news):
            yield message
        await asyncio.sleep(LOOK_S)


class _Told:
    """What one reader has been told, who loaded the page when it was of version `since`."""

    def __init__(self, request: WebRequest, question: Question, since: str) -> None:
        self._request = request
        self._question = question
        self._parts = parts_of(request)
        self._live = self._parts.live
        self._version = -1
        self._head = ""
        self._lines: dict[str, Line] = {}
        sight = self._live.sight
        if str(sight.version) == since:  # the page has it all
            self._news(sight)

    def news(self) -> list[ServerSentEventMessage]:
        sight = self._live.sight
        news = [] if sight.version == self._version else self._news(sight)
        return [*news, as_event("beat", beat_of(self._parts))]

    def _news(self, sight: Sight) -> list[ServerSentEventMessage]:
        self._version = sight.version
        news = []
        head = html(self._request, "fleet_head.html", _head(sight)).content
        if head != self._head:
            self._head = head
            news.append(as_event("head", head))
        found = answer(sight.lines, self._question)
        fresh = [line for line in found.lines if self._lines.get(line.name) is not line]
        before, self._lines = self._lines, {line.name: line for line in found.lines}
        if fresh or list(before) != list(self._lines):
            rows = {line.name: self._row(line) for line in fresh}
            count = html(self._request, "fleet_count.html", {"answer": found}).content
            news.append(as_event("lines", LinesNews(tuple(self._lines), rows, count)))
        return news

    def _row(self, line: Line) -> str:
        return html(self._request, "fleet_row.html", {"line": line}).content


def _head(sight: Sight) -> dict[str, object]:
    trend = sight.trend
    return {
        "sight": sight,
        "summary": sight.summary,
        "bar": bar_of(sight.summary.releases),
        "reaches": reaches_of(sight.summary.stages),
        "fps_curve": curve_of([each.fps for each in trend]),
        "p95_curve": curve_of([each.p95_us for each in trend]),
    }


def _lines(sight: Sight, question: Question) -> dict[str, object]:
    found: Answer = answer(sight.lines, question)
    return {"answer": found, "question": found.question, "summary": sight.summary,
            "columns": COLUMNS, "sorts": SORTS, "ready": sight.at_s is not None}  # fmt: skip


ROUTES = (
    Route("viewer", fleet_page),
    Route("viewer", fleet_lines),
    Route("viewer", fleet_live),
)
