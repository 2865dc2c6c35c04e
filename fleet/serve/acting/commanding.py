"""Commands to one device, from its page."""

from __future__ import annotations

import asyncio

from litestar import post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect

from fleet.ask_words import order_of
from fleet.serve.acting.working import actor_of, shown
from fleet.serve.rendering import HtmlResponse
from fleet.serve.routes import Route
from fleet.serve.scope import WebRequest, parts_of
from wire.troubles import Refused

VERBS = ("status", "watch", "snapshot", "restart", "bench")


@post("/device/{name:str}/command")
async def command(request: WebRequest, name: FromPath[str]) -> HtmlResponse | Redirect:
    """verb, and the pipeline it is about; watch: minutes."""
    form = await request.form()
    verb = str(form.get("verb", ""))
    if verb not in VERBS:
        raise Refused(f"verb: one of {', '.join(VERBS)}")
    actions = parts_of(request).actions
    if name not in parts_of(request).live.sight.by_name:
        raise NotFoundException("no device of this name has been heard")
    field = "minutes" if verb == "watch" else "pipeline"
    told = str(form.get(field, ""))[:64]
    arguments = [told] if told and verb != "status" else []
    order = order_of(verb, arguments)
    words = " ".join((verb, *arguments))
    job = await asyncio.to_thread(actions.command, actor_of(request), name, order, words)
    return shown(request, job, f"/job/{job.id}")


ROUTES = (Route("operator", command),)
