"""Who is slow: by what is usual where the same model runs on the same kind of board."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import median
from typing import TYPE_CHECKING

from fleet.concerns import SLOWED, Concern
from fleet.wording import duration, printable

if TYPE_CHECKING:
    from fleet.live.line import Line, Runs

LEAST_PEERS = 5
TIMES = 2.0  # as long as is usual
LEAST_US = 2000.0  # more than is usual

Peers = dict[tuple[str, str, str], float]  # board, model, version: the usual p95 in us


def usual(lines: Iterable[Line]) -> Peers:
    """The median p95 of those who run the same, where there are enough to say what is usual."""
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for line in lines:
        for runs in line.pipelines:
            if runs.p95_us is not None:
                found[_key(line.board, runs)].append(runs.p95_us)
    return {key: median(many) for key, many in found.items() if len(many) >= LEAST_PEERS}


def slowness(board: str, runs: Runs, peers: Peers) -> Concern | None:
    """Whether a pipeline takes far longer than the same on other boards of its kind."""
    normal_us = peers.get(_key(board, runs))
    if normal_us is None or runs.p95_us is None:
        return None
    if runs.p95_us < TIMES * normal_us or runs.p95_us < normal_us + LEAST_US:
        return None
    words = f"{runs.pipeline} takes {duration(runs.p95_us)} (p95), usual is {duration(normal_us)}"
    return Concern(SLOWED, printable(words, 200), "slow")


def _key(board: str, runs: Runs) -> tuple[str, str, str]:
    return (board, runs.model, runs.version or "")
