"""The JSON API of programs: it only reads."""

from __future__ import annotations

from fleet.serve.routes import Route

ROUTES: tuple[Route, ...] = ()
