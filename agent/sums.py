"""Arithmetic on what runtimes count: differences of growing totals, and their sums."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from wire.happenings import MOST_PASSAGES, Passage
from wire.histogram import Counts, merge, subtract
from wire.local import Totals
from wire.messages import Losses, Scores, StageCounts

# What is more cannot be true, and sums of it would not fit into the integers that are kept.
MOST = 2**48
MOST_US = 1e15  # 31 years

_NONE = Counts(0, 0.0, 0, ())
NO_STAGES = StageCounts(_NONE, _NONE, _NONE, _NONE, _NONE)


class Sum(Struct, frozen=True):
    """What happened in some stretch of time."""

    seconds: float = 0.0
    frames: int = 0
    unsent: int = 0
    losses: Losses = Losses()
    stages: StageCounts = NO_STAGES
    scores: Scores = Scores()
    passed: tuple[Passage, ...] = ()


def sum_of(totals: Totals) -> Sum:
    """All that a runtime process has counted since it started."""
    return Sum(
        totals.seconds,
        totals.frames,
        totals.unsent,
        totals.losses,
        totals.stages,
        totals.scores,
        totals.places.passed if totals.places else (),
    )


def added(one: Sum, other: Sum) -> Sum:
    """Both stretches together."""
    return Sum(
        one.seconds + other.seconds,
        one.frames + other.frames,
        one.unsent + other.unsent,
        Losses(
            one.losses.skipped + other.losses.skipped,
            one.losses.driver + other.losses.driver,
            one.losses.decode + other.losses.decode,
            one.losses.refused + other.losses.refused,
        ),
        StageCounts(
            merge((one.stages.queue, other.stages.queue)),
            merge((one.stages.preprocess, other.stages.preprocess)),
            merge((one.stages.inference, other.stages.inference)),
            merge((one.stages.postprocess, other.stages.postprocess)),
            merge((one.stages.end_to_end, other.stages.end_to_end)),
        ),
        Scores(
            one.scores.frames + other.scores.frames,
            one.scores.sum + other.scores.sum,
            one.scores.broken + other.scores.broken,
        ),
        _passages((_counts_of(one.passed), 1), (_counts_of(other.passed), 1)),
    )


def since(later: Sum, earlier: Sum) -> Sum:
    """What happened between two moments of one process. earlier: counted by the same process."""
    return Sum(
        later.seconds - earlier.seconds,
        later.frames - earlier.frames,
        later.unsent - earlier.unsent,
        Losses(
            later.losses.skipped - earlier.losses.skipped,
            later.losses.driver - earlier.losses.driver,
            later.losses.decode - earlier.losses.decode,
            later.losses.refused - earlier.losses.refused,
        ),
        StageCounts(
            subtract(later.stages.queue, earlier.stages.queue),
            subtract(later.stages.preprocess, earlier.stages.preprocess),
            subtract(later.stages.inference, earlier.stages.inference),
            subtract(later.stages.postprocess, earlier.stages.postprocess),
            subtract(later.stages.end_to_end, earlier.stages.end_to_end),
        ),
        Scores(
            later.scores.frames - earlier.scores.frames,
            max(0.0, later.scores.sum - earlier.scores.sum),
            later.scores.broken - earlier.scores.broken,
        ),
        _passages((_counts_of(later.passed), 1), (_counts_of(earlier.passed), -1)),
    )


def has_grown(later: Sum, earlier: Sum) -> bool:
    """Whether no count of `later` is lower, and none impossible: it can be a later word of the
    same process."""
    pairs = (
        (later.seconds, earlier.seconds),
        (later.frames, earlier.frames),
        (later.unsent, earlier.unsent),
        (later.losses.skipped, earlier.losses.skipped),
        (later.losses.driver, earlier.losses.driver),
        (later.losses.decode, earlier.losses.decode),
        (later.losses.refused, earlier.losses.refused),
        (later.scores.frames, earlier.scores.frames),
        (later.scores.sum, earlier.scores.sum),
        (later.scores.broken, earlier.scores.broken),
    )
    passed, before = _counts_of(later.passed), _counts_of(earlier.passed)
    ways = ((passed.get(what, 0), before.get(what, 0)) for what in passed.keys() | before.keys())
    return all(MOST >= a >= b for a, b in (*pairs, *ways)) and all(
        _counts_have_grown(getattr(later.stages, name), getattr(earlier.stages, name))
        for name in StageCounts.__struct_fields__
    )


def is_possible(one: Sum) -> bool:
    """Whether somebody can have counted this: what was kept may have rotted."""
    stages = (getattr(one.stages, name) for name in StageCounts.__struct_fields__)
    return has_grown(one, Sum()) and all(
        not each.count or None not in (each.minimum_us, each.maximum_us) for each in stages
    )


def _counts_have_grown(later: Counts, earlier: Counts) -> bool:
    at = dict(enumerate(later.counts, later.offset))
    possible = later.count == sum(later.counts) <= MOST and later.sum_us <= MOST_US
    return possible and all(
        at.get(place, 0) >= count for place, count in enumerate(earlier.counts, earlier.offset)
    )


def _counts_of(passed: tuple[Passage, ...]) -> dict[Passage, int]:
    """How often, by what it was: a passage whose count is 0."""
    counts: dict[Passage, int] = {}
    for each in passed:
        what = replace(each, count=0)
        counts[what] = counts.get(what, 0) + each.count
    return counts


def _passages(*signed: tuple[dict[Passage, int], int]) -> tuple[Passage, ...]:
    """Their sum. What there is no room for (processes that had other zones each) is left out."""
    counts: dict[Passage, int] = {}
    for each, sign in signed:
        for what, count in each.items():
            counts[what] = counts.get(what, 0) + sign * count
    some = [replace(what, count=count) for what, count in counts.items() if count]
    return tuple(some[:MOST_PASSAGES])
