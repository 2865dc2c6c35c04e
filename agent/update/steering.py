"""Lets the process of a pipeline run what the store says is active; each process is told once."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass

from agent.update.deeds import Deeds
from models.pipelines import PipelineState
from wire.local import Answer, LoadModel, Totals

LOAD_S = 660.0  # the runtime gives up after 600 s, and says so
AGAIN_S = 2.0  # after a runtime that had no time for us

log = logging.getLogger("vedette.agent")


@dataclass
class _Load:
    id: str
    digest: str | None
    left_s: float = LOAD_S


@dataclass(frozen=True)
class NotLoaded:
    """A model that the process could not load, and why. digest: None: the configured one."""

    digest: str | None
    why: str


class Steering:
    """What was asked of the process, and what came of it."""

    def __init__(self, deeds: Deeds) -> None:
        self._deeds = deeds
        self._load: _Load | None = None
        self._told: tuple[str, str | None] | None = None  # to which run, and what it is to load
        self._asked: set[str | None] = set()  # what processes were ever asked to load
        self._is_owed = False  # it is to be told again
        self._again_s = 0.0

    @property
    def is_loading(self) -> bool:
        return self._load is not None

    def has_told(self, run: str, digest: str) -> bool:
        """Whether this process was asked to load the model, and did not find it in the store."""
        return self._told == (run, digest)

    def is_right(self, latest: Totals, state: PipelineState) -> bool:
        """Whether the process runs what it should. Where nothing is active, that is anything but
        what was deployed."""
        if state.active is not None:
            return latest.digest == state.active
        return latest.digest not in self._asked and state.rejection(latest.digest) is None

    def began_anew(self) -> None:
        """Who was asked is gone."""
        self._load = None

    def try_again(self, wait_s: float) -> None:
        """Tell the process once more what to run, also if it could not load that before."""
        self._is_owed, self._again_s = True, wait_s

    def steer(self, latest: Totals | None, state: PipelineState) -> None:
        """Ask the process to load what is active, if it runs anything else."""
        wanted = state.active
        if self._load is not None or self._again_s > 0 or latest is None or latest.phase == "ended":
            return
        key = (latest.run, wanted)
        if self.is_right(latest, state) or (key == self._told and not self._is_owed):
            return
        load = _Load(secrets.token_hex(8), wanted)
        if self._deeds.tell(LoadModel(load.id, wanted)):
            self._load, self._told, self._is_owed = load, key, False
            self._asked.add(wanted)

    def answered(self, answer: Answer) -> NotLoaded | None:
        """What an answer says of a model, if that is bad."""
        load = self._load
        if load is None or load.id != answer.id:
            return None
        self._load = None
        if answer.later:
            self.try_again(AGAIN_S)
            return None
        level = logging.INFO if answer.ok else logging.WARNING
        model = "its own model" if load.digest is None else f"model {load.digest[:12]}"
        log.log(level, "%s: %s: %s", self._deeds.pipeline, model, answer.text)
        return None if answer.ok else NotLoaded(load.digest, answer.text)

    def tick(self, turn_s: float) -> NotLoaded | None:
        """turn_s: since the tick before."""
        self._again_s -= turn_s
        if self._load is None:
            return None
        self._load.left_s -= turn_s
        if self._load.left_s > 0:
            return None
        digest, self._load = self._load.digest, None
        return NotLoaded(digest, f"no answer came within {LOAD_S:.0f} s")
