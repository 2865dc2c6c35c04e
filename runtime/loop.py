"""The frame loop: read, prepare, infer, decode, emit. One thread, one frame at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic_ns

from models.manifest import Input, Manifest
from runtime.cameras import Camera
from runtime.engines import Engine, Tensor, TensorSpec
from runtime.frames import Aim, Frame
from runtime.prepare import Prepare
from runtime.tasks import Box, Decode, Found, View
from runtime.timing import Timing

Clock = Callable[[], int]

LISTEN_S = 0.05  # how long a step without a model lasts: the agent is heard between two


@dataclass(frozen=True)
class Model:
    """A model that is loaded, warmed up and ready for its first frame.

    guesses: what was inferred, one line each, where the model came without a manifest. anchors: of
    the manifest's anchors_file, for who makes a decoder of other thresholds.
    """

    manifest: Manifest
    digest: str
    labels: tuple[str, ...]
    guesses: tuple[str, ...]
    engine: Engine
    engine_kind: str
    prepare: Prepare
    decode: Decode
    aim: Aim
    anchors: Tensor | None = None


@dataclass(frozen=True)
class Result:
    """What the model `digest` found in frame `seq`, and when the frame passed each gate.

    of: the box of another pipeline at which it looked; None: at the whole frame.
    """

    seq: int
    digest: str
    found: Found
    timing: Timing
    of: Box | None = field(default=None, kw_only=True)


class _NoEngine:
    """Stands where no model is. Nothing runs it."""

    takes = TensorSpec("", (), "uint8")
    gives: tuple[TensorSpec, ...] = ()

    def input(self) -> Tensor:
        raise AssertionError("there is no model to give a picture to")

    def run(self) -> tuple[Tensor, ...]:
        raise AssertionError("there is no model to run")

    def close(self) -> None:
        return


def _no_model() -> Model:
    """A model without name, version and digest: that it is none is seen by the empty digest."""
    nothing = Manifest(1, "", "", "raw", "tflite", "", Input(1, 1, "rgb", "NHWC", "uint8"))

    def prepare(frame: Frame, out: Tensor) -> View:
        raise AssertionError("there is no model to prepare a frame for")

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        raise AssertionError("there is no model whose outputs could be decoded")

    return Model(nothing, "", (), (), _NoEngine(), "", prepare, decode, Aim(1, 1, False))


NO_MODEL = _no_model()  # the loop waits for one; its camera is off
HELD = _no_model()  # one was given up to make room for the next; frames pass by, and are counted


def look_away(frame: Frame) -> None:
    """The glance of a loop that nobody watches."""


class Loop:
    """Carries frames from the camera through the model to `emit`.

    emit: called with every result, on the loop's thread.
    glance: called with every frame while it is on loan, for those who watch.
    retired: models that were swapped out. Closed by whoever loads: freeing memory must not cost a
    frame.

    With NO_MODEL it starts and stops the camera itself: begin with it before the camera is started.
    """

    def __init__(
        self,
        camera: Camera,
        model: Model,
        emit: Callable[[Result], None],
        glance: Callable[[Frame], None] = look_away,
        clock: Clock = monotonic_ns,
    ) -> None:
        self.model = model
        self.retired: SimpleQueue[Model] = SimpleQueue()
        self._camera = camera
        self._offers: SimpleQueue[Model] = SimpleQueue()
        self._emit = emit
        self._glance = glance
        self._clock = clock

    def swap(self, model: Model) -> None:
        """Offer a ready model. It takes over before the next frame. Any thread may call."""
        self._offers.put(model)

    def withdraw(self) -> Model | None:
        """Take back an offer that was not taken; None if there is none. Any thread may call."""
        try:
            return self._offers.get_nowait()
        except Empty:
            return None

    def step(self, timeout: float) -> bool:
        """Carry one frame from sensor to result. False if no frame came within `timeout` s.

        Raises Ended when a recording has no more frames.
        """
        if not self._offers.empty() and (offered := self.withdraw()) is not None:
            self._adopt(offered)
        model, clock = self.model, self._clock
        if not model.digest:
            self._go_without(min(timeout, LISTEN_S))
            return False
        frame = self._camera.read(timeout)
        if frame is None:
            return False
        with frame:
            read_ns = clock()
            view = model.prepare(frame, model.engine.input())
            self._glance(frame)
            seq, captured_ns, part = frame.seq, frame.captured_ns, frame.part
        prepared_ns = clock()
        outputs = model.engine.run()
        inferred_ns = clock()
        found = model.decode(outputs, view)
        timing = Timing(captured_ns, read_ns, prepared_ns, inferred_ns, clock())
        of = None if part is None else part.box
        self._emit(Result(seq, model.digest, found, timing, of=of))
        return True

    def _adopt(self, offered: Model) -> None:
        before, self.model = self.model, offered
        if before.digest:
            self.retired.put(before)
        if offered.digest:
            self._camera.aim = offered.aim
        if before is not NO_MODEL and offered is NO_MODEL:
            self._camera.stop()
        elif before is NO_MODEL and offered is not NO_MODEL:
            self._camera.start()

    def _go_without(self, timeout: float) -> None:
        if self.model is NO_MODEL:
            with contextlib.suppress(Empty):
                self._adopt(self._offers.get(timeout=timeout))
            return
        frame = self._camera.read(timeout)
        if frame is not None:
            with frame:
                self._camera.losses.skipped += 1
