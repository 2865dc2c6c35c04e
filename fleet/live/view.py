"""The fleet as it is now: fed with what changed in the registry, read as a whole at any time.

One thread feeds it. What others read is a Sight, which never changes: there are no locks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fleet.devices import Device
from fleet.live.line import Line, line_of
from fleet.live.peers import Peers, slowness, usual
from fleet.live.summary import Summary, summary_of
from fleet.live.totals import Totals
from fleet.live.trend import Past
from fleet.registry.words import Known
from wire.messages import StageCounts

PEERS_S = 10.0  # how old what is usual may be


@dataclass(frozen=True)
class Sight:
    """Everything at one moment. lines: the worst first, then by name. version: another one for
    another sight. trend: the last hour. at_s: Unix time of the newest look at the registry that
    succeeded, None before; trouble: why the last one did not."""

    version: int
    lines: tuple[Line, ...]
    by_name: dict[str, Line]
    known: dict[str, Known]
    summary: Summary
    trend: tuple[Past, ...]
    at_s: float | None
    trouble: str | None


class LiveView:
    """`take` and `judge` on one thread; `sight` on any."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}
        self._lines: dict[str, Line] = {}
        self._windows: dict[str, tuple[StageCounts, ...]] = {}  # as they are in the totals
        self._totals = Totals()
        self._peers: Peers = {}
        self._peers_s = float("-inf")
        self.sight = Sight(0, (), {}, {}, summary_of((), self._totals), (), None, None)

    def take(self, devices: Iterable[Known], now_s: float) -> bool:
        """What the registry knows anew; then all that time has changed. Whether anything did."""
        changed = False
        for known in devices:
            self._take(known, now_s)
            changed = True
        changed |= self._judge_due(now_s)
        if abs(now_s - self._peers_s) >= PEERS_S:
            self._peers, self._peers_s = usual(self._lines.values()), now_s
            changed |= self._compare(now_s)
        if changed or self.sight.trouble is not None or self.sight.at_s is None:
            self._show(now_s)
        else:
            self.sight = replace(self.sight, at_s=now_s)
        return changed

    def fail(self, trouble: str) -> None:
        """The registry could not be asked: what is known stays, and says how old it is."""
        if trouble != self.sight.trouble:
            self.sight = replace(self.sight, version=self.sight.version + 1, trouble=trouble)

    def remember(self, trend: tuple[Past, ...]) -> None:
        """How the last hour was."""
        self.sight = replace(self.sight, version=self.sight.version + 1, trend=trend)

    def _take(self, known: Known, now_s: float) -> None:
        self._totals.take_away(self._windows.pop(known.name, ()))
        if known.is_removed:
            self._known.pop(known.name, None)
            self._lines.pop(known.name, None)
            return
        self._known[known.name] = known
        self._lines[known.name] = self._judged(known, now_s)
        if known.telemetry is not None:
            windows = tuple(window.stages for window in known.telemetry.pipelines.values())
            self._windows[known.name] = windows
            self._totals.add(windows)

    def _judge_due(self, now_s: float) -> bool:
        due = [name for name, line in self._lines.items() if line.due_s <= now_s]
        for name in due:
            self._lines[name] = self._judged(self._known[name], now_s)
        return bool(due)

    def _compare(self, now_s: float) -> bool:
        """Judge those anew who are slow by what is usual now, or are not any more."""
        others = [
            line.name
            for line in self._lines.values()
            if line.is_slower != any(slowness(line.board, r, self._peers) for r in line.pipelines)
        ]
        for name in others:
            self._lines[name] = self._judged(self._known[name], now_s)
        return bool(others)

    def _judged(self, known: Known, now_s: float) -> Line:
        return line_of(device_of(known), known.heard_s, known.lost, self._peers, now_s)

    def _show(self, now_s: float) -> None:
        lines = tuple(sorted(self._lines.values(), key=lambda line: (-line.weight, line.name)))
        self.sight = Sight(
            self.sight.version + 1,
            lines,
            dict(self._lines),
            dict(self._known),
            summary_of(lines, self._totals),
            self.sight.trend,
            now_s,
            None,
        )


def device_of(known: Known) -> Device:
    """As `fleet.concerns` judges it."""
    record = known.telemetry
    return Device(
        name=known.name,
        presence=known.presence,
        online_s=known.online_since_s,
        state=known.state,
        records=[] if record is None else [record],
        windows={} if record is None else dict(sorted(record.pipelines.items())),
        reached_s=known.reached_s,
        clock_off_s=known.clock_off_s,
    )
