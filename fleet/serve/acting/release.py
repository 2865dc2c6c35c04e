"""The page of one version of a model: its variants, their golden samples, and how checks went."""

from __future__ import annotations

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import ServerSentEvent
from msgspec import Struct

from fleet.actions.card import manifest_of
from fleet.actions.shelf import ReleaseLine, VariantLine
from fleet.registry.words import UpdateQuery
from fleet.serve.acting.checks import NO_CHECKS, Checks, checks_of
from fleet.serve.acting.golden import Sample, picture_of, samples_of
from fleet.serve.acting.models import standings
from fleet.serve.pages.pieces import Piece, pieces_news
from fleet.serve.rendering import HtmlResponse, html
from fleet.serve.routes import Route
from fleet.serve.scope import WebRequest, parts_of
from models.manifest import Manifest

MOST_LIVES = 1000  # updates that are looked at
PICTURE_HEADERS = {"cache-control": "private, max-age=3600"}  # of its digest: it never changes


class Shown(Struct, frozen=True):
    """A variant as it is shown. manifest, samples: None, and none: its file is not here."""

    variant: VariantLine
    manifest: Manifest | None
    samples: tuple[Sample, ...]
    checks: Checks


@get("/models/{model:str}/{version:str}", sync_to_thread=True)
def release_page(request: WebRequest, model: FromPath[str], version: FromPath[str]) -> HtmlResponse:
    values = _now(request, model, version)
    return html(request, "acting_release.html", values)


@get("/models/{model:str}/{version:str}/live", sync_to_thread=True)
def release_live(
    request: WebRequest, model: FromPath[str], version: FromPath[str]
) -> ServerSentEvent:
    """Who runs it, and how checks went, as that changes."""
    _found(request, model, version)

    def look() -> list[Piece]:
        try:
            now = _now(request, model, version)
        except NotFoundException:  # retired meanwhile: what is there stays
            return []
        names = ("runs", "variants")
        return [
            Piece(name, html(request, f"acting_release_{name}.html", now).content) for name in names
        ]

    return ServerSentEvent(pieces_news(request, look))


@get("/models/{model:str}/{version:str}/golden/{digest:str}/{number:int}", sync_to_thread=True)
def golden_picture(
    request: WebRequest,
    model: FromPath[str],
    version: FromPath[str],
    digest: FromPath[str],
    number: FromPath[int],
) -> Response[bytes]:
    """The picture of a golden sample, counted from 1."""
    release = _found(request, model, version)
    variant = next((one for one in release.variants if one.digest == digest), None)
    folder = parts_of(request).actions.folder
    picture = None if variant is None else picture_of(folder, variant, number)
    if picture is None:
        raise NotFoundException("there is no such picture")
    return Response(picture.content, media_type=picture.kind, headers=PICTURE_HEADERS)


def _found(request: WebRequest, model: str, version: str) -> ReleaseLine:
    release = parts_of(request).actions.shelf.release(model, version)
    if release is None:
        raise NotFoundException("no such version is released")
    return release


def _now(request: WebRequest, model: str, version: str) -> dict[str, object]:
    parts = parts_of(request)
    release = _found(request, model, version)
    shelf, folder = parts.actions.shelf, parts.actions.folder
    (standing,) = standings([release], shelf.deployments, parts.live.sight.lines)
    lives = parts.registry.updates(UpdateQuery(model=model, version=version, most=MOST_LIVES))
    checks = checks_of(lives)
    shown = [
        Shown(
            each, manifest_of(folder, each), samples_of(folder, each),
            checks.get(each.digest, NO_CHECKS),
        )
        for each in release.variants
    ]  # fmt: skip
    manifest = next((each.manifest for each in shown if each.manifest is not None), None)
    return {
        "standing": standing,
        "tried": parts.actions.tries.of(model, version, parts.registry.updates),
        "shown": shown,
        "manifest": manifest,
        "most_lives": MOST_LIVES if len(lives) == MOST_LIVES else None,
    }


ROUTES = (
    Route("viewer", release_page),
    Route("viewer", release_live),
    Route("viewer", golden_picture),
)
