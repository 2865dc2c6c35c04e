"""A model that proved itself and may be damaged on disk: that is found out, and it comes again.

The process of the pipeline is who notices; the fetch thread reads all of the model to be sure.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from agent.fetch.words import Examined, NotFetched, Progress
from models.pipelines import PipelineState
from wire.local import Totals

if TYPE_CHECKING:
    from wire.trust.trust import Bundle

# Between two examinations of one model, which read all of it: the second wait is twice the first.
REST_S, MOST_REST_S = 60.0, 3600.0

log = logging.getLogger("vedette.agent")


class Mending:
    """One pipeline's. damage: what is known of a model that is not whole. mended: the digest that
    was made whole last. All on the main thread."""

    def __init__(self, pipeline: str, examine: Callable[[str], None]) -> None:
        """examine: asks the fetch thread for an `Examined`."""
        self.damage: Examined | None = None
        self.mended: str | None = None
        self.percent = 0
        self._pipeline = pipeline
        self._examine = examine
        self._about: str | None = None  # the digest that all below is about
        self._is_asked = False  # and not answered
        self._why_not: str | None = None  # why it has not come
        self._rest_s, self._next_rest_s = 0.0, REST_S

    @property
    def wanted(self) -> Bundle | None:
        """What must be fetched again."""
        return None if self.damage is None else self.damage.bundle

    @property
    def why(self) -> str:
        """What is done about the damage, or why nothing can be."""
        if self.wanted is None:
            return "the fleet has released it no longer: deploy another version"
        return self._why_not or "it is fetched again"

    def is_ill(self, digest: str) -> bool:
        """Whether a model is damaged, or that is being found out."""
        return self._about == digest and (self._is_asked or self.damage is not None)

    def look(self, state: PipelineState, latest: Totals | None) -> None:
        """Have a model examined, if something speaks against it."""
        opened = None if latest is None else latest.digest  # who opens a model reads all of it
        names = (state.active, state.good, state.gone)
        if self._about not in names or self._about == opened != state.gone:
            self.forget()
        doubted = _doubted(state, latest)
        if doubted is None or self.wanted is not None:
            return
        if doubted != self._about:
            self.forget()
            self._about = doubted
        if self._rest_s <= 0:
            self._rest_s = self._next_rest_s
            self._next_rest_s = min(2 * self._next_rest_s, MOST_REST_S)
            self._is_asked = True
            self._examine(doubted)

    def forget(self) -> None:
        """Another model is meant, or somebody says "again"."""
        self.damage = self._about = self._why_not = None
        self._is_asked = False
        self._rest_s, self._next_rest_s = 0.0, REST_S

    def examined(self, said: Examined) -> None:
        """Taken if it was asked for."""
        if said.digest != self._about or not self._is_asked:
            return
        self._is_asked, self.percent = False, 0
        self.damage = None if said.is_whole else said
        if self.damage is not None:
            log.warning("%s: %s: %s", self._pipeline, said.words, self.why)

    def progress(self, said: Progress, step: int) -> None:
        """step: percent, finer is not worth a message."""
        wanted = self.wanted
        if wanted is not None and wanted.digest == said.digest:
            percent = min(99, 100 * said.have_bytes // max(1, wanted.size))
            self.percent, self._why_not = percent // step * step, None

    def fetched(self, digest: str) -> bool:
        """Whether that is what was damaged: it is whole now."""
        if self.damage is None or self.damage.digest != digest:
            return False
        log.warning("%s: %s: it was fetched again and is whole", self._pipeline, self.damage.words)
        self.damage, self.mended = None, digest
        return True

    def not_fetched(self, said: NotFetched) -> bool:
        """Whether that is what is damaged."""
        if self.damage is None or self.damage.digest != said.digest:
            return False
        self._why_not = said.why
        return True

    def tick(self, turn_s: float) -> None:
        """turn_s: since the tick before."""
        self._rest_s -= turn_s


def _doubted(state: PipelineState, latest: Totals | None) -> str | None:
    """The good model, if it is not there, or if the process that should run it says that it
    cannot."""
    if state.gone is not None or state.good is None or state.good != state.active:
        return state.gone
    if latest is None or latest.digest == state.good or latest.unloaded is None:
        return None
    return state.good if state.good[:12] in latest.unloaded else None
