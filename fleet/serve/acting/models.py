"""The models page: what is released, what waits, who runs what; and the page of one version."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

from litestar import get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from msgspec import Struct

from fleet.actions.card import manifest_of
from fleet.actions.shelf import ReleaseLine
from fleet.depot.candidates import LARGEST
from fleet.live.line import Line
from fleet.serve.acting.working import actor_of, begun
from fleet.serve.rendering import HtmlResponse, html
from fleet.serve.routes import Route
from fleet.serve.scope import WebRequest, parts_of
from wire.deployments import Deployment

NAME_HEADER = "x-file-name"


class Standing(Struct, frozen=True):
    """A release and how many run it. is_wanted: some deployment names it."""

    release: ReleaseLine
    runs: int
    trials: int
    is_wanted: bool


@get("/models", sync_to_thread=True)
def models_page(request: WebRequest) -> HtmlResponse:
    parts = parts_of(request)
    actions, sight = parts.actions, parts.live.sight
    shelf = actions.shelf
    values = {
        "shelf": shelf,
        "standings": standings(shelf.releases, shelf.deployments, sight.lines),
        "rollouts": actions.rollouts(),
        "jobs": actions.jobs.newest("/models"),
        "place": actions.folder.path,
    }
    return html(request, "acting_models.html", values)


@get("/models/{model:str}/{version:str}", sync_to_thread=True)
def release_page(request: WebRequest, model: FromPath[str], version: FromPath[str]) -> HtmlResponse:
    parts = parts_of(request)
    shelf = parts.actions.shelf
    release = shelf.release(model, version)
    if release is None:
        raise NotFoundException("no such version is released")
    (standing,) = standings([release], shelf.deployments, parts.live.sight.lines)
    cards = [(each, manifest_of(parts.actions.folder, each)) for each in release.variants]
    manifest = next((card for _, card in cards if card is not None), None)
    return html(
        request,
        "acting_release.html",
        {"shelf": shelf, "standing": standing, "cards": cards, "manifest": manifest},
    )


@post("/models/candidates", request_max_body_size=LARGEST + 1024)
async def take_candidate(request: WebRequest) -> HtmlResponse:
    """A bundle as the body of the request. It becomes a candidate that waits for a signature."""
    actions = parts_of(request).actions
    file = await actions.uploads.receive(request.stream())
    named = request.headers.get(NAME_HEADER, "")
    job = await asyncio.to_thread(actions.offer, actor_of(request), file, named)
    return begun(request, job)


def standings(
    releases: Iterable[ReleaseLine], deployments: Iterable[Deployment], lines: Iterable[Line]
) -> list[Standing]:
    """How each release stands."""
    runs: Counter[str] = Counter()
    trials: Counter[str] = Counter()
    for line in lines:
        for each in line.pipelines:
            if each.digest is not None:
                runs[each.digest] += 1
                if each.update is not None and each.update.phase == "trial":
                    trials[each.digest] += 1
    wanted = {(rule.model, rule.version) for one in deployments for rule in one.rules}
    return [
        Standing(
            release,
            sum(runs[variant.digest] for variant in release.variants),
            sum(trials[variant.digest] for variant in release.variants),
            (release.model, release.version) in wanted,
        )
        for release in releases
    ]


ROUTES = (
    Route("viewer", models_page),
    Route("viewer", release_page),
    Route("operator", take_candidate),
)
