"""What goes wrong, in one sentence: a page for people, JSON for programs, never a traceback."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.exceptions import HTTPException, NotAuthorizedException, ValidationException
from litestar.response import Redirect

from fleet.serve.api.words import Mishap
from fleet.serve.complaining import complaint
from fleet.serve.rendering import html
from fleet.serve.scope import WebRequest, by_script, is_for_programs
from wire.troubles import Refused, Trouble, one_line

log = logging.getLogger("vedette.serve")

WORDS = {
    400: "this request cannot be read",
    401: "sign in first",
    403: "this is not for you",
    404: "there is no such page",
    405: "this cannot be done here",
    413: "this is too large",
    429: "too often: wait a while",
}
BROKEN = "this page is broken: the log of the server says why"


def told(request: WebRequest, error: Exception) -> Response[Any]:
    """The answer to a request that failed."""
    status, words = _status_and_words(request, error)
    if status >= 500 and not isinstance(error, Trouble):
        log.error("%s: %s", request.scope["path"], one_line(str(error)), exc_info=error)
    headers = _headers(error)
    if is_for_programs(request.scope["path"]):
        if status == 401:
            headers = {"www-authenticate": "Bearer"}
        return Response(Mishap(words), status_code=status, headers=headers)
    if by_script(request):
        return Response(Mishap(words), status_code=status, headers=headers)
    if isinstance(error, NotAuthorizedException) and request.method == "GET":
        if request.headers.get("sec-fetch-site") == "cross-site":
            # a link from elsewhere: the browser showed no cookie, and will to a page of ours
            return html(request, "again.html", {"status": 200, "words": ""})
        return Redirect(f"/sign-in?next={quote(_asked(request), safe='')}", status_code=303)
    page = html(request, "error.html", {"status": status, "words": words}, status)
    page.headers.update(headers)
    return page


def _status_and_words(request: WebRequest, error: Exception) -> tuple[int, str]:
    if isinstance(error, Trouble):
        return (400 if isinstance(error, Refused) else 503), str(error)
    if isinstance(error, ValidationException):
        handler = request.scope.get("route_handler")
        return 400, complaint(error, handler) or WORDS[400]
    if isinstance(error, HTTPException) and error.status_code < 500:
        plain = error.detail and error.detail[:1].islower()  # a sentence of ours
        return error.status_code, error.detail if plain else WORDS.get(
            error.status_code, WORDS[400]
        )
    return 500, BROKEN


def _headers(error: Exception) -> dict[str, str]:
    headers = getattr(error, "headers", None)
    return {str(name): str(value) for name, value in headers.items()} if headers else {}


def _asked(request: WebRequest) -> str:
    query = request.scope["query_string"].decode("latin-1")
    return request.scope["path"] + (f"?{query}" if query else "")
