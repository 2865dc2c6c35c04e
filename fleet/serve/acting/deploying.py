"""Deploying a version: the form, what it would change, and the order itself."""

from __future__ import annotations

import asyncio

from litestar import get, post
from litestar.response import Redirect

from fleet.actions.deploying import Preview, takers_words
from fleet.serve.acting.asked import Form, form_of, wanted_of
from fleet.serve.acting.working import actor_of
from fleet.serve.rendering import HtmlResponse, html
from fleet.serve.routes import Route
from fleet.serve.scope import WebRequest, parts_of
from wire.troubles import Refused

TRIALS = (("", "as its manifest says, else 5 minutes"), ("60", "1 minute"), ("300", "5 minutes"),
          ("900", "15 minutes"), ("3600", "1 hour"), ("86400", "1 day"))  # fmt: skip


# async, as is what posts to the same path: Litestar wraps sync handlers of one path twice
@get("/deploy")
async def deploy_form(request: WebRequest) -> HtmlResponse:
    """Who shall run it, and what it must show."""
    form = form_of(request.query_params.multi_items())
    return await asyncio.to_thread(_form, request, form, None)


@get("/deploy/check", sync_to_thread=True)
def deploy_check(request: WebRequest) -> HtmlResponse:
    """What the form would change, before anybody signs it."""
    form = form_of(request.query_params.multi_items())
    actions = parts_of(request).actions
    try:
        seen = actions.preview(wanted_of(form))
    except Refused as refused:
        return _form(request, form, str(refused))
    values = {
        "form": form,
        "seen": seen,
        "takers": takers_words(seen.takers, len(parts_of(request).live.sight.lines)),
        "command": command_words(form, seen),
    }
    return html(request, "acting_check.html", values)


@post("/deploy")
async def deploy(request: WebRequest) -> Redirect:
    """Bring it into force."""
    form = form_of((await request.form()).multi_items())
    actions = parts_of(request).actions
    job = await asyncio.to_thread(actions.deploy, actor_of(request), wanted_of(form))
    return Redirect(job.link, status_code=303)


def _form(request: WebRequest, form: Form, wrong: str | None) -> HtmlResponse:
    parts = parts_of(request)
    sight, shelf = parts.live.sight, parts.actions.shelf
    pipelines = {each.pipeline for line in sight.lines for each in line.pipelines}
    groups = {group for line in sight.lines for group in line.groups}
    versions = [one.version for one in shelf.releases if one.model == form.model]
    values = {
        "form": form,
        "wrong": wrong,
        "shelf": shelf,
        "versions": versions,
        "models": sorted({one.model for one in shelf.releases}),
        "pipelines": sorted(pipelines | {one.pipeline for one in shelf.deployments}),
        "groups": sorted(groups),
        "trials": TRIALS,
    }
    return html(request, "acting_deploy.html", values, 200 if wrong is None else 400)


def command_words(form: Form, seen: Preview) -> str:
    """The same on a terminal, where the server has no key."""
    words = ["vedette fleet deploy", seen.pipeline, seen.model, seen.version]
    if form.who == "share":
        words.append(f"--wave {form.share.replace(',', '.')}%")
    if canaries := wanted_of(form).choice.canaries:
        words.append("--canary " + ",".join(canaries))
    words += [f"--group {group}" for group in form.groups]
    words += [f"--trial {form.trial_s}"] if form.trial_s else []
    words += [f"--p95-ms {form.p95_ms.replace(',', '.')}"] if form.p95_ms else []
    words += ["--retry"] if form.retry else []
    return " ".join(words)


ROUTES = (
    Route("operator", deploy_form),
    Route("operator", deploy_check),
    Route("operator", deploy),
)
