"""Pages: Jinja's templates, always escaped, with what every page knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Response

from fleet.serve.files import FILES
from fleet.serve.scope import WebRequest, parts_of, visitor_of
from wire.version import VERSION

TEMPLATES = Path(__file__).parent / "templates"
HtmlResponse = Response[str]

PAGES = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)


def html(
    request: WebRequest, template: str, values: Mapping[str, object], status: int = 200
) -> HtmlResponse:
    """A page, or a part of one. values: what the template knows beside what every page knows."""
    text = PAGES.get_template(template).render({**_known(request), **values})
    return Response(text, status_code=status, media_type="text/html")


def _known(request: WebRequest) -> dict[str, object]:
    """What every template knows."""
    parts, visitor = parts_of(request), visitor_of(request)
    person = visitor.signed_in
    return {
        "visitor": person,
        "may_act": person is not None and person.role == "operator",
        "csrf": visitor.csrf if person is not None else "",
        "path": request.scope["path"],
        "fleet": parts.fleet.name,
        "version": VERSION,
        "parts": parts.crew.states(),
        "has_key": parts.actions.has_key,
        "static": FILES.address,
    }
