"""Deploying a version: the form, what it would change, and the order itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from litestar import get, post
from litestar.response import Redirect

from fleet.actions.card import manifest_of
from fleet.actions.deploying import Preview, takers_words
from fleet.rollout.deploy import Wanted
from fleet.serve.acting.asked import Form, form_of, wanted_of
from fleet.serve.acting.terms import terms_of
from fleet.serve.acting.working import actor_of
from fleet.serve.parts import Parts
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
    parts = parts_of(request)
    values = {
        "form": form,
        "seen": replace(seen, remarks=(*seen.remarks, *_failures(parts, form, seen))),
        "terms": _terms(parts, wanted_of(form), seen),
        "takers": takers_words(seen.takers, len(parts.live.sight.lines)),
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


def _failures(parts: Parts, form: Form, seen: Preview) -> list[str]:
    """What is known to have gone wrong with this version before."""
    tried = parts.actions.tries.of(seen.model, seen.version, parts.registry.updates)
    if tried is None or not tried.failed:
        return []
    again = "devices where it failed try it again" if form.retry else (
        'devices where it failed do not try it again, unless "try it again" is chosen'
    )  # fmt: skip
    return [f"{seen.model} {seen.version} was {tried.words}; {again}"]


def _terms(parts: Parts, wanted: Wanted, seen: Preview) -> list[tuple[str, str]]:
    release = parts.actions.shelf.release(seen.model, seen.version)
    variants = () if release is None else release.variants
    manifests = [manifest_of(parts.actions.folder, each) for each in variants]
    return terms_of(wanted.choice.gates, manifests)


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
