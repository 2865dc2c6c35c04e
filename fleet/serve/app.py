"""The web application: all routes, each behind the guard, behind the gate."""

from __future__ import annotations

from litestar import Litestar
from litestar.datastructures import State

from fleet.serve import acting, api, entrance, files, pages
from fleet.serve.api.schema import described
from fleet.serve.gate import Gate
from fleet.serve.guarding import guard
from fleet.serve.metrics import scraping
from fleet.serve.mishaps import told
from fleet.serve.parts import Parts
from fleet.serve.routes import Route, handlers_of

LARGEST_BODY = 64 * 1024  # bytes; a route that takes more says so itself

PAGES: tuple[Route, ...] = (
    *entrance.ROUTES,
    *files.ROUTES,
    *scraping.ROUTES,
    *pages.ROUTES,
    *acting.ROUTES,
)


def make_app(parts: Parts) -> Gate:
    """What uvicorn serves."""
    handlers = [*handlers_of(PAGES, in_schema=False), *handlers_of(api.ROUTES, in_schema=True)]
    app = Litestar(
        route_handlers=handlers,
        guards=[guard],
        exception_handlers={Exception: told},
        logging_config=None,
        openapi_config=described(),
        request_max_body_size=LARGEST_BODY,
        state=State({"parts": parts}),
    )
    return Gate(app, parts)
