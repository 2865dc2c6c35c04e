"""A runtime process as the agent sees one: answers what it is asked and counts frames, on command.

Totals go straight into the agent's inbox and wishes come through the real socket, so that a test
decides when anything happens.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import msgspec

from models.store import Store
from tests.rig import Rig, stages
from wire.histogram import merge
from wire.local import (
    Answer,
    CheckModel,
    CheckReport,
    FromAgent,
    LoadModel,
    LoadReport,
    Totals,
)
from wire.messages import Losses, PipelineSettings, Scores, StageCounts

NOTHING = stages(0)


class PretendRuntime:
    """Pipeline `lane`. digest: of the model that runs. asked: all wishes so far.

    bad: digests that do not pass their check, and why. broken: digests that do not load, and why.
    inference_us, fps, score: of the model that runs.
    """

    def __init__(self, rig: Rig, digest: str = "c" * 64) -> None:
        self.rig = rig
        self.store = Store(rig.folders.state / "models")
        self.asked: list[FromAgent] = []
        self.bad: dict[str, str] = {}
        self.broken: dict[str, str] = {}
        self.absent: str | None = None
        self.unloaded: str | None = None
        self.formats: tuple[str, ...] = ("tflite",)
        self.inference_us = 4000.0
        self.fps = 30.0
        self.score = 0.9
        self.is_deaf = False
        self._begin(digest)

    def _begin(self, digest: str) -> None:
        self.run = secrets.token_hex(8)
        self.digest = digest
        self._seconds = 0.0
        self._frames = 0
        self._scores = Scores()
        self._stages: StageCounts = NOTHING

    def restart(self) -> None:
        """Die, and start as a runtime does: what is active, `good` after three starts."""
        state = self.store.pipeline("lane")
        self.unloaded = None
        digest = state.active or "c" * 64
        if state.active is not None and state.active != state.good:
            starts = self.store.count_start("lane")
            if starts >= 3 or state.active in self.broken:
                why = self.broken.get(state.active, f"it was started {starts} times")
                self.unloaded = f"model {state.active[:12]} is not run: {why}"
                digest = state.good or ""
        self._begin(digest)

    def live(self, seconds: float) -> None:
        """Let time pass: frames are counted every second, and said every ten."""
        for second in range(int(seconds)):
            self.rig.clock.up_s += 1.0
            self._count(1.0)
            if second % 10 == 0:
                self.say()
            self.turn()

    def say(self) -> None:
        """Send totals."""
        self.rig.inbox.post(self.totals())
        self.rig.agent.step(0.0)

    def turn(self) -> None:
        """Answer what was asked, and let the agent do what is due."""
        while not self.is_deaf and (message := self.rig.runtime.receive()) is not None:
            self._obey(message)
        for _ in range(10):
            self.rig.agent.step(0.0)

    def until(self, holds: Callable[[], object], patience_s: float = 20.0) -> None:
        """Live, in real time, until something holds."""

        def turned() -> bool:
            self.turn()
            return bool(holds())

        self.rig.until(turned, patience_s)

    def totals(self) -> Totals:
        is_there = bool(self.digest)
        phase = "serving" if is_there else "no_model"
        return Totals(
            pipeline="lane",
            run=self.run,
            seconds=self._seconds,
            phase="no_camera" if self.absent else phase,  # type: ignore[arg-type]
            absent=self.absent,
            model="digits" if is_there else "",
            version="1" if is_there else "",
            digest=self.digest,
            engine="litert" if is_there else "",
            camera="synthetic://64x48@30",
            frames=self._frames,
            losses=Losses(),
            stages=self._stages,
            unsent=0,
            rss_bytes=50_000_000,
            settings=PipelineSettings(),
            unloaded=self.unloaded,
            scores=self._scores,
            formats=self.formats,
        )

    def _count(self, seconds: float) -> None:
        self._seconds += seconds
        if self.absent is not None or not self.digest:
            return
        frames = int(self.fps * seconds)
        new = stages(frames, self.inference_us)
        self._frames += frames
        self._stages = StageCounts(
            *(
                merge((getattr(self._stages, name), getattr(new, name)))
                for name in StageCounts.__struct_fields__
            )
        )
        scores = self._scores
        self._scores = Scores(scores.frames + frames, scores.sum + frames * self.score, 0)

    def _obey(self, message: FromAgent) -> None:
        self.asked.append(message)
        if isinstance(message, CheckModel):
            why = self.bad.get(message.digest)
            report = CheckReport("digits", "2", "litert", 2, 1.0, 4000.0, 60.0)
            content = None if why else msgspec.json.encode(report)
            self._answer(Answer("lane", message.id, not why, why or "it passed", content))
        elif isinstance(message, LoadModel):
            self._load(message)

    def _load(self, message: LoadModel) -> None:
        wanted = message.digest
        state = self.store.pipeline("lane")
        if wanted is not None and wanted == state.active != state.good:
            self.store.count_start("lane")
        why = self.broken.get(wanted or "")
        if why is None:
            self.say()
            self.digest = wanted or "c" * 64
            content = msgspec.json.encode(LoadReport(self.digest, 0.1))
            self._answer(Answer("lane", message.id, True, "it runs", content))
            self._count(1.0)
            self.say()
        else:
            self._answer(Answer("lane", message.id, False, why))

    def _answer(self, answer: Answer) -> None:
        self.rig.inbox.post(answer)
        for _ in range(3):
            self.rig.agent.step(0.0)
