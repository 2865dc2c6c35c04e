"""Whether a model on trial takes ever more memory: what its process says that it holds."""

from __future__ import annotations

from agent.update.gates import EARLY, SETTLING_S, Bar, Failure
from wire.local import Totals

MOST = 64  # looks that are kept: of more than these every second one, and then half as many
ENOUGH = 7  # looks, before they say anything
STEP_MB = 8.0  # growth in each third of the time: what is loaded once grows in one of them
JUMP_MB = 16.0  # growth that is the model's, where the whole process is above the model's limit


class Growth:
    """Of one process, while it runs one model. Before it has settled nothing is judged."""

    def __init__(self) -> None:
        self._looks: list[tuple[float, float]] = []  # seconds of the process, MB
        self._newest = (0.0, 0.0)
        self._apart_s = 0.0  # between two looks

    def begin(self) -> None:
        """Another process, or another model."""
        self._looks, self._apart_s = [], 0.0

    def hear(self, totals: Totals) -> None:
        """A word of the process, which serves."""
        if totals.rss_bytes is None:
            return
        self._newest = (totals.seconds, totals.rss_bytes / 1e6)
        if not self._looks or totals.seconds - self._looks[-1][0] >= self._apart_s:
            self._looks.append(self._newest)
        if len(self._looks) > MOST:
            del self._looks[1::2]
            self._apart_s = 2 * (self._looks[-1][0] - self._looks[0][0]) / MOST

    def failure(self, bar: Bar) -> Failure | None:
        """The model takes more than its manifest allows, or more and more."""
        settled = self._settled(bar)
        if len(settled) < 2:
            return None
        (began_s, first_mb), (now_s, now_mb) = settled[0], settled[-1]
        grew = f"its memory grew from {first_mb:.0f} to {now_mb:.0f} MB in {now_s - began_s:.0f} s"
        limit_mb = bar.memory_mb
        if limit_mb is not None and now_mb > limit_mb and now_mb - first_mb > JUMP_MB:
            return Failure(f"{grew}, {limit_mb:g} MB is the limit")
        if len(settled) >= ENOUGH and min(_steps_mb(settled)) >= STEP_MB:
            return Failure(f"{grew}, and did not stop")
        return None

    def _settled(self, bar: Bar) -> list[tuple[float, float]]:
        if not self._looks:
            return []
        from_s = self._looks[0][0] + min(SETTLING_S, bar.trial_s * EARLY)
        settled = [look for look in self._looks if look[0] >= from_s]
        return settled if settled[-1:] in ([], [self._newest]) else [*settled, self._newest]


def _steps_mb(looks: list[tuple[float, float]]) -> tuple[float, float, float]:
    """How much more it was at the end of each third of the time than at its beginning."""
    began_s, ended_s = looks[0][0], looks[-1][0]
    third_s = (ended_s - began_s) / 3
    marks = [looks[0][1]]
    for number in (1, 2):
        marks.append(next(mb for at_s, mb in looks if at_s >= began_s + number * third_s))
    marks.append(looks[-1][1])
    return marks[1] - marks[0], marks[2] - marks[1], marks[3] - marks[2]
