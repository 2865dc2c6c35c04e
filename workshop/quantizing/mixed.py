"""Mixed precision: the few layers to keep float32 for a wanted score, and how they were found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from wire.troubles import Refused
from workshop.step import Progress, Tell

Quantize = Callable[[frozenset[str]], Path]
"""All layers but these, to a file that the next call may write over."""
Score = Callable[[Path], float]


class Tried(Struct, frozen=True):
    """One step of the search. enough: whether it reaches what is wanted."""

    keep: tuple[str, ...]
    score: float
    enough: bool


class Mixed(Struct, frozen=True):
    """keep: layers that stay float32, the most sensitive first. file: the last of the files, which
    is that of `keep`. trail: all that was tried, in order."""

    keep: tuple[str, ...]
    score: float
    file: Path
    trail: tuple[Tried, ...]


def find_mixed(
    quantize: Quantize,
    score: Score,
    wanted: float,
    ranked: Sequence[str],
    *,
    removals: int = 12,
    tell: Tell | None = None,
) -> Mixed:
    """The fewest layers to keep float32 so that score >= wanted.

    ranked: layers, the most sensitive first. Of the first n of them n is found by bisection; then
    each of these is left out again, the least sensitive first, where the score does without it
    (`removals` of them are tried). A score that does not rise with n may hide a shorter list.
    Raises Refused where even all of them are not enough.
    """
    search = _Search(quantize, score, wanted, ranked, tell)
    if search.enough(()):
        return search.ended(())
    if not search.enough(tuple(ranked)):
        raise Refused(
            f"mixed precision does not reach {wanted:.4g}: with all {len(ranked)} layers kept "
            f"float32 the score is {search.trail[-1].score:.4g}: ask for less"
        )
    few, many = 0, len(ranked)
    while many - few > 1:
        middle = (few + many) // 2
        if search.enough(tuple(ranked[:middle])):
            many = middle
        else:
            few = middle
    keep = tuple(ranked[:many])
    for name in keep[::-1][:removals]:
        without = tuple(each for each in keep if each != name)
        if without and search.enough(without):
            keep = without
    return search.ended(keep)


class _Search:
    """Asks each question once."""

    def __init__(
        self,
        quantize: Quantize,
        score: Score,
        wanted: float,
        ranked: Sequence[str],
        tell: Tell | None,
    ) -> None:
        self._quantize, self._score, self._wanted = quantize, score, wanted
        self._tell = tell
        self._ranked = ranked
        self._known: dict[frozenset[str], float] = {}
        self._made: frozenset[str] | None = None
        self._file = Path()
        self.trail: list[Tried] = []

    def enough(self, keep: tuple[str, ...]) -> bool:
        asked = frozenset(keep)
        if asked in self._known:
            return self._known[asked] >= self._wanted
        if self._tell is not None:
            self._tell(Progress(f"mixed precision: {len(keep)} of {len(self._ranked)} kept"))
        self._make(asked)
        found = self._known[asked] = self._score(self._file)
        self.trail.append(Tried(keep, found, found >= self._wanted))
        return found >= self._wanted

    def ended(self, keep: tuple[str, ...]) -> Mixed:
        self._make(frozenset(keep))
        return Mixed(keep, self._known[frozenset(keep)], self._file, tuple(self.trail))

    def _make(self, keep: frozenset[str]) -> None:
        if keep != self._made:
            self._file, self._made = self._quantize(keep), keep
