"""The whole fleet in a few numbers: who needs somebody and why, how fast it is, what it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from fleet.concerns import Kind
from fleet.live.kinds import LABELS, QUIET, Level, level_of
from fleet.live.line import Line
from fleet.live.totals import STAGES, Totals
from fleet.wording import plural

MOST_NAMES = 3  # of devices, with each trouble


class Trouble(Struct, frozen=True):
    """Devices that have the same kind of trouble. names: the first of them."""

    kind: Kind
    label: str
    level: Level
    count: int
    names: tuple[str, ...]


class StageLatency(Struct, frozen=True):
    """Of the newest windows of all devices, in us; None of no frames."""

    stage: str
    p50_us: float | None
    p95_us: float | None
    p99_us: float | None


class Release(Struct, frozen=True):
    """A model version and how many pipelines run it; trial: of these, on trial."""

    name: str
    count: int
    trial: int


class Summary(Struct, frozen=True):
    """needing: devices that need somebody; bad: of these, those with the worst kinds of trouble.
    fps: of all. fetching: devices that get a model now."""

    devices: int
    online: int
    offline: int
    needing: int
    bad: int
    fps: float
    trial: int
    fetching: int
    troubles: tuple[Trouble, ...]
    stages: tuple[StageLatency, ...]
    releases: tuple[Release, ...]
    boards: tuple[tuple[str, int], ...]
    groups: tuple[tuple[str, int], ...]

    @property
    def level(self) -> Level:
        return "bad" if self.bad else "warn" if self.needing else "good"

    @property
    def headline(self) -> str:
        """What somebody who opens the page wants to know first."""
        if not self.devices:
            return "No device has been heard yet"
        if not self.needing:
            if self.devices == 1:
                return "The device is well"
            return f"All {self.devices:,} devices are well"
        verb = "needs" if self.needing == 1 else "need"
        return f"{self.needing:,} of {plural(self.devices, 'device')} {verb} you"

    @property
    def end_to_end(self) -> StageLatency:
        return next(each for each in self.stages if each.stage == "end_to_end")


def summary_of(lines: Sequence[Line], totals: Totals) -> Summary:
    """lines: the worst first."""
    runs = [each for line in lines for each in line.pipelines]
    phases = Counter(each.update.phase for each in runs if each.update is not None)
    tried = Counter(
        f"{each.update.model} {each.update.version}"
        for each in runs
        if each.update is not None and each.update.phase == "trial"
    )
    releases = Counter(each.release for each in runs if each.model)
    return Summary(
        devices=len(lines),
        online=sum(line.is_online is True for line in lines),
        offline=sum(line.is_online is False for line in lines),
        needing=sum(line.level != "good" for line in lines),
        bad=sum(line.level == "bad" for line in lines),
        fps=sum(line.fps or 0.0 for line in lines),
        trial=phases["trial"],
        fetching=phases["fetching"] + phases["staged"] + phases["checking"],
        troubles=_troubles(lines),
        stages=_stages(totals),
        releases=tuple(Release(n, c, tried[n]) for n, c in _many_first(releases)),
        boards=_many_first(Counter(line.board for line in lines if line.board)),
        groups=_many_first(Counter(group for line in lines for group in line.groups)),
    )


def _troubles(lines: Sequence[Line]) -> tuple[Trouble, ...]:
    """The worst kind first, then the one that most devices have."""
    names: dict[Kind, list[str]] = {}
    counts: Counter[Kind] = Counter()
    weights: dict[Kind, int] = {}
    for line in lines:
        for kind in line.kinds - QUIET:
            counts[kind] += 1
            if len(told := names.setdefault(kind, [])) < MOST_NAMES:
                told.append(line.name)
        for concern in line.concerns:
            weights[concern.kind] = max(concern.weight, weights.get(concern.kind, 0))
    found = [
        Trouble(kind, LABELS[kind], level_of(weights[kind]), count, tuple(names[kind]))
        for kind, count in counts.items()
    ]
    return tuple(sorted(found, key=lambda one: (-weights[one.kind], -one.count, one.kind)))


def _stages(totals: Totals) -> tuple[StageLatency, ...]:
    found = []
    for stage in STAGES:
        counts = totals.counts(stage)
        p50_us, p95_us, p99_us = (counts.percentile(part) for part in (0.50, 0.95, 0.99))
        found.append(StageLatency(stage, p50_us, p95_us, p99_us))
    return tuple(found)


def _many_first(counted: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counted.items(), key=lambda item: (-item[1], item[0])))
