"""Alerts as a part of the server: what the live view, the depot and the other parts say is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from fleet.actions.shelf import Shelf
from fleet.alerts.alerts import Alerts
from fleet.alerts.book import AlertBook
from fleet.alerts.ledger import Trouble
from fleet.folder import FleetFolder
from fleet.live.view import LiveView
from fleet.serve.crew import PartState
from fleet.wording import plural, printable

LOOK_S = 5.0
STEP_S = 1.0
LONGEST = 300  # characters


class AlertsPart:
    """`step` until it is closed. states: of the server's other parts."""

    def __init__(
        self,
        folder: FleetFolder,
        book: AlertBook,
        live: LiveView,
        shelf: Callable[[], Shelf],
        states: Callable[[], Sequence[PartState]],
    ) -> None:
        self._folder = folder
        self._live = live
        self._shelf = shelf
        self._states = states
        self._alerts = Alerts(folder.name, folder.alerting, folder.alerts, book)
        self._due_s = 0.0  # by time.monotonic
        self._ended = threading.Event()

    def step(self) -> None:
        now_s = time.monotonic()
        sight = self._live.sight
        is_known = sight.at_s is not None and sight.trouble is None
        if now_s >= self._due_s and is_known:
            self._due_s = now_s + LOOK_S
            self._alerts.step(sight.lines, troubles(self._shelf(), self._states()), time.time())
        self._ended.wait(STEP_S)

    def status(self) -> str:
        whom = plural(len(self._folder.alerts), "target")
        return whom if self._alerts.is_ours else f"{whom}; another process tells them"

    def trouble(self) -> str | None:
        return self._alerts.trouble

    def close(self) -> None:
        self._ended.set()
        self._alerts.close()


def troubles(shelf: Shelf, states: Sequence[PartState]) -> list[Trouble]:
    """What is wrong with the whole fleet, as this server sees it."""
    found = []
    if shelf.warnings:
        words = printable("; ".join(shelf.warnings), LONGEST)
        found.append(Trouble("expiry", "", words))
    broken = {each.name: each.words for each in states if each.status == "broken"}
    if "ingest" in broken:
        words = printable(f"what devices say is not written down: {broken['ingest']}", LONGEST)
        found.append(Trouble("ingest", "", words))
    why = broken.get("depot", shelf.trouble)
    if why is not None:
        words = printable(f"devices may get no models: the depot: {why}", LONGEST)
        found.append(Trouble("depot", "", words))
    return found
