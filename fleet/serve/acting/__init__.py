"""What an operator does from a page: models, deployments, commands, alerts."""

from __future__ import annotations

from fleet.serve.acting import (
    alerts,
    commanding,
    deploying,
    models,
    release,
    rollouts,
    working,
)
from fleet.serve.routes import Route

ROUTES: tuple[Route, ...] = (
    *models.ROUTES,
    *release.ROUTES,
    *deploying.ROUTES,
    *rollouts.ROUTES,
    *commanding.ROUTES,
    *working.ROUTES,
    *alerts.ROUTES,
)
