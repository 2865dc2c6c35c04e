"""What is known of a request: who asks, from where, and the parts that may answer."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, cast

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.types import Scope

from fleet.accounts.words import SignedIn
from fleet.serve.parts import Parts

WebRequest = Request[Any, Any, State]
Connection = ASGIConnection[Any, Any, Any, State]
VISITOR = "vedette_visitor"
SCRIPT_HEADER = "x-requested-by"  # a script of ours asks: for a part of a page, or to act


@dataclass
class Visitor:
    """Who asks. address: of the browser. session, token: the secrets that it showed. signed_in:
    None until the guard has looked who that is, and for routes that anyone may have."""

    address: str
    session: str | None
    token: str | None
    signed_in: SignedIn | None = None

    @property
    def csrf(self) -> str:
        """What a form of this session carries; "" without a session. Nobody who cannot read the
        cookie can know it, and it is worth nothing in another session."""
        if self.session is None:
            return ""
        return hmac.new(self.session.encode(), b"vedette csrf", hashlib.sha256).hexdigest()


def parts_of(request: Connection) -> Parts:
    return cast(Parts, request.app.state["parts"])


def visitor_of(request: Connection) -> Visitor:
    return visitor_in(request.scope)


def visitor_in(scope: Scope) -> Visitor:
    return cast(Visitor, cast("dict[str, object]", scope)[VISITOR])


def signed_in(request: Connection) -> SignedIn:
    """Who asks for a route that not anyone may have."""
    found = visitor_of(request).signed_in
    assert found is not None, "a route for anyone asks who signed in"
    return found


def is_for_programs(path: str) -> bool:
    """Whether programs ask there, not browsers: errors are JSON, and tokens count."""
    return path.startswith("/api/") or path == "/metrics"


def by_script(request: Connection) -> bool:
    return request.headers.get(SCRIPT_HEADER) == "script"


def cookie_name(secure: bool) -> str:
    """__Host-: browsers take such a cookie over https only, and from no other host."""
    return "__Host-vedette" if secure else "vedette"
