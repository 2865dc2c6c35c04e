"""A bench of the live loop: the exact stage times of its next frames, while it goes on serving."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
import numpy as np
import numpy.typing as npt

from runtime.frames import Losses
from runtime.loop import Model, Result
from wire import messages
from wire.results import Figures, Spread, StageSpreads

LEAST_FRAMES, MOST_FRAMES = 1, 10_000
PATIENCE_S = 150.0  # whoever asked waits no longer than 180
SHARES = (50, 95, 99)  # percent


@dataclass(frozen=True)
class Outcome:
    """How a bench ended: the JSON of its figures, or a text that says why there are none."""

    json: bytes | None
    text: str


class Bench:
    """One bench under way. All on the loop's thread."""

    def __init__(self, frames: int, model: Model, losses: Losses, now_s: float) -> None:
        """losses: of the camera; they grow."""
        self._stamps: npt.NDArray[np.int64] = np.zeros((frames, 5), np.int64)
        self._count = 0
        self._model = model
        self._swapped = False
        self._losses = losses
        self._before = replace(losses)
        self._until_s = now_s + PATIENCE_S

    def show(self, result: Result) -> None:
        """Call with every result."""
        if self._count == len(self._stamps):
            return
        timing = result.timing
        self._stamps[self._count] = (
            timing.captured_ns,
            timing.read_ns,
            timing.prepared_ns,
            timing.inferred_ns,
            timing.decoded_ns,
        )
        self._count += 1
        self._swapped |= result.digest != self._model.digest

    def outcome(self, now_s: float) -> Outcome | None:
        """How it ended; None while it is under way."""
        wanted = len(self._stamps)
        if self._count < wanted and now_s < self._until_s:
            return None
        if self._count == 0:
            return Outcome(None, f"no frame came within {PATIENCE_S:g} s")
        if self._swapped:
            return Outcome(None, "the model changed meanwhile: ask again")
        within = "" if self._count == wanted else f" of {wanted}"
        return Outcome(
            msgspec.json.encode(self._figures()), f"{self._count}{within} frames of the live loop"
        )

    def _figures(self) -> Figures:
        stamps = self._stamps[: self._count]
        ends = stamps[:, 4]
        seconds = float(ends[-1] - ends[0]) / 1e9
        model, now, before = self._model, self._losses, self._before
        return Figures(
            self._count,
            len(self._stamps),
            seconds,
            (self._count - 1) / seconds if seconds > 0 else None,
            model.manifest.name,
            model.manifest.version,
            model.digest,
            model.engine_kind,
            messages.Losses(
                now.skipped - before.skipped,
                now.driver - before.driver,
                now.decode - before.decode,
                now.refused - before.refused,
            ),
            stages_of(stamps),
        )


def stages_of(stamps: npt.NDArray[np.int64]) -> StageSpreads:
    """The exact percentiles of the five stages. stamps: (frames, 5), nanoseconds, in order."""
    steps = np.column_stack([np.diff(stamps), stamps[:, 4] - stamps[:, 0]]) / 1000
    spreads = np.percentile(steps, SHARES, axis=0, method="inverted_cdf").T
    return StageSpreads(*(Spread(*map(float, one)) for one in spreads))
