"""How long a model on trial lets us wait: time counts only while nobody else is to blame."""

from __future__ import annotations

from agent.update.gates import Bar
from wire.local import Totals

SILENT_S = 90.0  # of a process that serves, until its model is held to have wedged it
GRACE_S = 90.0  # after our own start: runtimes may still be coming up
HURRY_S = (1.0, 10.0)  # between two questions what was counted, at least and at most


class TrialTime:
    """Of one trial, since it began or since we did. is_there: the pipeline's process, so far as we
    know: one that was stopped or starts anew is not to blame, starts are counted elsewhere."""

    def __init__(self) -> None:
        self.is_there = True
        self._waited_s = self._silent_s = self._hurried_s = 0.0
        self._grace_s = GRACE_S
        self._before_s: float | None = None

    def before_s(self, kept_s: float) -> float:
        """How long the trial had lasted when we began to watch. kept_s: as it lies on disk now."""
        if self._before_s is None:
            self._before_s = kept_s
        return self._before_s

    def heard(self) -> None:
        """Its process said something."""
        self._silent_s = 0.0
        self.is_there = True

    def pass_by(self, turn_s: float, bar: Bar, latest: Totals | None, is_awaited: bool) -> bool:
        """Let time pass. is_awaited: the first result should come now. Returns whether it is time
        to ask the process what it has counted."""
        self._grace_s -= turn_s
        self._hurried_s += turn_s
        if self._is_excused(latest):
            self._silent_s = 0.0
        else:
            self._silent_s += turn_s
            self._waited_s = self._waited_s + turn_s if is_awaited else 0.0
        is_time = self._hurried_s >= min(max(bar.trial_s / 30, HURRY_S[0]), HURRY_S[1])
        self._hurried_s = 0.0 if is_time else self._hurried_s
        return is_time

    def why_not(self, bar: Bar) -> str | None:
        """Why the model must go, as far as that is a matter of time."""
        if self._waited_s > bar.first_result_s:
            return f"no result came within {bar.first_result_s:g} s"
        if self._silent_s > SILENT_S:
            return f"its process has said nothing for {SILENT_S:.0f} s"
        return None

    def _is_excused(self, latest: Totals | None) -> bool:
        """The camera or the accelerator is gone, somebody stopped the process, or we have just come
        up."""
        if not self.is_there:
            return True
        if latest is None:
            return self._grace_s > 0
        is_hindered = latest.absent is not None or latest.degraded is not None
        return is_hindered or latest.phase in ("no_camera", "ended")
