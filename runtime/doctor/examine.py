"""The whole examination: which sections, in which order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from msgspec import Struct

from models.store import Store
from runtime.doctor import systemd
from runtime.doctor.agent_part import ask_agent
from runtime.doctor.cameras import look_at_cameras
from runtime.doctor.configuration import Read, read
from runtime.doctor.engines import look_at_engines
from runtime.doctor.machine import look_at_machine, look_at_memory, look_at_watchdog
from runtime.doctor.models import look_at_models
from runtime.doctor.services import look_at_services
from runtime.locating import locate, resolve
from wire.config import Config
from wire.finding import Finding, count_of, look_at_proc
from wire.folders import Folders
from wire.health import Health
from wire.troubles import Trouble


class Examined(Struct, frozen=True):
    """bad, warnings: how many findings are that. health: None where no device is configured."""

    bad: int
    warnings: int
    findings: tuple[Finding, ...]
    health: Health | None = None


def examine(folders: Folders) -> Examined:
    """Try everything. Nothing of a running device is disturbed."""
    if blind := tuple(look_at_proc()):
        return Examined(count_of(blind, "bad"), 0, blind)
    told = read(folders)
    config = told.config
    needed = None if config is None else set(_engines(config, folders))
    tried = [*look_at_engines(needed), *look_at_cameras(config)]
    models = [] if config is None else list(look_at_models(config, folders))
    configured = _not_said_twice(told, [*tried, *models])
    found = [*look_at_machine(), *tried, *configured, *models]
    health = None
    if told.is_device:
        found += look_at_services(config.pipeline if config else ())
        checked = ask_agent(folders)
        health = checked.health
        found += [one for one in checked.findings if one.section != "configuration"]
    found += look_at_memory()
    if told.is_device:
        found += look_at_watchdog(systemd.watchdog_us())
    return Examined(count_of(found, "bad"), count_of(found, "warning"), tuple(found), health)


def _engines(config: Config, folders: Folders) -> Iterator[str]:
    """What the pipelines need, as far as their models tell."""
    store = Store(folders.state / "models")
    for name, pipeline in config.pipeline.items():
        if pipeline.engine is not None:
            yield pipeline.engine
        with contextlib.suppress(Trouble):
            digest = store.pipeline(name).active
            named = resolve(pipeline.model) if pipeline.model is not None else None
            path = store.folder(digest) if digest is not None else named
            if path is not None:
                with locate(path, pipeline.engine) as located:
                    yield located.engine_kind


def _not_said_twice(told: Read, tried: list[Finding]) -> Iterator[Finding]:
    """What is amiss in the configuration, without what was just found out by trying."""
    bad = {(one.section, one.about.split(" (")[0]) for one in tried if one.level == "bad"}
    for one in told.findings:
        key = one.about.split(".")
        if len(key) == 3 and key[0] == "pipeline":
            section = "cameras" if key[2] == "camera" else "models"
            if (section, f"pipeline {key[1]}") in bad:
                continue
        yield one
