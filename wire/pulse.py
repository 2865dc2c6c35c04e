"""Notices a thread that does not get on any more: it hangs, or a bug has ended it.

systemd sees the main thread only. So each other thread beats its pulse as it gets on, and the main
one looks: whoever finds one too quiet ends the process, and is started anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_TURN_S = 5.0  # between two looks: who slept, or was stopped, has not seen anything hang


class Pulse:
    """One thread's. It beats and rests; others look at `beats` and `is_resting`."""

    def __init__(self, name: str, most_quiet_s: float) -> None:
        self.name = name
        self.most_quiet_s = most_quiet_s
        self.beats = 0
        self.is_resting = True  # until it begins

    def beat(self) -> None:
        """It has got on."""
        self.is_resting = False
        self.beats += 1

    def rest(self) -> None:
        """It waits for work, for as long as it takes."""
        self.is_resting = True


class Watch:
    """Looks at the pulses of a process's threads, on the main one. clock: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._looked_s = clock()
        self._seen: dict[Pulse, tuple[int, float]] = {}  # its beats, and quiet for how long

    def pulse(self, name: str, most_quiet_s: float) -> Pulse:
        """For a thread of that name, which may be quiet for so long while it works."""
        pulse = Pulse(name, most_quiet_s)
        self._seen[pulse] = (0, 0.0)
        return pulse

    def look(self) -> str | None:
        """Which thread hangs, in a sentence, or None. Call about once a second."""
        now_s = self._clock()
        turn_s, self._looked_s = min(now_s - self._looked_s, LONGEST_TURN_S), now_s
        for pulse, (beats, quiet_s) in self._seen.items():
            is_quiet = pulse.beats == beats and not pulse.is_resting
            quiet_s = quiet_s + turn_s if is_quiet else 0.0
            self._seen[pulse] = (pulse.beats, quiet_s)
            if quiet_s > pulse.most_quiet_s:
                return f"thread {pulse.name!r} hangs: it has not got on for {quiet_s:.0f} s"
        return None
