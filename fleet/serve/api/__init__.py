"""The JSON API of programs: it only reads."""

from __future__ import annotations

from fleet.serve.api import devices, exports, happened, history, schema, whole
from fleet.serve.routes import Route

ROUTES: tuple[Route, ...] = (
    *whole.ROUTES,
    *devices.ROUTES,
    *history.ROUTES,
    *happened.ROUTES,
    *exports.ROUTES,
    *schema.ROUTES,
)
