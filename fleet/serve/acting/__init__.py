"""What an operator does from a page: models, deployments, commands; and how far it is."""

from __future__ import annotations

from fleet.serve.acting import commanding, deploying, models, rollouts, working
from fleet.serve.routes import Route

ROUTES: tuple[Route, ...] = (
    *models.ROUTES,
    *deploying.ROUTES,
    *rollouts.ROUTES,
    *commanding.ROUTES,
    *working.ROUTES,
)
