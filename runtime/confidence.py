"""How sure a model is of what it finds on live frames: its scores, added up."""

from __future__ import annotations

from runtime.loop import Model
from runtime.tasks import Found, score_of
from wire.messages import Scores

ROUNDING = 0.01  # one step of a quantised output may lie beyond 0 or 1


class Confidence:
    """Grows with every result. On the loop's thread."""

    def __init__(self) -> None:
        self._frames = 0
        self._sum = 0.0
        self._broken = 0

    def add(self, found: Found, model: Model) -> None:
        """Count one result of this model. Some have no score: vectors, numbers, class maps."""
        if not found:
            self._broken += always_finds(model)
            return
        scores = [score for each in found if (score := score_of(each)) is not None]
        if not scores:
            return
        top, total = max(scores), sum(scores)  # NaN hides from max and min, not from a sum
        if total != total or top > 1 + ROUNDING or min(scores) < -ROUNDING:
            self._broken += 1
            scores = [score for score in scores if -ROUNDING <= score <= 1 + ROUNDING]
            if not scores:
                return
            top = max(scores)
        self._frames += 1
        self._sum += min(max(top, 0.0), 1.0)

    def scores(self) -> Scores:
        """All so far."""
        return Scores(self._frames, self._sum, self._broken)


def always_finds(model: Model) -> bool:
    """Whether nothing found means that the scores were no numbers."""
    described = model.manifest
    return described.task in ("classify", "regress", "embed") and described.decoding.min_score <= 0
