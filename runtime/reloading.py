"""What a running pipeline makes of a configuration that is read again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from runtime.foresight import impossible
from runtime.locating import resolve
from runtime.reporting import Reporter
from runtime.sharing.configured import demand_for, unprepared
from wire.accepted import Judge, in_force
from wire.complaints import refusal
from wire.config import Config, Pipeline
from wire.folders import Folders
from wire.logs import set_level
from wire.messages import PipelineSettings
from wire.names import Name
from wire.observation import observation_of
from wire.troubles import Refused, Trouble

AT_START = ("camera", "engine", "threads", "accelerators")  # what only a new process can change

log = logging.getLogger("vedette.runtime")


def pipeline_of(folders: Folders, name: Name) -> tuple[Config, Pipeline]:
    """The configuration in force and the pipeline of that name. Raises Refused, Unavailable."""
    force = in_force(folders, judge=judge_of(name, str(folders.config)))
    if force.refused is not None:
        log.warning("%s", force.refused)
    if name not in force.config.pipeline:
        known = ", ".join(sorted(force.config.pipeline)) or "none: add a table [pipeline.NAME]"
        raise Refused(f"{folders.config}: there is no pipeline {name!r}; there are: {known}")
    return force.config, force.config.pipeline[name]


def judge_of(name: Name, where: str) -> Judge:
    """Refuses what this pipeline's own process can never do. Of the others theirs judge."""

    def judge(meant: Config, text: str) -> None:
        for key, what in impossible(meant):
            if key[:2] == ("pipeline", name):
                raise refusal(where, text, key, what)

    return judge


def settings_of(pipeline: Pipeline) -> PipelineSettings:
    """The settings as configured; the agent may know others."""
    return PipelineSettings(pipeline.results, pipeline.results_per_s, pipeline.min_score)


class Reloading:
    """Reads the configuration again when `read_again` is called. On the loop's thread.

    started: what this process was started with. load: takes the path of the configured model, None:
    there is none. expect: called when the fleet may deploy models. Both return at once.
    """

    def __init__(
        self,
        folders: Folders,
        name: Name,
        started: Config,
        reporter: Reporter,
        load: Callable[[Path | None], None],
        expect: Callable[[], None],
    ) -> None:
        self._folders = folders
        self._name = name
        self._started = self._configured = started.pipeline[name]
        self._prepared = demand_for(started, name)
        self._reporter = reporter
        self._load = load
        self._expect = expect

    def read_again(self) -> None:
        """Use what changed. Whatever is wrong with it, the pipeline runs on as before."""
        try:
            config, wanted = pipeline_of(self._folders, self._name)
        except Trouble as trouble:
            log.warning("the configuration stays as it was: %s", trouble)
            return
        before, self._configured = self._configured, wanted
        set_level(config.log_level)
        late = [key for key in AT_START if getattr(self._started, key) != getattr(wanted, key)]
        if late:
            log.warning(
                "[pipeline.%s] %s: changed, used when this service is restarted",
                self._name, ", ".join(late),
            )  # fmt: skip
        if new := unprepared(self._prepared, demand_for(config, self._name)):
            log.warning(
                "[pipeline.%s] its camera is ready for %s when this service is restarted",
                self._name, ", ".join(new),
            )  # fmt: skip
        if settings_of(wanted) != settings_of(before):
            self._reporter.apply(settings_of(wanted))
        if observation_of(wanted) != observation_of(before):
            self._reporter.observe(observation_of(wanted))
        if config.updates.root is not None:
            self._expect()
        self._load(None if wanted.model is None else resolve(wanted.model))
