"""The page of one device: what is wrong, what it runs, its past as charts, its events."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator

import msgspec
from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import ServerSentEvent, ServerSentEventMessage
from msgspec import Struct

from fleet.concerns import cpu_percent, memory_percent
from fleet.lines import thing_words, worth_telling
from fleet.live.hearing import Hearing, Look
from fleet.live.kinds import pressing
from fleet.live.line import Line
from fleet.live.view import Sight
from fleet.registry.words import EventQuery, Known, Span, UpdateQuery
from fleet.serve.pages.counted import DAY_S, DAYS, counted
from fleet.serve.pages.heard import hearing_of
from fleet.serve.pages.history import RANGES, history_of, range_of
from fleet.serve.pages.streaming import as_event, beat_of
from fleet.serve.rendering import HtmlResponse, html
from fleet.serve.routes import Route
from fleet.serve.scope import WebRequest, parts_of
from fleet.wording import duration, printable
from wire.results import Result
from wire.troubles import Unavailable

LOOK_S = 1.0
EVENTS = 12
UPDATES = 12
EVENTS_S = 3.0  # between two looks at them
MOST_THINGS = 8


@get("/device/{name:str}", sync_to_thread=True)
def device_page(request: WebRequest, name: FromPath[str]) -> HtmlResponse:
    sight = parts_of(request).live.sight
    line, known = _found(sight, name)
    pipelines = [each.pipeline for each in line.pipelines]
    wanted = request.query_params.get("pipeline", "")
    chosen = range_of(request.query_params.get("range", ""))
    values = _head(sight, line, known) | {
        "ranges": RANGES,
        "range": chosen,
        "from_s": round(time.time() - chosen.seconds),
        "pipeline": wanted if wanted in pipelines else next(iter(pipelines), ""),
        **_counts(request, line, known),
        **_happened(request, name),
    }
    return html(request, "device.html", values)


@get("/device/{name:str}/history", sync_to_thread=True)
def device_history(request: WebRequest, name: FromPath[str]) -> Response[bytes]:
    """What the charts draw, as JSON."""
    parts = parts_of(request)
    _found(parts.live.sight, name)
    now_s = time.time()
    span = Span(now_s - range_of(request.query_params.get("range", "")).seconds, now_s)
    pipeline = request.query_params.get("pipeline", "")[:64]
    content = msgspec.json.encode(history_of(parts.registry, name, pipeline, span))
    return Response(content, media_type="application/json")


class Found(Struct, frozen=True):
    """What a pipeline found in its newest frame."""

    pipeline: str
    words: str


class DeviceNews(Struct, frozen=True):
    """head: as HTML. reached_s: when the newest record was made: another one is in the charts."""

    head: str
    reached_s: float | None


@get("/device/{name:str}/live", sync_to_thread=False)
def device_live(request: WebRequest, name: FromPath[str]) -> ServerSentEvent:
    """The page as it changes: `device`, `found`, `counts`, `events`, `updates`, and a `beat`."""
    _found(parts_of(request).live.sight, name)
    return ServerSentEvent(_news(request, name))


async def _news(request: WebRequest, name: str) -> AsyncIterator[ServerSentEventMessage]:
    hearing = hearing_of(request)
    looking = asyncio.ensure_future(asyncio.to_thread(hearing.look, name))
    try:
        # who goes away meanwhile has begun to look all the same
        told = _Told(request, name, await asyncio.shield(looking))
        while True:
            for message in await asyncio.to_thread(told.news):
                yield message
            await asyncio.sleep(LOOK_S)
    finally:
        if looking.done():
            _leave(hearing, looking)
        else:
            looking.add_done_callback(lambda done: _leave(hearing, done))


def _leave(hearing: Hearing, looking: asyncio.Future[Look]) -> None:
    """Whoever closes the page must not wait for the broker."""
    if not looking.cancelled() and looking.exception() is None:
        threading.Thread(target=hearing.leave, args=(looking.result(),), name="leave").start()


class _Told:
    """What one reader has been told."""

    def __init__(self, request: WebRequest, name: str, look: Look) -> None:
        self._request = request
        self._name = name
        self._look = look
        self._version = -1
        self._head = ""
        self._results: dict[str, Result] = {}
        self._events_s = float("-inf")  # when they were read, by time.monotonic
        self._happened: dict[str, str] = {}  # as it was shown last
        self._counted_s: float | None = None  # when the record was made that was counted last

    def news(self) -> list[ServerSentEventMessage]:
        parts = parts_of(self._request)
        sight = parts.live.sight
        news = [] if sight.version == self._version else self._head_news(sight)
        self._version = sight.version
        for pipeline, result in list(self._look.results.items()):
            if self._results.get(pipeline) is not result:
                self._results[pipeline] = result
                news.append(as_event("found", Found(pipeline, found_words(result))))
        if time.monotonic() - self._events_s >= EVENTS_S:
            self._events_s = time.monotonic()
            with contextlib.suppress(Unavailable):  # the beat says what is wrong
                news += [*self._event_news(), *self._count_news(sight)]
        return [*news, as_event("beat", beat_of(parts))]

    def _head_news(self, sight: Sight) -> list[ServerSentEventMessage]:
        line, known = sight.by_name.get(self._name), sight.known.get(self._name)
        if line is None or known is None:
            return []
        text = html(self._request, "device_head.html", _head(sight, line, known)).content
        if text == self._head:
            return []
        self._head = text
        return [as_event("device", DeviceNews(text, line.reached_s))]

    def _count_news(self, sight: Sight) -> list[ServerSentEventMessage]:
        """Counts change with a record, and no sooner."""
        line, known = sight.by_name.get(self._name), sight.known.get(self._name)
        if line is None or known is None or line.reached_s == self._counted_s:
            return []
        values = _counts(self._request, line, known)
        self._counted_s = line.reached_s
        text = html(self._request, "device_counts.html", values | {"line": line}).content
        return [as_event("counts", text)]

    def _event_news(self) -> list[ServerSentEventMessage]:
        happened = _happened(self._request, self._name)
        news = []
        for name in ("events", "updates"):
            text = html(self._request, f"device_{name}.html", happened).content
            if self._happened.get(name, text) != text:
                news.append(as_event(name, text))
            self._happened[name] = text
        return news


def _happened(request: WebRequest, name: str) -> dict[str, object]:
    """Raises Unavailable."""
    registry = parts_of(request).registry
    return {
        "events": registry.events(EventQuery(device=name, most=EVENTS)).events,
        "updates": registry.updates(UpdateQuery(device=name, most=UPDATES)),
    }


def _counts(request: WebRequest, line: Line, known: Known) -> dict[str, object]:
    """Raises Unavailable."""
    now_s = time.time()
    windows = {} if known.telemetry is None else known.telemetry.pipelines
    return {
        "pipelines": [each.pipeline for each in line.pipelines],
        "counted": counted(parts_of(request).registry, line.name, windows, now_s),
        "week_s": round(now_s - DAYS * DAY_S),
    }


def found_words(result: Result) -> str:
    """What a model found in a frame, and how long that took."""
    told = worth_telling(result)
    more = len(told) - MOST_THINGS
    found = ", ".join(map(thing_words, told[:MOST_THINGS]))
    found += f" and {more} more" if more > 0 else ""
    took = duration(result.stages_us.end_to_end).replace(" us", " µs")
    return printable(f"{found or 'nothing'} in frame {result.frame:,}, {took}", 300)


def _found(sight: Sight, name: str) -> tuple[Line, Known]:
    line, known = sight.by_name.get(name), sight.known.get(name)
    if line is None or known is None:
        raise NotFoundException("no device of this name has been heard")
    return line, known


def _head(sight: Sight, line: Line, known: Known) -> dict[str, object]:
    health = None if known.telemetry is None else known.telemetry.health
    return {
        "sight": sight,
        "line": line,
        "known": known,
        "pressing": pressing(line.concerns),
        "notes": [one for one in line.concerns if one.kind == "note"],
        "health": health,
        "cpu": None if health is None else cpu_percent(health),
        "memory": None if health is None else memory_percent(health),
        "windows": {} if known.telemetry is None else known.telemetry.pipelines,
    }


ROUTES = (
    Route("viewer", device_page),
    Route("viewer", device_history),
    Route("viewer", device_live),
)
