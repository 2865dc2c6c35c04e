"""What a person is shown of a running pipeline, on the preview page and in the table."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from runtime.frames import Losses

STAGES = ("queue", "preprocess", "inference", "postprocess", "end_to_end")


@dataclass(frozen=True)
class Spread:
    """How long one stage took, in microseconds: the median, and what 95 % and 99 % stay under."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Stages:
    """The five stages of a frame. end_to_end runs from the sensor's stamp to the decoded answer."""

    queue: Spread
    preprocess: Spread
    inference: Spread
    postprocess: Spread
    end_to_end: Spread


@dataclass(frozen=True)
class Panel:
    """A pipeline at one moment. What is not known yet is None.

    model, version, digest: from the manifest; digest is 64 hex digits, or "" for a bare file
    camera: its URI. absent: why no frames can come now, or None
    fps: results per second, lately. frames: results so far. losses: a copy of the camera's counters
    accuracy: 0 to 1, where the camera knows the truth. seconds: since the first frame was asked for
    """

    model: str
    version: str
    digest: str
    engine: str
    camera: str
    absent: str | None
    fps: float | None
    stages: Stages | None
    frames: int
    losses: Losses
    accuracy: float | None = None
    seconds: float = 0.0


def printable(text: str, most: int = 64) -> str:
    """One line of at most `most` characters that can neither crash nor command what shows it.

    Labels and reasons come from files and drivers: control, formatting and surrogate characters
    become blanks.
    """
    kept = (c if unicodedata.category(c)[0] != "C" else " " for c in text[: 4 * most])
    line = " ".join("".join(kept).split())
    return line if len(line) <= most else line[: most - 3] + "..."
