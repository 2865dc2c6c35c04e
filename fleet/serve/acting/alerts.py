"""The alerts page: what is wrong and was told, and what was told before; as it changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from litestar import get
from litestar.response import ServerSentEvent

from fleet.alerts.bulletin import KIND_WORDS, WORST_FIRST
from fleet.alerts.ledger import Standing
from fleet.alerts.terms import AlertKind
from fleet.serve.pages.pieces import Piece, pieces_news
from fleet.serve.rendering import HtmlResponse, html
from fleet.serve.routes import Route
from fleet.serve.scope import WebRequest, parts_of

PAGE = 50  # lines of the past
MOST_NAMED = 12  # devices of one kind
TITLES = {
    "expiry": "metadata expires",
    "depot": "no models are served",
    "ingest": "nothing is heard",
}
AGED = ("offline", "silent")  # what they said of their age was of then
WORDS = {
    "many": MOST_NAMED,
    "words": KIND_WORDS,
    "turns": {"raised": "", "worse": "worse: ", "reminded": "still: "},
    "titles": TITLES,
    "aged": AGED,
}


@get("/alerts", sync_to_thread=True)
def alerts_page(request: WebRequest) -> HtmlResponse:
    told = {"targets": len(parts_of(request).fleet.alerts)}
    return html(request, "acting_alerts.html", _standing(request) | _past(request) | told)


@get("/alerts/live", sync_to_thread=False)
def alerts_live(request: WebRequest) -> ServerSentEvent:
    """The page as it changes. Of an older page of the past only what is wrong now does."""

    def look() -> list[Piece]:
        standing = _standing(request)
        text = html(request, "acting_alerts_now.html", standing).content
        found = [Piece("standing", text, str(standing["said"]))]
        if _before(request) is None:
            text = html(request, "acting_alerts_past.html", _past(request)).content
            found.append(Piece("past", text))
        return found

    return ServerSentEvent(pieces_news(request, look))


def _before(request: WebRequest) -> int | None:
    asked = request.query_params.get("before", "")
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 16 else None


def _standing(request: WebRequest) -> dict[str, object]:
    groups = grouped(parts_of(request).alerts.standing())
    return {**WORDS, "groups": groups, "said": said_of(groups)}


def _past(request: WebRequest) -> dict[str, object]:
    before = _before(request)
    kept = parts_of(request).alerts.history(PAGE + 1, before)
    return {
        **WORDS,
        "history": kept[:PAGE],
        "older": kept[PAGE - 1].number if len(kept) > PAGE else None,
        "before": before,
    }


def grouped(standing: Iterable[Standing]) -> list[tuple[AlertKind, list[Standing]]]:
    """By kind, the worst first; in each those that have lasted longest first."""

    def rank(one: Standing) -> tuple[int, float]:
        return WORST_FIRST.index(one.trouble.kind), one.began_s

    ranked = sorted(standing, key=rank)
    return [(kind, list(those)) for kind, those in groupby(ranked, lambda o: o.trouble.kind)]


def said_of(groups: Iterable[tuple[AlertKind, list[Standing]]]) -> str:
    """What is wrong, in one sentence."""
    titles: Mapping[str, str] = TITLES
    parts = [titles.get(kind) or f"{len(those)} {KIND_WORDS[kind]}" for kind, those in groups]
    return f"Wrong now: {', '.join(parts)}" if parts else "Nothing that lasts is wrong"


ROUTES = (Route("viewer", alerts_page), Route("viewer", alerts_live))
