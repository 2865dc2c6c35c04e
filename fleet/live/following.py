"""Keeps the live view up with the registry: asks what changed, and says when it cannot."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from fleet.live.view import LiveView
from fleet.registry.words import Changed
from wire.troubles import Trouble, one_line

PERIOD_S = 1.0

log = logging.getLogger("vedette.live")


class Source(Protocol):
    """The registry, as far as it is needed here."""

    def changed(self, since: int) -> Changed: ...


class Following:
    """`step` on one thread, again and again."""

    def __init__(
        self, source: Source, view: LiveView, now_s: Callable[[], float] = time.time
    ) -> None:
        """now_s: gives Unix time."""
        self._source = source
        self._view = view
        self._now_s = now_s
        self._mark = 0

    def step(self) -> float:
        """Take what is new. Returns seconds until it should be called again."""
        try:
            changed = self._source.changed(self._mark)
        except Trouble as trouble:
            if self._view.sight.trouble is None:
                log.warning("the page stands still: %s", trouble)
            self._view.fail(one_line(str(trouble)))
            return PERIOD_S
        if self._view.sight.trouble is not None:
            log.info("the page is live again")
        self._mark = changed.mark
        self._view.take(changed.devices, self._now_s())
        return 0.0 if changed.has_more else PERIOD_S
