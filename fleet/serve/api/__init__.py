"""The JSON API of programs: it only reads."""

from __future__ import annotations

from fleet.serve.api import devices, exports, happened, history, passing, schema, whole
from fleet.serve.routes import Route

ROUTES: tuple[Route, ...] = (
    *whole.ROUTES,
    *devices.ROUTES,
    *history.ROUTES,
    *passing.ROUTES,
    *happened.ROUTES,
    *exports.ROUTES,
    *schema.ROUTES,
)
