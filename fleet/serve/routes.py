"""Who may ask for what: a need for every route, and no route without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from litestar.handlers import HTTPRouteHandler

# anyone: without sign-in. viewer, operator: who has this role, or one that may more.
Need = Literal["anyone", "viewer", "operator"]
NEED = "need"  # of a handler's opt


@dataclass(frozen=True)
class Route:
    """A handler, and who may ask for it."""

    need: Need
    handler: HTTPRouteHandler


def handlers_of(routes: tuple[Route, ...], in_schema: bool) -> list[HTTPRouteHandler]:
    """The handlers, each marked with its need."""
    for route in routes:
        route.handler.opt[NEED] = route.need
        route.handler.include_in_schema = in_schema
    return [route.handler for route in routes]
