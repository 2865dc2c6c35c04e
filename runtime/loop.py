"""The frame loop: read, prepare, infer, decode, emit. One thread, one frame at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic_ns

from models.manifest import Manifest
from runtime.cameras import Camera
from runtime.engines import Engine
from runtime.frames import Aim, Frame
from runtime.prepare import Prepare
from runtime.tasks import Decode, Found
from runtime.timing import Timing

Clock = Callable[[], int]


@dataclass(frozen=True)
class Model:
    """A model that is loaded, warmed up and ready for its first frame.

    guesses: what was inferred, one line each, where the model came without a manifest.
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


@dataclass(frozen=True)
class Result:
    """What the model `digest` found in frame `seq`, and when the frame passed each gate."""

    seq: int
    digest: str
    found: Found
    timing: Timing


def look_away(frame: Frame) -> None:
    """The glance of a loop that nobody watches."""


class Loop:
    """Carries frames from the camera through the model to `emit`.

    emit: called with every result, on the loop's thread.
    glance: called with every frame while it is on loan, for those who watch.
    retired: models that were swapped out. Closed by whoever loads: freeing memory must not cost a
    frame.
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

    def step(self, timeout: float) -> bool:
        """Carry one frame from sensor to result. False if no frame came within `timeout` s.

        Raises Ended when a recording has no more frames.
        """
        if not self._offers.empty():
            self._take_offer()
        frame = self._camera.read(timeout)
        if frame is None:
            return False
        model, clock = self.model, self._clock
        with frame:
            read_ns = clock()
            view = model.prepare(frame, model.engine.input())
            self._glance(frame)
            seq, captured_ns = frame.seq, frame.captured_ns
        prepared_ns = clock()
        outputs = model.engine.run()
        inferred_ns = clock()
        found = model.decode(outputs, view)
        timing = Timing(captured_ns, read_ns, prepared_ns, inferred_ns, clock())
        self._emit(Result(seq, model.digest, found, timing))
        return True

    def _take_offer(self) -> None:
        try:
            offered = self._offers.get_nowait()
        except Empty:
            return
        self.retired.put(self.model)
        self.model = offered
        self._camera.aim = offered.aim
