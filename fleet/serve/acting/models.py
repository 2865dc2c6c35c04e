"""The models page: what is released, what waits, who runs what; as it changes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

from litestar import get, post
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.response import ServerSentEvent
from msgspec import Struct

from fleet.actions.progress import Rollout
from fleet.actions.shelf import ReleaseLine, Shelf
from fleet.actions.tried import Tried
from fleet.depot.candidates import LARGEST
from fleet.live.line import Line
from fleet.serve.acting.working import actor_of, begun
from fleet.serve.pages.pieces import Piece, pieces_news
from fleet.serve.parts import Parts
from fleet.serve.rendering import HtmlResponse, html
from fleet.serve.routes import Route
from fleet.serve.scope import WebRequest, parts_of
from fleet.wording import plural
from wire.deployments import Deployment

NAME_HEADER = "x-file-name"
TOO_LARGE = f"this is too large: a bundle has {LARGEST >> 20} MiB at most"
STANDS = (("good", "good"), ("busy", "on their way"), ("waiting", "waiting"), ("failed", "failed"))


class Standing(Struct, frozen=True):
    """A release and how many run it. is_wanted: some deployment names it."""

    release: ReleaseLine
    runs: int
    trials: int
    is_wanted: bool


@get("/models", sync_to_thread=True)
def models_page(request: WebRequest) -> HtmlResponse:
    jobs = parts_of(request).actions.jobs_of("/models")
    return html(request, "acting_models.html", _now(request) | {"jobs": jobs, "largest": LARGEST})


@get("/models/live", sync_to_thread=False)
def models_live(request: WebRequest) -> ServerSentEvent:
    """The page as it changes, all but what is being uploaded from it."""

    def look() -> list[Piece]:
        now = _now(request)
        shelf = parts_of(request).actions.shelf
        said = {
            "deployed": rollouts_said(parts_of(request).actions.rollouts()),
            "released": f"{plural(len(shelf.releases), 'version')} released",
            "waiting": waiting_said(shelf),
        }
        found = []
        for name in ("shelf", "deployed", "released", "waiting"):
            text = html(request, f"acting_models_{name}.html", now).content
            found.append(Piece(name, text, said.get(name, "")))
        return found

    return ServerSentEvent(pieces_news(request, look))


def _now(request: WebRequest) -> dict[str, object]:
    parts = parts_of(request)
    actions, sight = parts.actions, parts.live.sight
    shelf = actions.shelf
    stand = standings(shelf.releases, shelf.deployments, sight.lines)
    return {
        "shelf": shelf,
        "standings": stand,
        "tried": _tried(parts, stand),
        "rollouts": actions.rollouts(),
    }


def _tried(parts: Parts, stand: Iterable[Standing]) -> dict[str, Tried | None]:
    """Of versions that nobody runs: whether some device had it, by `model version`."""
    found = {}
    for one in stand:
        if not one.runs:
            model, version = one.release.model, one.release.version
            seen = parts.actions.tries.of(model, version, parts.registry.updates)
            found[f"{model} {version}"] = seen
    return found


@post("/models/candidates", request_max_body_size=LARGEST + 1024)
async def take_candidate(request: WebRequest) -> HtmlResponse:
    """A bundle as the body of the request. It becomes a candidate that waits for a signature."""
    actions = parts_of(request).actions
    try:
        file = await actions.uploads.receive(request.stream())
    except RequestEntityTooLarge:
        raise RequestEntityTooLarge(detail=TOO_LARGE) from None
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


def rollouts_said(rollouts: Iterable[Rollout]) -> str:
    """How far the newest version of each deployment is, in one sentence."""
    parts = []
    for one in rollouts:
        for rule in one.rules[:1]:
            counts = [(rule.counts[stand], words) for stand, words in STANDS if rule.counts[stand]]
            told = ", ".join(f"{many} {words}" for many, words in counts) or "no device takes it"
            parts.append(f"{one.pipeline}: {rule.model} {rule.version}: {told}")
    return "; ".join(parts)


def waiting_said(shelf: Shelf) -> str:
    """Which bundles wait for a signature."""
    names = ", ".join(f"{one.model} {one.version}" for one in shelf.candidates[:3])
    many = len(shelf.candidates)
    return f"{plural(many, 'bundle')} {'waits' if many == 1 else 'wait'}: {names}" if many else ""


ROUTES = (
    Route("viewer", models_page),
    Route("viewer", models_live),
    Route("operator", take_candidate),
)
