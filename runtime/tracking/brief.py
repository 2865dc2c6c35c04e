"""What was observed of one result, in the few words that a terminal has room for."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.tracking.observer import Observed


@dataclass(frozen=True)
class Brief:
    """numbers: the track of each thing that was found, where it has one. places: `door 2`, what is
    in a zone now, and `gate in 3, out 1`, what crossed a line since the process began."""

    numbers: tuple[int | None, ...] = ()
    places: tuple[str, ...] = ()


NOTHING = Brief()


def brief_of(result: object) -> Brief:
    """NOTHING where no filter, track, zone or line was asked for."""
    if not isinstance(result, Observed):
        return NOTHING
    wanted = result.wanted
    zones = [f"{name} {result.zones[name].count}" for name in wanted.zone]
    lines = [
        f"{name} " + ", ".join(f"{word} {result.lines[name][word]}" for word in line.directions)
        for name, line in wanted.line.items()
    ]
    return Brief(tuple(mark.track for mark in result.marks), (*zones, *lines))
