"""Keeps the live view up with the registry: asks what changed, and says when it cannot."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from fleet.live.trend import HOUR_S, STEPS, trend_of
from fleet.live.view import LiveView
from fleet.registry.words import Changed, Scope, Span, Stretch
from wire.troubles import Trouble, one_line

PERIOD_S = 1.0
TREND_S = 30.0  # between two looks at the last hour

log = logging.getLogger("vedette.live")


class Source(Protocol):
    """The registry, as far as it is needed here."""

    def changed(self, since: int) -> Changed: ...

    def series(self, span: Span, scope: Scope, most: int) -> tuple[Stretch, ...]: ...


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
        self._trend_s = float("-inf")

    def step(self) -> float:
        """Take what is new. Returns seconds until it should be called again."""
        try:
            changed = self._source.changed(self._mark)
            now_s = self._now_s()
            self._mark = changed.mark
            is_back = self._view.sight.trouble is not None
            self._view.take(changed.devices, now_s)
            if not changed.has_more and abs(now_s - self._trend_s) >= TREND_S:
                self._trend_s = now_s
                self._look_back(now_s)
        except Trouble as trouble:
            if self._view.sight.trouble is None:
                log.warning("the page stands still: %s", trouble)
            self._view.fail(one_line(str(trouble)))
            return PERIOD_S
        if is_back:
            log.info("the page is live again")
        return 0.0 if changed.has_more else PERIOD_S

    def _look_back(self, now_s: float) -> None:
        span = Span(now_s - HOUR_S, now_s)
        self._view.remember(trend_of(self._source.series(span, Scope(), STEPS), now_s))
