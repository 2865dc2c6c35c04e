"""The page of one device: what is wrong, what it runs, its past as charts, its events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import ServerSentEvent, ServerSentEventMessage
from msgspec import Struct

from fleet.concerns import cpu_percent, memory_percent
from fleet.live.kinds import pressing
from fleet.live.line import Line
from fleet.live.view import Sight
from fleet.registry.words import EventQuery, Known, Span
from fleet.serve.pages.history import RANGES, history_of, range_of
from fleet.serve.pages.streaming import Beat, as_event
from fleet.serve.rendering import HtmlResponse, html
from fleet.serve.routes import Route
from fleet.serve.scope import WebRequest, parts_of

LOOK_S = 1.0
EVENTS = 12


@get("/device/{name:str}", sync_to_thread=True)
def device_page(request: WebRequest, name: FromPath[str]) -> HtmlResponse:
    sight = parts_of(request).live.sight
    line, known = _found(sight, name)
    pipelines = [each.pipeline for each in line.pipelines]
    wanted = request.query_params.get("pipeline", "")
    values = _head(sight, line, known) | {
        "ranges": RANGES,
        "range": range_of(request.query_params.get("range", "")),
        "pipelines": pipelines,
        "pipeline": wanted if wanted in pipelines else next(iter(pipelines), ""),
        "events": parts_of(request).registry.events(EventQuery(device=name, most=EVENTS)).events,
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


class DeviceNews(Struct, frozen=True):
    """head: as HTML. reached_s: when the newest record was made: another one is in the charts."""

    head: str
    reached_s: float | None


@get("/device/{name:str}/live", sync_to_thread=False)
def device_live(request: WebRequest, name: FromPath[str]) -> ServerSentEvent:
    """The page as it changes: `device`, and a `beat`."""
    _found(parts_of(request).live.sight, name)
    return ServerSentEvent(_news(request, name))


async def _news(request: WebRequest, name: str) -> AsyncIterator[ServerSentEventMessage]:
    live, told = parts_of(request).live, ""
    while True:
        sight = live.sight
        line, known = sight.by_name.get(name), sight.known.get(name)
        if line is not None and known is not None:
            text = await asyncio.to_thread(_head_text, request, sight, line, known)
            if text != told:
                yield as_event("device", DeviceNews(text, line.reached_s))
                told = text
        yield as_event("beat", Beat(sight.at_s, sight.trouble))
        await asyncio.sleep(LOOK_S)


def _head_text(request: WebRequest, sight: Sight, line: Line, known: Known) -> str:
    return html(request, "device_head.html", _head(sight, line, known)).content


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
        "notes": [one for one in line.concerns if one.kind in ("note",)],
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
