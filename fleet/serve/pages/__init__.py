"""Pages that show the fleet."""

from __future__ import annotations

from fleet.serve.pages import account, device, events, filters, fleet
from fleet.serve.rendering import PAGES
from fleet.serve.routes import Route

filters.known_to(PAGES)

ROUTES: tuple[Route, ...] = (*fleet.ROUTES, *device.ROUTES, *events.ROUTES, *account.ROUTES)
