"""What the agent may ask of a running pipeline: a snapshot, a bench. Each is answered once."""

from __future__ import annotations

from collections.abc import Callable

from runtime.agent_line import ANSWER_S, AgentLine
from runtime.benching import LEAST_FRAMES, MOST_FRAMES, Bench
from runtime.cameras import Camera
from runtime.frames import Frame
from runtime.loop import Model, Result
from runtime.snapshot import Snapshot
from wire.local import RunBench, TakeSnapshot
from wire.messages import LARGEST_SNAPSHOT

NOTHING_RUNS = "no model runs here: deploy one, or wait until it is loaded"


class Errands:
    """At most one snapshot and one bench under way. All on the loop's thread."""

    def __init__(self, line: AgentLine, camera: Camera, model: Callable[[], Model]) -> None:
        self._line = line
        self._camera = camera
        self._model = model
        self._snapshot: Snapshot | None = None
        self._snapshot_id = ""
        self._bench: Bench | None = None
        self._bench_id = ""

    def glance(self, frame: Frame) -> None:
        """Call with every frame while it is on loan."""
        if self._snapshot is not None:
            self._snapshot.glance(frame)

    def show(self, result: Result) -> None:
        """Call with every result."""
        if self._snapshot is not None:
            self._snapshot.show(result)
        if self._bench is not None:
            self._bench.show(result)

    def take_snapshot(self, wish: TakeSnapshot, now_s: float) -> None:
        why = None if self._model().digest else NOTHING_RUNS
        if self._snapshot is not None:
            why = "another snapshot is being taken: ask again"
        if why is not None:
            self._line.decline(wish.id, why, now_s + ANSWER_S)
            return
        most_bytes = min(wish.most_bytes, LARGEST_SNAPSHOT)
        self._snapshot = Snapshot(self._camera.layout, most_bytes, now_s)
        self._snapshot_id = wish.id

    def run_bench(self, wish: RunBench, now_s: float) -> None:
        if self._bench is not None:
            why = "another bench is running: ask again when it is done"
        elif not LEAST_FRAMES <= wish.frames <= MOST_FRAMES:
            why = f"a bench takes {LEAST_FRAMES} to {MOST_FRAMES} frames, not {wish.frames}"
        elif not self._model().digest:
            why = NOTHING_RUNS
        elif self._camera.absent is not None:
            why = f"there is nothing to measure: {self._camera.absent}"
        else:
            self._bench = Bench(wish.frames, self._model(), self._camera.losses, now_s)
            self._bench_id = wish.id
            return
        self._line.decline(wish.id, why, now_s + ANSWER_S)

    def tick(self, now_s: float) -> None:
        """Answer what is done."""
        shot = self._snapshot.shot(now_s) if self._snapshot else None
        if shot is not None:
            self._snapshot = None
            if shot.jpeg is not None:
                self._line.answer(self._snapshot_id, shot.jpeg, shot.text, now_s + ANSWER_S)
            else:
                absent = self._camera.absent
                why = f"{shot.text}: {absent}" if absent else shot.text
                self._line.decline(self._snapshot_id, why, now_s + ANSWER_S)
        outcome = self._bench.outcome(now_s) if self._bench else None
        if outcome is not None:
            self._bench = None
            if outcome.json is not None:
                self._line.answer(self._bench_id, outcome.json, outcome.text, now_s + ANSWER_S)
            else:
                self._line.decline(self._bench_id, outcome.text, now_s + ANSWER_S)

    def close(self, now_s: float) -> None:
        """Give up what is under way, and say so. May be called twice."""
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None
            self._line.decline(self._snapshot_id, "the pipeline ends", now_s)
        if self._bench is not None:
            self._bench = None
            self._line.decline(self._bench_id, "the pipeline ends", now_s)
