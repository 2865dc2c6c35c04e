"""A pipeline whose frames and moments a test chooses: camera, model and clock by hand."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from models.manifest import Input, Manifest
from runtime.engines import Tensor, TensorSpec
from runtime.engines.null import NullEngine
from runtime.frames import Aim, Frame, Layout, Losses, Pixels, packed
from runtime.loop import Model, Result
from runtime.tasks import Class, Found, View
from runtime.timing import Timing
from wire.troubles import Trouble

VGA = packed("BGR3", 640, 480)
ZERO: Found = (Class(0, "zero", 1.0),)


@dataclass
class HandClock:
    """Seconds that pass when the test says so, or when somebody sleeps."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def ns(self) -> int:
        return round(self.now_s * 1e9)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@dataclass
class HandCamera:
    """Gives what lies in `frames`, and waits on the clock when that is nothing.

    trouble: is raised by start(); broken: by the next read().
    """

    clock: HandClock
    layout: Layout = VGA
    losses: Losses = field(default_factory=Losses)
    absent: str | None = None
    aim: Aim | None = None
    trouble: Trouble | None = None
    broken: Exception | None = None
    frames: deque[Pixels] = field(default_factory=deque)
    given: int = 0
    starts: int = 0
    stops: int = 0
    is_running: bool = False

    def start(self) -> None:
        self.starts += 1
        if self.trouble is not None:
            raise self.trouble
        self.is_running = True

    def read(self, timeout: float) -> Frame | None:
        assert self.is_running
        if self.broken is not None:
            broken, self.broken = self.broken, None
            raise broken
        if not self.frames:
            self.clock.sleep(timeout)
            return None
        self.given += 1
        pixels = self.frames.popleft()
        return Frame(self.given - 1, self.clock.ns(), self.layout, pixels, lambda: None)

    def stop(self) -> None:
        self.stops += 1
        self.is_running = False


def grey(layout: Layout = VGA, value: int = 128) -> Pixels:
    """The memory of one frame."""
    return np.full(layout.nbytes, value, np.uint8)


def noise(layout: Layout = VGA) -> Pixels:
    """A frame that no JPEG makes small."""
    return np.random.default_rng(0).integers(0, 256, layout.nbytes, np.uint8)


def model_of(found: Found = ZERO, digest: str = "ab" * 32) -> Model:
    """A model that computes nothing and always finds the same."""
    spec = TensorSpec("in", (1, 8, 8, 3), "uint8")
    manifest = Manifest(
        1, "tiny", "3", "raw", "tflite", "m.tflite", Input(8, 8, "rgb", "NHWC", "uint8")
    )
    view = View(640, 480, 0, 0, 1, 1)

    def prepare(frame: Frame, out: Tensor) -> View:
        return view

    def decode(outputs: tuple[Tensor, ...], given: View) -> Found:
        return found

    engine = NullEngine(spec, (TensorSpec("out", (1, 4), "float32"),))
    return Model(manifest, digest, (), (), engine, "null", prepare, decode, Aim(8, 8, False))


def result_at(ends_ns: int, found: Found = (), seq: int = 0, digest: str = "ab" * 32) -> Result:
    """A result whose stages took 1, 2, 3 and 4 ms, decoded at this moment."""
    stamps = (ends_ns - 10_000_000, ends_ns - 9_000_000, ends_ns - 7_000_000, ends_ns - 4_000_000)
    return Result(seq, digest, found, Timing(*stamps, ends_ns))
