"""Sign-in and sign-out."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Redirect
from msgspec import Struct

from fleet.accounts.accounts import TooManyTries, WrongPassword
from fleet.accounts.sessions import LONGEST_S
from fleet.serve.rendering import HtmlResponse, html
from fleet.serve.routes import Route
from fleet.serve.scope import WebRequest, cookie_name, parts_of, signed_in, visitor_of
from wire.troubles import Trouble

HOME = "/"


class SignIn(Struct, frozen=True):
    """What the form says."""

    name: str = ""
    password: str = ""
    next: str = HOME


SentSignIn = Annotated[SignIn, Body(media_type=RequestEncodingType.URL_ENCODED)]


@get("/sign-in", sync_to_thread=False)
def sign_in_page(request: WebRequest) -> HtmlResponse:
    """The form. next: where to go then."""
    following = own_path(request.query_params.get("next", HOME))
    return html(request, "sign_in.html", {"next": following, "name": "", "words": ""})


@post("/sign-in", sync_to_thread=True, status_code=200)
def sign_in(request: WebRequest, data: SentSignIn) -> Response[str]:
    """Opens a session, with a new secret, whatever the browser had before."""
    accounts, visitor = parts_of(request).accounts, visitor_of(request)
    following = own_path(data.next)
    try:
        opened = accounts.sign_in(data.name, data.password, visitor.address)
    except (WrongPassword, TooManyTries) as trouble:
        return _again(request, data, following, trouble)
    if visitor.session is not None:
        accounts.sessions.end(visitor.session)
    answer = Redirect(following, status_code=303)
    _set_cookie(request, answer, opened.secret, round(LONGEST_S))
    return answer


@post("/sign-out", sync_to_thread=True)
def sign_out(request: WebRequest) -> Redirect:
    """Ends this session."""
    parts, visitor = parts_of(request), visitor_of(request)
    if visitor.session is not None:
        parts.accounts.sessions.end(visitor.session)
    parts.accounts.audit(signed_in(request).name, "sign out", "", "done", visitor.address)
    answer = Redirect("/sign-in", status_code=303)
    _set_cookie(request, answer, "", 0)
    return answer


@get("/healthz", sync_to_thread=False)
def alive(request: WebRequest) -> Response[str]:
    """For a proxy that asks whether somebody is here."""
    return Response("here\n", media_type="text/plain")


ROUTES = (
    Route("anyone", sign_in_page),
    Route("anyone", sign_in),
    Route("viewer", sign_out),
    Route("anyone", alive),
)


def own_path(text: str) -> str:
    """A path of this server, whatever was asked for: nobody is sent elsewhere."""
    is_ours = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if is_ours and len(text) < 2000 and "\\" not in text else HOME


def _again(request: WebRequest, data: SignIn, following: str, trouble: Trouble) -> HtmlResponse:
    is_late = isinstance(trouble, TooManyTries)
    values = {"next": following, "name": data.name[:64], "words": str(trouble)}
    page = html(request, "sign_in.html", values, 429 if is_late else 403)
    if isinstance(trouble, TooManyTries):
        page.headers["retry-after"] = str(max(1, round(trouble.wait_s)))
    return page


def _set_cookie(request: WebRequest, answer: Redirect, secret: str, seconds: int) -> None:
    secure = parts_of(request).terms.secure
    answer.set_cookie(
        key=cookie_name(secure), value=secret, max_age=seconds, path="/", httponly=True,
        samesite="strict", secure=secure,
    )  # fmt: skip
