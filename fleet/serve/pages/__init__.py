"""Pages that show the fleet."""

from __future__ import annotations

from fleet.serve.routes import Route

ROUTES: tuple[Route, ...] = ()
