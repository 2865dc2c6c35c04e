"""What an operator does from a page."""

from __future__ import annotations

from fleet.serve.routes import Route

ROUTES: tuple[Route, ...] = ()
