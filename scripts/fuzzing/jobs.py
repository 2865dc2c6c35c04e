"""What a child is told to do, and what came of a door in the end."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

SEEDS = 2**31  # different searches

Engine = Literal["atheris", "own"]


class Job(Struct, frozen=True):
    """One stretch at one door. inputs, seconds: whichever is over first. board, crashes: paths.
    table: the module that has the door."""

    door: str
    engine: Engine
    inputs: int
    seconds: float
    seed: int
    board: str
    crashes: str
    table: str


class Found(Struct, frozen=True):
    """One find. file: the input. what: where it came from, in a line."""

    kind: str
    file: str
    what: str


class Report(Struct, frozen=True):
    """What came of one door. taken, refused: of the inputs. edges: reached, where that is known.
    peak_mib: the most memory beyond what the process had when the door was opened."""

    door: str
    engine: Engine
    inputs: int
    taken: int
    refused: int
    seconds: float
    edges: int | None
    peak_mib: float
    found: tuple[Found, ...]

    @property
    def per_s(self) -> float:
        return self.inputs / self.seconds if self.seconds else 0.0
