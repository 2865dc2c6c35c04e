"""Devices that only say what a test wants them to: retained, as a real agent would."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType

from msgspec.structs import replace

from tests import warm
from tests.brokers import Listener
from tests.telling import presence, state
from tests.yard import FLEET, PASSPHRASE
from wire import topics
from wire.messages import PipelineState, State, Trusted, Update, UpdatePhase, to_json

PATIENCE_S = 60.0
NOTHING = "0" * 64


class Actor:
    """One device with pipelines. It runs digits 0, which nobody released, until it is told to."""

    def __init__(
        self, speaker: Listener, name: str, pipelines: tuple[str, ...] = ("lane",)
    ) -> None:
        self.name = name
        self._speaker = speaker
        told = state(pipelines=pipelines)
        old = {n: replace(p, version="0", digest=NOTHING) for n, p in told.pipelines.items()}
        self._state = replace(told, pipelines=old, trusted=Trusted(1, 1, 1, 1, 2e9))
        self.comes()
        self._say()

    def comes(self) -> None:
        self._presence(True)

    def goes(self) -> None:
        self._presence(False)

    def is_in(
        self, phase: UpdatePhase, version: str, digest: str, pipeline: str = "lane",
        percent: int | None = None, reason: str | None = None, deployment: int = 1,
    ) -> None:  # fmt: skip
        """It is so far with this version; on trial and good it runs it."""
        update = Update(phase, "digits", version, digest, deployment, 1.8e9, percent, reason)
        now = replace(self._state.pipelines[pipeline], update=update)
        if phase in ("trial", "good"):
            now = replace(now, version=version, digest=digest)
        self._tell(pipeline, now)

    def runs(self, version: str, digest: str, pipeline: str = "lane") -> None:
        """It went back to this one; what it said of its last update stays."""
        now = self._state.pipelines[pipeline]
        self._tell(pipeline, replace(now, version=version, digest=digest))

    def believes(self, deployments: int) -> None:
        """It has taken this version of the deployments metadata."""
        assert self._state.trusted is not None
        self._state = replace(
            self._state, trusted=replace(self._state.trusted, deployments=deployments)
        )
        self._say()

    def _tell(self, pipeline: str, now: PipelineState) -> None:
        self._state = replace(self._state, pipelines={**self._state.pipelines, pipeline: now})
        self._say()

    def _say(self) -> None:
        self._publish(topics.state(FLEET, self.name), self._state)

    def _presence(self, online: bool) -> None:
        self._publish(topics.presence(FLEET, self.name), presence(online))

    def _publish(self, topic: str, message: State | object) -> None:
        self._speaker.publish(topic, to_json(message), retain=True)  # type: ignore[arg-type]


class Command:
    """A `vedette` of the operator that runs while the test goes on."""

    def __init__(self, folder: Path, fleet: Path, *words: str) -> None:
        self._out, self._err = folder / "command.out", folder / "command.err"
        ours = {"VEDETTE_PASSPHRASE": PASSPHRASE, "VEDETTE_FLEET_DIR": str(fleet)}
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self.process = warm.Process(words, stdout=out, stderr=err, env=os.environ | ours)

    def __enter__(self) -> Command:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        assert "Traceback" not in self.err

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def says(self, text: str) -> None:
        """Wait until it does, on stderr."""
        end_s = time.monotonic() + PATIENCE_S
        while text not in self.err:
            assert self.process.poll() is None and time.monotonic() < end_s, self.err
            time.sleep(0.02)

    def ends(self) -> int:
        return self.process.wait(PATIENCE_S)
