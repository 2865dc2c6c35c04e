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
    are the class; of `boxes` any number, in pixels of the frame; None where nobody knows.
    """

    name: str
    frame: Frame
    truth: tuple[Box, ...] | None


class Samples(Protocol):
    """A finite set, always in the same order, that can be gone through any number of times.

    digest: sha256 (hex) of all that is in it. labels: the classes, in the order of their index.
    """

    name: str
    truth: Truth
    labels: tuple[str, ...]
    digest: str

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Sample]: ...
