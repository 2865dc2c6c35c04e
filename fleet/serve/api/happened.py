"""What happened: events, and the lives of updates."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from fleet.registry.words import (
    EventPage,
    EventQuery,
    Span,
    UpdateLife,
    UpdateQuery,
)
from fleet.serve.api.asking import MAYBE_SPAN, MISHAPS, ApiRequest, Number, Text
from fleet.serve.routes import Route
from fleet.serve.scope import parts_of
from wire.messages import EventKind

Most = Annotated[int, QueryParameter(ge=1, le=1000)]


@get("/api/v1/events", sync_to_thread=True, responses=MISHAPS, dependencies=MAYBE_SPAN)
def events(
    request: ApiRequest,
    span: NamedDependency[Span | None],
    device: Text = None,
    kind: FromQuery[EventKind | None] = None,
    subject: Text = None,
    text: Text = None,
    before_id: Number = None,
    after_id: Number = None,
    most: Most = 100,
) -> EventPage:
    """Events, the newest first. text: a part of it. before_id: of the page before, to go on."""
    query = EventQuery(
        device or None, kind, subject or None, text or None, span, before_id, after_id, most
    )
    return parts_of(request).registry.events(query)


@get("/api/v1/updates", sync_to_thread=True, responses=MISHAPS, dependencies=MAYBE_SPAN)
def updates(
    request: ApiRequest,
    span: NamedDependency[Span | None],
    device: Text = None,
    pipeline: Text = None,
    model: Text = None,
    version: Text = None,
    deployment: Number = None,
    is_open: FromQuery[bool | None] = None,
    most: Most = 200,
) -> list[UpdateLife]:
    """Who went through which phases when. is_open: only those under way, or only those ended."""
    query = UpdateQuery(
        device or None, pipeline or None, model or None, version or None, deployment, is_open,
        span, most,
    )  # fmt: skip
    return list(parts_of(request).registry.updates(query))


ROUTES = (Route("viewer", events), Route("viewer", updates))
