"""The page of one's own account: password and sessions; for operators, who did what."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Redirect
from msgspec import Struct

from fleet.accounts.accounts import TooManyTries, WrongPassword
from fleet.serve.rendering import HtmlResponse, html
from fleet.serve.routes import Route
from fleet.serve.scope import WebRequest, parts_of, signed_in, visitor_of
from wire.troubles import Refused

ENTRIES = 100  # of the audit trail


class NewPassword(Struct, frozen=True):
    """What the form says."""

    old: str = ""
    new: str = ""
    again: str = ""


SentPassword = Annotated[NewPassword, Body(media_type=RequestEncodingType.URL_ENCODED)]


@get("/account", sync_to_thread=True)
def account_page(request: WebRequest) -> HtmlResponse:
    return _page(request, "", 200)


@post("/account/password", sync_to_thread=True, status_code=200)
def change_password(request: WebRequest, data: SentPassword) -> HtmlResponse | Redirect:
    """It ends every session of the account, this one too."""
    accounts, visitor = parts_of(request).accounts, visitor_of(request)
    name = signed_in(request).name
    try:
        if data.new != data.again:
            raise Refused("the new password was typed in two ways")
        accounts.check_password(name, data.old, visitor.address)
        accounts.set_password(name, data.new)
    except WrongPassword:
        return _page(request, "the old password is wrong", 403)
    except TooManyTries as trouble:
        return _page(request, str(trouble), 429)
    except Refused as refused:
        return _page(request, str(refused), 400)
    accounts.audit(name, "change password", name, "done", visitor.address)
    return Redirect("/sign-in", status_code=303)


@post("/account/others", sync_to_thread=True)
def end_others(request: WebRequest) -> Redirect:
    """Ends all sessions of the account but this one."""
    accounts, visitor = parts_of(request).accounts, visitor_of(request)
    name = signed_in(request).name
    if visitor.session is not None:
        accounts.sessions.end_others(name, visitor.session)
        accounts.audit(name, "end other sessions", name, "done", visitor.address)
    return Redirect("/account", status_code=303)


def _page(request: WebRequest, words: str, status: int) -> HtmlResponse:
    accounts, person = parts_of(request).accounts, signed_in(request)
    is_operator = person.role == "operator"
    values = {
        "words": words,
        "visits": accounts.sessions.of(person.name),
        "people": accounts.people() if is_operator else (),
        "entries": accounts.entries(ENTRIES) if is_operator else (),
    }
    return html(request, "account.html", values, status)


ROUTES = (
    Route("viewer", account_page),
    Route("viewer", change_password),
    Route("viewer", end_others),
)
