"""What operators changed by the command `set`: it lies over the configuration, also after reboots.

Only what was set is kept; everything else follows vedette.toml. A pipeline that is no longer
configured takes its settings with it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from agent.kept_file import Damage, keep, read_kept
from wire.config import Config
from wire.messages import LogLevel, PipelineSettings, ResultMode
from wire.orders import Set, Setting, pipeline_of
from wire.troubles import Refused, Unavailable

STATE_FILE = "settings.json"
OF_DEVICE: tuple[Setting, ...] = ("telemetry_period_s", "log_level")
OF_PIPELINE: tuple[Setting, ...] = ("results", "results_per_s", "min_score")


class PipelineChanges(Struct, frozen=True, omit_defaults=True):
    """What was set for one pipeline. None: as configured."""

    results: ResultMode | None = None
    results_per_s: Annotated[float, Meta(ge=0.01, le=30)] | None = None
    min_score: Annotated[float, Meta(ge=0, le=1)] | None = None


class Changes(Struct, frozen=True, omit_defaults=True):
    """All that was set. None: as configured."""

    telemetry_period_s: Annotated[float, Meta(ge=10, le=3600)] | None = None
    log_level: LogLevel | None = None
    pipelines: dict[str, PipelineChanges] = {}


class Settings:
    """The configuration with what was set over it. damage: why nothing is set any more, or None."""

    def __init__(self, state_folder: Path, config: Config) -> None:
        self._path = state_folder / STATE_FILE
        self._config = config
        self._changes = Changes()
        self.damage: str | None = None
        kept = read_kept(self._path, Changes)
        if isinstance(kept, Damage):
            self.damage = f"{kept.text}: all settings are as configured again"
        elif kept is not None:
            pipelines = {n: each for n, each in kept.pipelines.items() if n in config.pipeline}
            self._changes = replace(kept, pipelines=pipelines)
        if kept is not None and kept != self._changes:
            with contextlib.suppress(Unavailable):  # the next start finds the same
                keep(self._path, self._changes)

    @property
    def telemetry_period_s(self) -> float:
        return self._changes.telemetry_period_s or self._config.telemetry.period_s

    @property
    def log_level(self) -> LogLevel:
        return self._changes.log_level or self._config.log_level

    def pipeline(self, name: str) -> PipelineSettings:
        """The settings of a configured pipeline."""
        configured = self._config.pipeline[name]
        changes = self._changes.pipelines.get(name, PipelineChanges())
        score = changes.min_score
        return PipelineSettings(
            results=changes.results or configured.results,
            results_per_s=changes.results_per_s or configured.results_per_s,
            min_score=configured.min_score if score is None else score,
        )

    def apply(self, order: Set) -> str:
        """Change and keep settings. What is in force now, in a sentence.

        Raises Refused, or Unavailable if it cannot be kept; then nothing has changed.
        """
        values: dict[Setting, str | float | None] = {
            name: value
            for name in (*OF_PIPELINE, *OF_DEVICE)
            if (value := getattr(order, name)) is not None
        }
        if both := [name for name in order.reset if name in values]:
            raise Refused(f"{both[0]}: set it or reset it, not both")
        if not values and not order.reset:
            raise Refused("say what to set")
        values.update(dict.fromkeys(order.reset))
        name = None
        if order.pipeline is not None or any(each in OF_PIPELINE for each in values):
            name = pipeline_of(order, self._config.pipeline)
        changes = self._changed(values, name)
        keep(self._path, changes)
        self._changes = changes
        return self._in_words(values, name)

    def _changed(self, values: dict[Setting, str | float | None], name: str | None) -> Changes:
        own = {each: values[each] for each in OF_DEVICE if each in values}
        changes = replace(self._changes, **own)
        if name is None:
            return changes
        before = changes.pipelines.get(name, PipelineChanges())
        after = replace(before, **{each: values[each] for each in OF_PIPELINE if each in values})
        pipelines = {**changes.pipelines, name: after}
        if after == PipelineChanges():
            del pipelines[name]
        return replace(changes, pipelines=pipelines)

    def _in_words(self, values: dict[Setting, str | float | None], name: str | None) -> str:
        words = []
        for each, value in values.items():
            if each in OF_PIPELINE and name is not None:
                now: object = getattr(self.pipeline(name), each)
                subject = f"{each} of {name}"
            else:
                now, subject = getattr(self, each), each
            number = f"{now:g}" if isinstance(now, float) else now
            shown = "as the model has it" if now is None else number
            words.append(f"{subject} is now {shown}{' (as configured)' if value is None else ''}")
        return ", ".join(words)
