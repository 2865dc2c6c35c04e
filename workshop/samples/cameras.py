"""Cameras as samples: the synthetic one, which knows its truth, and frames caught of any other."""

from __future__ import annotations

import hashlib
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from runtime.cameras import Truthful, open_camera
from runtime.cameras.synthetic import parse
from runtime.frames import Frame, Layout
from runtime.tasks import Box
from wire.masking import masked
from wire.troubles import Refused, Unavailable
from workshop.samples import Sample, Truth

FRAMES = 300  # where nobody says how many
WAIT_S = 20.0  # for one frame of a live camera
DIGITS = tuple("0123456789")


class SceneSamples:
    """The first frames of a synthetic camera: the same for the same URI, so they are drawn anew."""

    left_out = ()

    def __init__(self, uri: str, labels: Sequence[str], count: int) -> None:
        given = tuple(labels) or DIGITS
        known = set(DIGITS) <= set(given)
        self.name = uri
        self.truth: Truth = "boxes" if known else "none"
        self.labels = given if known else ()
        self._place = {label: given.index(label) for label in DIGITS} if known else {}
        self._uri = _as_fast_as_read(uri)
        self._count = count

    @cached_property
    def digest(self) -> str:
        """Draws all frames, once."""
        whole = hashlib.sha256(msgspec.json.encode(self.labels))
        for sample in self:
            whole.update(msgspec.json.encode((sample.name, sample.truth)))
            whole.update(np.ascontiguousarray(sample.frame.pixels).tobytes())
        return whole.hexdigest()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Sample]:
        with open_camera(self._uri) as camera:
            assert isinstance(camera, Truthful)
            for _ in range(self._count):
                frame = camera.read(WAIT_S)
                assert frame is not None
                with frame:
                    yield Sample(f"frame {frame.seq}", frame, self._boxes(camera.truth(frame.seq)))

    def _boxes(self, truth: tuple[Box, ...]) -> tuple[Box, ...] | None:
        if self.truth == "none":
            return None
        return tuple(
            Box(self._place[b.label], b.label, b.score, b.x, b.y, b.width, b.height) for b in truth
        )


class CaughtSamples:
    """Frames of a live camera, kept in a file that nobody else sees and that goes with this."""

    truth: Truth = "none"
    labels = ()
    left_out = ()

    def __init__(self, uri: str, count: int) -> None:
        self.name = masked(uri)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed with this
        weakref.finalize(self, self._file.close)
        self._layouts: list[Layout] = []
        whole = hashlib.sha256()
        with open_camera(uri) as camera:
            while len(self._layouts) < count:
                frame = camera.read(WAIT_S)
                if frame is None:
                    why = camera.absent or f"no frame came within {WAIT_S:g} s"
                    raise Unavailable(f"{self.name}: {why}")
                with frame:
                    memory: Any = frame.memory
                    content = bytes(memoryview(memory)[: frame.layout.nbytes])
                    del memory
                    self._layouts.append(frame.layout)
                whole.update(repr(self._layouts[-1]).encode() + content)
                self._file.write(content)
        self.digest = whole.hexdigest()

    def __len__(self) -> int:
        return len(self._layouts)

    def __iter__(self) -> Iterator[Sample]:
        self._file.seek(0)
        for number, layout in enumerate(self._layouts):
            memory = bytearray(self._file.read(layout.nbytes))
            with Frame(number, 0, layout, memory, _nothing) as frame:
                yield Sample(f"frame {number}", frame, None)


def _as_fast_as_read(uri: str) -> str:
    """The URI without frames per second: no frame is skipped then. Raises Refused."""
    wish = parse(uri)
    if wish.fps is None:
        return uri
    place, mark, options = uri.partition("?")
    return place.partition("@")[0] + mark + options


def count_of(limit: int | None) -> int:
    """How many frames to take of what has no end. Raises Refused."""
    if limit is not None and limit < 1:
        raise Refused(f"a limit of {limit} leaves nothing: ask for one at least")
    return FRAMES if limit is None else limit


def _nothing() -> None:
    """The memory goes with the frame."""
