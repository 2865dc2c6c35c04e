"""The page of events: everything that happened in the fleet, searchable, the newest first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import cast, get_args
from urllib.parse import urlencode

from litestar import get
from litestar.response import ServerSentEvent, ServerSentEventMessage
from msgspec import Struct
from msgspec.structs import replace

from fleet.registry.words import EventQuery, EventRow, Span
from fleet.serve.pages.streaming import as_event, beat_of
from fleet.serve.rendering import HtmlResponse, html
from fleet.serve.routes import Route
from fleet.serve.scope import WebRequest, parts_of
from wire.messages import EventKind
from wire.troubles import Unavailable

PAGE = 100  # events
MOST_NEW = 50  # that are told at once
LOOK_S = 2.0
LONGEST = 200  # characters of a word that is searched
KINDS: tuple[tuple[str, str], ...] = (
    ("fault", "Faults"),
    ("recovered", "Recovered"),
    ("update", "Updates"),
    ("note", "Notes"),
)
SPANS: tuple[tuple[str, str, float], ...] = (
    ("", "Any time", 0.0),
    ("1h", "Last hour", 3600.0),
    ("24h", "Last 24 hours", 86400.0),
    ("7d", "Last 7 days", 7 * 86400.0),
)


class Asked(Struct, frozen=True):
    """What somebody looks for. before: the events below this id; 0: from the newest on."""

    text: str = ""
    device: str = ""
    kind: str = ""
    span: str = ""
    before: int = 0

    @property
    def query(self) -> str:
        """As it stands in an address."""
        told = {name: str(getattr(self, name)) for name in self.__struct_fields__}
        return urlencode({name: value for name, value in told.items() if value not in ("", "0")})

    @property
    def is_narrow(self) -> bool:
        return any((self.text, self.device, self.kind, self.span))

    def older(self, before: int) -> Asked:
        return replace(self, before=before)


def asked_of(told: Mapping[str, str]) -> Asked:
    """What makes no sense counts as not said."""
    kind, span, before = told.get("kind", ""), told.get("span", ""), told.get("before", "")
    return Asked(
        text=told.get("text", "").strip()[:LONGEST],
        device=told.get("device", "").strip()[:64],
        kind=kind if kind in get_args(EventKind) else "",
        span=span if span in {name for name, _, _ in SPANS} else "",
        before=int(before) if before.isascii() and before.isdigit() and len(before) < 16 else 0,
    )


def query_of(asked: Asked, most: int, now_s: float) -> EventQuery:
    seconds = next(seconds for name, _, seconds in SPANS if name == asked.span)
    return EventQuery(
        device=asked.device or None,
        kind=cast(EventKind, asked.kind) if asked.kind else None,
        text=asked.text or None,
        span=Span(now_s - seconds, now_s + 86400.0) if seconds else None,
        before_id=asked.before or None,
        most=most,
    )


@get("/events", sync_to_thread=True)
def events_page(request: WebRequest) -> HtmlResponse:
    return html(request, "events.html", _page(request))


@get("/events/list", sync_to_thread=True)
def events_list(request: WebRequest) -> HtmlResponse:
    """The list alone."""
    return html(request, "events_list.html", _page(request))


class EventsNews(Struct, frozen=True):
    """Events that are new, as HTML, the newest first."""

    html: str
    count: int


@get("/events/live", sync_to_thread=False)
def events_live(request: WebRequest) -> ServerSentEvent:
    """What happens from now on: `events`, and a `beat`. since: the newest id that is known."""
    since = request.query_params.get("since", "")
    known = int(since) if since.isascii() and since.isdigit() and len(since) < 16 else 0
    return ServerSentEvent(_news(request, asked_of(request.query_params), known))


async def _news(
    request: WebRequest, asked: Asked, known: int
) -> AsyncIterator[ServerSentEventMessage]:
    parts = parts_of(request)
    while True:
        try:
            rows, text = await asyncio.to_thread(_after, request, asked, known)
        except Unavailable as trouble:
            yield as_event("beat", replace(beat_of(parts), trouble=str(trouble)))
            await asyncio.sleep(LOOK_S)
            continue
        if rows:
            known = rows[0].id
            yield as_event("events", EventsNews(text, len(rows)))
        yield as_event("beat", beat_of(parts))
        await asyncio.sleep(LOOK_S)


def _after(request: WebRequest, asked: Asked, known: int) -> tuple[tuple[EventRow, ...], str]:
    """Events that came later than a known one, and the same as HTML."""
    query = replace(query_of(asked.older(0), MOST_NEW, time.time()), after_id=known)
    rows = parts_of(request).registry.events(query).events
    return rows, "".join(html(request, "event_line.html", {"row": row}).content for row in rows)


def _page(request: WebRequest) -> dict[str, object]:
    asked = asked_of(request.query_params)
    page = parts_of(request).registry.events(query_of(asked, PAGE, time.time()))
    return {"asked": asked, "page": page, "kinds": KINDS, "spans": SPANS}


ROUTES = (
    Route("viewer", events_page),
    Route("viewer", events_list),
    Route("viewer", events_live),
)
