"""What the web is made of: the parts that every page may ask."""

from __future__ import annotations

from dataclasses import dataclass, field

from fleet.accounts.accounts import Accounts
from fleet.actions.actions import Actions
from fleet.alerts.book import AlertBook
from fleet.folder import FleetFolder
from fleet.live.view import LiveView
from fleet.registry.registry import Registry
from fleet.serve.crew import Crew
from fleet.serve.metrics.meter import Meter


@dataclass(frozen=True)
class WebTerms:
    """names: by which browsers may call this server, beside addresses and localhost. secure: it is
    reached by https. is_behind_proxy: a proxy says who asks (X-Forwarded-For, its last word)."""

    names: tuple[str, ...] = ()
    secure: bool = False
    is_behind_proxy: bool = False


@dataclass(frozen=True)
class Parts:
    """Of one `vedette fleet serve`. live: the fleet as it is now. crew: what runs beside the web,
    and how it is. actions: what operators may do. alerts: what was told. meter: for
    Prometheus."""

    fleet: FleetFolder
    registry: Registry
    live: LiveView
    accounts: Accounts
    crew: Crew
    actions: Actions
    alerts: AlertBook
    terms: WebTerms = field(default_factory=WebTerms)
    meter: Meter = field(default_factory=Meter)
