"""Brings another model into the running loop: beside the one that runs, or where memory cannot hold
both, in its place. On the loader's thread.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from runtime.loader import close_retired
from runtime.loop import HELD, NO_MODEL, Loop, Model
from runtime.opening import WHAT_FAILS
from runtime.room import available_bytes, fits
from runtime.sources import Source, Sources
from wire.local import CheckReport, LoadReport
from wire.steps import reached
from wire.troubles import Refused, Unavailable

TAKEN_S = 30.0  # how long an offer waits for the loop, which is between two frames every frame
LOOK_S = 0.005


class Takeover:
    """What runs, and how the next one comes. trouble: why a newer model does not run.

    available: bytes that can be taken now. said: told in one line what became of each load.
    """

    def __init__(
        self,
        loop: Loop,
        sources: Sources,
        runs: Source | None,
        said: Callable[[str], None],
        trouble: str | None = None,
        available: Callable[[], int | None] = available_bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """runs: where the loop's model comes from."""
        self.trouble = trouble
        self._is_about_deployed = trouble is not None
        self._loop = loop
        self._sources = sources
        self._runs = runs
        self._said = said
        self._available = available
        self._clock = clock

    def check(self, digest: str) -> CheckReport:
        """Try an installed model in a child process. Raises what opening a model raises."""
        report = self._sources.check(self._sources.deployed(digest))
        return CheckReport(
            report.name,
            report.version,
            report.engine,
            report.golden,
            report.load_ms,
            report.inference_us,
            report.peak_rss_mb,
        )

    def load(self, digest: str | None, is_over: Callable[[], bool]) -> LoadReport:
        """Run an installed model, or the configured one. Returns when the loop has taken it.

        is_over: whether nobody wants it any more. Raises what opening a model raises, and
        Unavailable if the loop does not take it; then what ran before runs on.
        """
        began_s = self._clock()
        source = self._sources.own() if digest is None else self._sources.deployed(digest)
        gap_s = None
        if digest is None or digest != self._loop.model.digest:
            gap_s = self._bring(source, is_over)
        model, seconds = self._loop.model, self._clock() - began_s
        described = model.manifest
        return LoadReport(model.digest, seconds, gap_s, described.name, described.version)

    def reconfigure(self, path: Path | None) -> None:
        """The configuration was read again, and names this model."""
        self._sources.configured = path
        if self._runs is not None and self._runs.digest is not None:
            self._said(f"{self._runs}, which the fleet deployed, runs on: the configured one waits")
            return
        if path is None:
            self._said("no model is configured: what runs now runs until another is deployed")
            return
        try:
            self._bring(self._sources.own(), lambda: False)
        except WHAT_FAILS:
            return  # said, and in `trouble`

    def note_answered(self, digest: str) -> None:
        """A model gave its first result: if it is on trial, that is noted."""
        self._sources.note_came(digest, "answered")

    def reconsider(self) -> None:
        """Call now and then while there is trouble: with a model that the store does not want any
        more there is none."""
        if self._runs is None or not self._is_about_deployed:
            return
        with contextlib.suppress(*WHAT_FAILS):
            if self._sources.state().active == self._runs.digest:
                self.trouble = None

    def _bring(self, source: Source | None, is_over: Callable[[], bool]) -> float | None:
        """The seconds without results if memory could not hold both models."""
        try:
            gap_s = self._replace(source, is_over)
        except WHAT_FAILS as trouble:
            self.trouble = f"{source} was not loaded, {self._what_runs()}: {trouble}"
            self._is_about_deployed = source is not None and source.digest is not None
            self._said(self.trouble)
            raise
        self.trouble, model = None, self._loop.model
        gap = "" if gap_s is None else f" after {gap_s:.1f} s without results"
        name = f"{model.manifest.name} {model.manifest.version} ({model.digest[:12]})"
        self._said(f"loaded {name}{gap}" if model.digest else "no model is left to run: waiting")
        return gap_s

    def _what_runs(self) -> str:
        return "the model before it runs on" if self._loop.model.digest else "there is no other"

    def _replace(self, source: Source | None, is_over: Callable[[], bool]) -> float | None:
        if source is None:
            self._hand_over(NO_MODEL, None)
            return None
        self._sources.count_start(source)
        room = self._available()
        if self._loop.model.digest and not fits(self._sources.needed_bytes(source), room):
            return self._stop_and_load(source, is_over)
        self._hand_over(self._opened(source, is_over), source)
        return None

    def _opened(self, source: Source, is_over: Callable[[], bool]) -> Model:
        model = self._sources.open(source)
        if is_over():
            model.engine.close()
            raise Unavailable("it took so long that nobody waits for it any more")
        return model

    def _stop_and_load(self, source: Source, is_over: Callable[[], bool]) -> float:
        """Give up the model that runs, then open the next; if that fails, open the first again."""
        before = self._runs
        self._hand_over(HELD, None)
        held_s = self._clock()
        close_retired(self._loop)
        try:
            self._hand_over(self._opened(source, is_over), source)
        except WHAT_FAILS:
            self._go_back(before)
            raise
        return self._clock() - held_s

    def _go_back(self, before: Source | None) -> None:
        try:
            if before is None:
                raise Refused("nobody knows where it came from")
            self._hand_over(self._sources.open(before), before)
        except WHAT_FAILS as trouble:
            self._said(f"the model before it cannot be opened again: {trouble}")
            self._hand_over(NO_MODEL, None)

    def _hand_over(self, model: Model, source: Source | None) -> None:
        """Offer a model, and wait until the loop has it. Raises Unavailable if it does not take it;
        then it is closed."""
        loop = self._loop
        loop.swap(model)
        until_s = self._clock() + TAKEN_S
        while loop.model is not model:
            if self._clock() >= until_s and loop.withdraw() is model:
                model.engine.close()
                raise Unavailable(f"the loop does not take it within {TAKEN_S:.0f} s")
            time.sleep(LOOK_S)
        self._runs = source
        reached("load.taken", model.digest)
