"""The guard before every route: who may ask for it, and whether they meant to."""

from __future__ import annotations

import asyncio
import hmac

from litestar import Request
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from fleet.accounts.words import may
from fleet.serve.complaining import check_is_known
from fleet.serve.gate import SAFE
from fleet.serve.routes import NEED
from fleet.serve.scope import (
    Connection,
    Visitor,
    WebRequest,
    is_for_programs,
    parts_of,
    visitor_of,
)
from fleet.serve.whose import whose

CSRF_HEADER, CSRF_FIELD = "x-csrf-token", "csrf"
API = "/api/"
FORM = "application/x-www-form-urlencoded"


async def guard(connection: Connection, handler: BaseRouteHandler) -> None:
    """Raises NotAuthorizedException: nobody signed in. PermissionDeniedException: not for them, or
    they may not have meant it. Refused: they ask for something by a name that is unknown."""
    need = handler.opt.get(NEED)
    if need == "anyone":
        return
    if need not in ("viewer", "operator"):
        raise PermissionDeniedException("nobody may ask for this")
    visitor, path = visitor_of(connection), connection.scope["path"]
    if visitor.token is not None and not is_for_programs(path):
        raise PermissionDeniedException("a token is for /api and /metrics only")
    visitor.signed_in = await asyncio.to_thread(whose, parts_of(connection).accounts, visitor)
    if visitor.signed_in is None:
        raise NotAuthorizedException("sign in first")
    if not may(visitor.signed_in.role, need):
        await _note(connection, visitor, visitor.signed_in.name)
        raise PermissionDeniedException("only an operator may do this")
    if isinstance(connection, Request) and connection.method not in SAFE:
        await _check_is_meant(connection, visitor)
    if path.startswith(API):
        check_is_known(handler, iter(connection.query_params))


async def _note(connection: Connection, visitor: Visitor, name: str) -> None:
    """Who tries to do what is not for them is in the audit trail."""
    if connection.scope.get("method") in SAFE:
        return
    trail = parts_of(connection).accounts.trail
    path = connection.scope["path"]
    await asyncio.to_thread(
        trail.add, name, "what is not for them", path, "refused", visitor.address
    )


async def _check_is_meant(request: WebRequest, visitor: Visitor) -> None:
    shown = request.headers.get(CSRF_HEADER)
    if shown is None and request.headers.get("content-type", "").partition(";")[0] == FORM:
        shown = str((await request.form()).get(CSRF_FIELD, ""))
    given = (shown or "").encode("utf-8", "replace")
    if not visitor.csrf or not hmac.compare_digest(given, visitor.csrf.encode()):
        raise PermissionDeniedException("this page is too old: load it again")
