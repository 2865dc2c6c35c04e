"""Samples: pictures, rows and scenes with their truth, as frames that the runtime prepares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from runtime.frames import Frame
from runtime.tasks import Box

Truth = Literal["classes", "boxes", "none"]


@dataclass(frozen=True)
class Sample:
    """One picture or row. frame: on loan until the next sample is asked for.

    truth: what is to be found: of kind `classes` one box around all of it, whose index and label
    are the class; of `boxes` any number, in pixels of the frame; None where nobody knows. Where a
    sample of `boxes` has exactly one, a classifier can be judged by it as well.
    """

    name: str
    frame: Frame
    truth: tuple[Box, ...] | None


class Samples(Protocol):
    """A finite set, always in the same order, that can be gone through any number of times; by one
    at a time. Made by `workshop.samples.opening.open_samples`."""

    @property
    def name(self) -> str:
        """What it was called by."""

    @property
    def truth(self) -> Truth:
        """What is known of every sample."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of their index; none where there is no truth."""

    @property
    def digest(self) -> str:
        """sha256 (hex) of all that is in it, truth included."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """What could not be used, and why, a line each; known after it was gone through once."""

    def __len__(self) -> int:
        """How many there are, less what turned out to be unusable."""

    def __iter__(self) -> Iterator[Sample]: ...
