"""Compares a suite with an earlier one: what got slower, and what does not run any more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path

import msgspec

from runtime.suite import FORM, Combination, Measured, Row, Suite, Worse
from wire.troubles import Refused
from wire.unreadable import UNREADABLE

LARGEST = 1 << 26  # bytes of an earlier run
TRIES = 3


def read(path: Path) -> Suite:
    """The JSON of an earlier run. Raises Refused if it is none."""
    try:
        with open(path, "rb") as file:
            suite = msgspec.json.decode(file.read(LARGEST), type=Suite)
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror}") from None
    except UNREADABLE as error:
        raise Refused(
            f"{path}: is not what `vedette bench --suite --json` printed: {error}"
        ) from None
    if suite.form != FORM:
        raise Refused(f"{path}: of form {suite.form}, {FORM} is known: measure again with this one")
    if any(
        took <= 0 for row in suite.rows if row.measured for took in _figures(row.measured).values()
    ):
        raise Refused(f"{path}: has a time that is not above 0: it was not measured")
    return suite


class Comparison:
    """With an earlier run. percent: what may be that much more is not worse. worse: all found."""

    def __init__(self, earlier: Suite, percent: float) -> None:
        self.earlier = earlier
        self.worse: list[Worse] = []
        self._before = {row.of: row.measured for row in earlier.rows if row.measured is not None}
        self._percent = percent

    def known_of(self, wanted: Iterable[Combination]) -> int:
        """How many of these were measured then."""
        return len(self._before.keys() & set(wanted))

    def judge(self, row: Row, again: Callable[[], Row]) -> Row:
        """The row, or a better one: what seems worse is measured again, and is worse only if it is
        so each time, since other work on the machine makes it so, too."""
        then = self._before.get(row.of)
        if then is None:
            return row
        found = self._worse(row, then)
        for _ in range(TRIES - 1):
            if not found:
                break
            other = again()
            row, found = _better(row, other), _both(found, self._worse(other, then))
        self.worse += found
        return row

    def judge_lost(self, engines: Collection[str], models: Collection[str]) -> None:
        """engines: that do not work here any more; models: that were to be measured."""
        for of, then in self._before.items():
            if of.engine in engines and of.model in models:
                self.worse.append(_lost(of, then))

    def _worse(self, row: Row, then: Measured) -> list[Worse]:
        if row.measured is None:
            return [_lost(row.of, then)]
        now, most = _figures(row.measured), 1 + self._percent / 100
        return [
            Worse(row.of, name, before, now[name])
            for name, before in _figures(then).items()
            if now[name] > before * most
        ]


def _figures(measured: Measured) -> dict[str, float]:
    """What is compared, by name."""
    return {
        "engine call": measured.raw_us.p50,
        "end to end": measured.end_to_end_us.p50,
    }


def _lost(of: Combination, then: Measured) -> Worse:
    return Worse(of, "end to end", then.end_to_end_us.p50, None)


def _both(one: list[Worse], other: list[Worse]) -> list[Worse]:
    """What is worse by both, with the better figure of the two."""
    found = []
    for each in one:
        same = [again for again in other if again.figure == each.figure]
        if same:
            known = [now for now in (each.now, same[0].now) if now is not None]
            found.append(replace(each, now=min(known, default=None)))
    return found


def _better(one: Row, other: Row) -> Row:
    if one.measured is None or other.measured is None:
        return other if one.measured is None else one
    quicker = one.measured.end_to_end_us.p50 <= other.measured.end_to_end_us.p50
    return one if quicker else other
