"""The alerts page: what is wrong and was told, what was told before, and whether it arrives."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from litestar import get

from fleet.alerts.bulletin import KIND_WORDS, WORST_FIRST
from fleet.alerts.ledger import Standing
from fleet.alerts.terms import AlertKind
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


@get("/alerts", sync_to_thread=True)
def alerts_page(request: WebRequest) -> HtmlResponse:
    parts = parts_of(request)
    asked = request.query_params.get("before", "")
    before = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 16 else None
    kept = parts.alerts.history(PAGE + 1, before)
    values = {
        "groups": grouped(parts.alerts.standing()),
        "many": MOST_NAMED,
        "history": kept[:PAGE],
        "older": kept[PAGE - 1].number if len(kept) > PAGE else None,
        "before": before,
        "targets": len(parts.fleet.alerts),
        "words": KIND_WORDS,
        "turns": {"raised": "", "worse": "worse: ", "reminded": "still: "},
        "titles": TITLES,
        "aged": AGED,
    }
    return html(request, "acting_alerts.html", values)


def grouped(standing: Iterable[Standing]) -> list[tuple[AlertKind, list[Standing]]]:
    """By kind, the worst first; in each those that have lasted longest first."""

    def rank(one: Standing) -> tuple[int, float]:
        return WORST_FIRST.index(one.trouble.kind), one.began_s

    ranked = sorted(standing, key=rank)
    return [(kind, list(those)) for kind, those in groupby(ranked, lambda o: o.trouble.kind)]


ROUTES = (Route("viewer", alerts_page),)
