"""`vedette fleet serve` as a whole: opens the parts in order, serves, and closes them."""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass

from fleet.accounts.accounts import Accounts, open_accounts
from fleet.actions.actions import Actions
from fleet.actions.office import Clerk
from fleet.actions.place import served
from fleet.alerts.book import open_book
from fleet.folder import FleetFolder
from fleet.ingest.ingest import Sharing
from fleet.live.part import LivePart
from fleet.live.view import LiveView
from fleet.registry.registry import open_registry
from fleet.registry.words import Terms
from fleet.serve.alerting import AlertsPart
from fleet.serve.app import make_app
from fleet.serve.crew import Crew
from fleet.serve.crew_parts import DepotPart, IngestElsewhere, ingest_of
from fleet.serve.metrics.meter import MeterPart
from fleet.serve.parts import Parts, WebTerms
from fleet.serve.serving import Listen, listening, serve
from wire.signing import SigningKey
from wire.systemd import Notifier

log = logging.getLogger("vedette.serve")


@dataclass(frozen=True)
class Wanted:
    """What to serve, and where. database: its address. without: parts that are elsewhere. keep: how
    much of what devices say. sharing: whether other processes may ingest, too. end_s: by
    time.monotonic; None: when told. key: a command key, by which operators act from the page."""

    fleet: FleetFolder
    database: str
    listen: Listen
    terms: WebTerms
    without: frozenset[str]
    keep: Terms
    sharing: Sharing = "shared"
    end_s: float | None = None
    key: SigningKey | None = None


@dataclass(frozen=True)
class Served:
    """How it was at the end, for a program that started it."""

    fleet: str
    address: str
    devices: int
    parts: dict[str, str]


def serve_whole(wanted: Wanted, notifier: Notifier) -> Served:
    """Until it is told to end. Raises Refused, Unavailable."""
    with ExitStack() as stack:
        taken = stack.enter_context(listening(wanted.listen))
        parts = _open(wanted, stack)
        address = _address(wanted.listen, taken.getsockname()[1])
        _greet(parts.accounts, address)
        serve(
            make_app(parts), wanted.listen, taken, notifier, lambda: _status(parts),
            parts.crew.ask_to_end, wanted.end_s,
        )  # fmt: skip
        log.info("ending")
        states = {each.name: each.words for each in parts.crew.states()}
        return Served(wanted.fleet.name, address, len(parts.live.sight.lines), states)


def _open(wanted: Wanted, stack: ExitStack) -> Parts:
    registry = stack.enter_context(closing(open_registry(wanted.database)))
    accounts = stack.enter_context(closing(open_accounts(wanted.database)))
    book = stack.enter_context(closing(open_book(wanted.database)))
    crew, live = Crew(), LiveView()
    stack.callback(crew.close)
    crew.add("live view", lambda: LivePart(registry, live))
    if "depot" not in wanted.without:
        crew.add("depot", lambda: DepotPart(wanted.fleet))
    if "ingest" in wanted.without:
        crew.add("ingest", lambda: IngestElsewhere(registry))
    else:
        crew.add("ingest", lambda: ingest_of(wanted.fleet, registry, wanted.keep, wanted.sharing))
    actions = Actions(served(wanted.fleet), wanted.key, live, accounts.audit)
    stack.callback(actions.close)
    crew.add("models", lambda: Clerk(actions.office), actions.office.end)
    crew.add("alerts", lambda: AlertsPart(wanted.fleet, book, live,
                                          lambda: actions.shelf, crew.states))  # fmt: skip
    parts = Parts(wanted.fleet, registry, live, accounts, crew, actions, book, wanted.terms)
    crew.add("metrics", lambda: MeterPart(parts.meter, live))
    return parts


def _greet(accounts: Accounts, address: str) -> None:
    """Where it is, and who may come in: the one time that a password is shown."""
    log.info("the dashboard is at %s", address)
    first = accounts.add_first()
    if first is not None:
        name, password = first
        print(f"sign in as {name} with the password {password}", file=sys.stderr)
        print("it is shown this once: vedette fleet users sets another", file=sys.stderr)
        sys.stderr.flush()


def _address(listen: Listen, port: int) -> str:
    scheme = "http" if listen.certificate is None else "https"
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"{scheme}://{host}:{port}/"


def _status(parts: Parts) -> str:
    """One line for systemctl status."""
    broken = [each for each in parts.crew.states() if each.status == "broken"]
    if broken:
        return "; ".join(f"{each.name}: {each.words}" for each in broken)
    return parts.live.sight.summary.headline
