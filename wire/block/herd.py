"""Tells a herd from a few: what many are about to ask for is worth waiting for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

MANY = 4  # askers, within RECENT_S
RECENT_S = 10.0
KEEP_S = 60.0  # after a file was last asked for
STILL_S = 0.5  # without anybody new, and all are there
LONGEST_S = 15.0  # that a file waits while more and more come
MOST_FILES = 256


@dataclass
class _File:
    """first_s, last_s: when it was asked for. until_s: it waits for those who come. askers: the
    first MANY of those who asked for it."""

    first_s: float
    last_s: float
    until_s: float
    askers: set[str] = field(default_factory=set)


class Herd:
    """gather_s: how long a file waits for those who come, from the first who asks for it; longer
    while they still do."""

    def __init__(self, gather_s: float, clock: Callable[[], float]) -> None:
        self._gather_s = gather_s
        self._clock = clock
        self._askers: OrderedDict[str, float] = OrderedDict()  # who asked last comes last
        self._files: OrderedDict[str, _File] = OrderedDict()  # who was asked for last comes last

    def asked(self, who: str, key: str) -> None:
        """Somebody asks for some block of a file."""
        now_s = self._clock()
        self._askers.pop(who, None)
        self._askers[who] = now_s
        if len(self._askers) > MANY:
            self._askers.popitem(last=False)
        file = self._files.get(key)
        if file is None or now_s - file.last_s >= KEEP_S:
            if not self._has_room(key, now_s):
                return
            file = _File(now_s, now_s, now_s + (self._gather_s if self._is_there(now_s) else 0.0))
        file.last_s = now_s
        if len(file.askers) < MANY:
            file.askers.add(who)
        self._files[key] = file
        self._files.move_to_end(key)

    def grew(self, key: str) -> None:
        """Somebody asks for a file who did not before."""
        now_s, file = self._clock(), self._files.get(key)
        if file is not None and now_s < file.until_s:
            still_s = min(now_s + STILL_S, file.first_s + LONGEST_S)
            file.until_s = max(file.until_s, still_s)

    def until_s(self, key: str) -> float:
        """From when on a file is published that was asked for."""
        file = self._files.get(key)
        return 0.0 if file is None else file.until_s

    def wants(self, key: str) -> bool:
        """Whether many have asked for this file, as long as somebody still does."""
        file = self._files.get(key)
        return file is not None and len(file.askers) == MANY

    def _has_room(self, key: str, now_s: float) -> bool:
        """Whether a file can be noted. Who asks for ever more must not have one forgotten that then
        waits from the beginning, again and again: of what has no room nobody waits."""
        if key in self._files or len(self._files) < MOST_FILES:
            return True
        oldest, file = next(iter(self._files.items()))
        if now_s - file.last_s < KEEP_S:
            return False
        del self._files[oldest]
        return True

    def _is_there(self, now_s: float) -> bool:
        """Whether many asked for something just now: then they will ask for this file, too."""
        return len(self._askers) == MANY and now_s - next(iter(self._askers.values())) < RECENT_S
