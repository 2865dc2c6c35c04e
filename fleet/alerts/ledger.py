"""Which troubles last, which are told and which are over: pure; time and troubles come from
outside.

A trouble is told when it has lasted for its hold time, and is over when it was away for its
calm time: what comes and goes is one trouble. What is told is told once, and reminded of
seldom.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from fleet.alerts.terms import AlertKind, Terms

Turn = Literal["raised", "worse", "reminded", "over"]
Key = tuple[AlertKind, str]


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong now. subject: the device, or "" for the whole fleet. words: a
    sentence. mark: another one than before: it got worse. groups: of the device."""

    kind: AlertKind
    subject: str
    words: str
    mark: str = ""
    groups: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return self.kind, self.subject


@dataclass(frozen=True)
class Standing:
    """A trouble as it stands. began_s: when it was first seen; told_s: when it was last told, None:
    not yet. gone_s: since when it is away, None: it is there."""

    trouble: Trouble
    began_s: float
    told_s: float | None = None
    gone_s: float | None = None
    told_mark: str = ""

    @property
    def is_told(self) -> bool:
        return self.told_s is not None


@dataclass(frozen=True)
class Change:
    """Something to tell people. began_s: when the trouble began; at_s: when this was found."""

    turn: Turn
    trouble: Trouble
    began_s: float
    at_s: float


@dataclass(frozen=True)
class Sight:
    """What can be seen. subjects: of which anything is known; others are forgotten without a word.
    unseen: kinds that cannot be judged now: they stay as they are."""

    troubles: Iterable[Trouble]
    subjects: Collection[str]
    unseen: frozenset[AlertKind] = frozenset()


class Ledger:
    """terms: by kind. repeat_s: between two reminders of the same. Times are Unix seconds."""

    def __init__(
        self,
        terms: Callable[[AlertKind], Terms],
        repeat_s: float,
        standing: Iterable[Standing] = (),
    ) -> None:
        """standing: what was told before; nobody knows how long what was not has lasted."""
        self._terms = terms
        self._repeat_s = repeat_s
        self._standing = {one.trouble.key: one for one in standing}

    @property
    def standing(self) -> Mapping[Key, Standing]:
        return self._standing

    def look(self, sight: Sight, now_s: float) -> list[Change]:
        """Take in what is wrong now. What people must be told."""
        self._set_back(now_s)
        there = {trouble.key: trouble for trouble in sight.troubles}
        repeat_s = self._repeats_after_s(now_s)
        changes = []
        for key in list(self._standing):
            if key not in there:
                change = self._away(key, sight, now_s)
                changes += [] if change is None else [change]
        for trouble in there.values():
            if trouble.kind in sight.unseen:
                continue
            change = self._is_there(trouble, now_s, repeat_s)
            changes += [] if change is None else [change]
        return changes

    def _set_back(self, now_s: float) -> None:
        """What seems still to come was before the clock was set back: it counts from now on."""
        for key, one in self._standing.items():
            if max(one.began_s, one.told_s or 0.0, one.gone_s or 0.0) > now_s:
                self._standing[key] = replace(
                    one,
                    began_s=min(one.began_s, now_s),
                    told_s=None if one.told_s is None else min(one.told_s, now_s),
                    gone_s=None if one.gone_s is None else min(one.gone_s, now_s),
                )

    def _repeats_after_s(self, now_s: float) -> float:
        """Where one is reminded of, others are soon: all in one message."""
        told_s = min((one.told_s for one in self._standing.values() if one.told_s), default=now_s)
        return self._repeat_s / 2 if now_s - told_s >= self._repeat_s else self._repeat_s

    def _is_there(self, trouble: Trouble, now_s: float, repeat_s: float) -> Change | None:
        before = self._standing.get(trouble.key)
        one = Standing(trouble, now_s) if before is None else before
        one = replace(one, trouble=trouble, gone_s=None)
        turn = self._turn(one, now_s, repeat_s)
        if turn is not None:
            one = replace(one, told_s=now_s, told_mark=trouble.mark)
        self._standing[trouble.key] = one
        return None if turn is None else Change(turn, trouble, one.began_s, now_s)

    def _turn(self, one: Standing, now_s: float, repeat_s: float) -> Turn | None:
        """Whether a trouble that is there is to be told."""
        terms = self._terms(one.trouble.kind)
        if one.told_s is None:
            return "raised" if now_s - one.began_s >= terms.hold_s else None
        since_s = now_s - one.told_s
        is_worse = terms.again_s is not None and one.trouble.mark != one.told_mark
        if is_worse and terms.again_s is not None and since_s >= terms.again_s:
            return "worse"
        return "reminded" if since_s >= repeat_s else None

    def _away(self, key: Key, sight: Sight, now_s: float) -> Change | None:
        one = self._standing[key]
        kind, subject = key
        if subject not in sight.subjects:
            del self._standing[key]
            return None
        if kind in sight.unseen:
            if not one.is_told:
                del self._standing[key]
            return None
        gone_s = now_s if one.gone_s is None else one.gone_s
        if now_s - gone_s < self._terms(kind).calm_s:
            self._standing[key] = replace(one, gone_s=gone_s)
            return None
        del self._standing[key]
        return Change("over", one.trouble, one.began_s, now_s) if one.is_told else None
