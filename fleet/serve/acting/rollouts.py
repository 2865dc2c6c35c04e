"""A rollout as it goes: how many devices run what they are to run, and rolling it back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from litestar import get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect, ServerSentEvent, ServerSentEventMessage

from fleet.actions.deploying import takers_words
from fleet.serve.acting.working import actor_of
from fleet.serve.pages.pieces import AGES
from fleet.serve.pages.streaming import as_event, beat_of
from fleet.serve.rendering import HtmlResponse, html
from fleet.serve.routes import Route
from fleet.serve.scope import WebRequest, parts_of, signed_in
from wire.troubles import Refused

LOOK_S = 1.0


@get("/rollout/{pipeline:str}", sync_to_thread=True)
def rollout_page(request: WebRequest, pipeline: FromPath[str]) -> HtmlResponse:
    return html(request, "acting_rollout.html", _now(request, pipeline))


@get("/rollout/{pipeline:str}/live")
async def rollout_live(request: WebRequest, pipeline: FromPath[str]) -> ServerSentEvent:
    """The page as it changes: `rollout`, and a `beat`."""
    await asyncio.to_thread(_now, request, pipeline)  # what is not there has no stream
    return ServerSentEvent(_news(request, pipeline))


async def _news(request: WebRequest, pipeline: str) -> AsyncIterator[ServerSentEventMessage]:
    parts, told = parts_of(request), ""
    while True:
        text = await asyncio.to_thread(_part, request, pipeline)
        if (lasting := AGES.sub("", text)) != told:
            yield as_event("rollout", text)
            told = lasting
        yield as_event("beat", beat_of(parts))
        await asyncio.sleep(LOOK_S)


# async, as is what posts to the same path: Litestar wraps sync handlers of one path twice
@get("/rollout/{pipeline:str}/back")
async def back_page(request: WebRequest, pipeline: FromPath[str]) -> HtmlResponse:
    """What a roll back would change."""
    return await asyncio.to_thread(_back, request, pipeline)


def _back(request: WebRequest, pipeline: str) -> HtmlResponse:
    parts = parts_of(request)
    try:
        seen, wrong = parts.actions.preview_back(pipeline), None
    except Refused as refused:
        seen, wrong = None, str(refused)
    takers = "" if seen is None else takers_words(seen.takers, len(parts.live.sight.lines))
    values = {"pipeline": pipeline, "seen": seen, "wrong": wrong, "takers": takers}
    return html(request, "acting_back.html", values, 200 if seen is not None else 400)


@post("/rollout/{pipeline:str}/back")
async def roll_back(request: WebRequest, pipeline: FromPath[str]) -> Redirect:
    actions = parts_of(request).actions
    job = await asyncio.to_thread(actions.roll_back, actor_of(request), pipeline)
    return Redirect(job.link, status_code=303)


def _part(request: WebRequest, pipeline: str) -> str:
    return html(request, "acting_rollout_part.html", _now(request, pipeline)).content


def _now(request: WebRequest, pipeline: str) -> dict[str, object]:
    """Raises NotFoundException where nothing is deployed, and nobody is at it."""
    actions = parts_of(request).actions
    link = f"/rollout/{pipeline}"
    jobs = actions.jobs.newest(link) if signed_in(request).role == "operator" else []
    found = actions.rollouts(pipeline)
    if not found and not jobs:
        raise NotFoundException("nothing is deployed to this pipeline")
    return {"pipeline": pipeline, "rollout": found[0] if found else None, "jobs": jobs}


ROUTES = (
    Route("viewer", rollout_page),
    Route("viewer", rollout_live),
    Route("operator", back_page),
    Route("operator", roll_back),
)
