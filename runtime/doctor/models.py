"""Each pipeline's model: there, whole, and right on its golden samples with the engine here."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from models.store import Store
from runtime.child import run_check
from runtime.doctor.agent_part import service_user
from runtime.engines import EngineOptions
from runtime.locating import locate, resolve
from wire import mends
from wire.config import Config, Pipeline
from wire.finding import Finding
from wire.folders import Folders
from wire.troubles import Refused, Trouble, Unavailable


def look_at_models(config: Config, folders: Folders) -> Iterator[Finding]:
    """Loads each in a child process, beside what runs."""
    store = Store(folders.state / "models")
    is_hidden = _is_hidden(folders.state)
    if is_hidden and config.pipeline:
        says = "what was deployed shows to the services' user only"
        yield Finding("models", "warning", "", says, "sudo vedette doctor")
    for name, pipeline in config.pipeline.items():
        about = f"pipeline {name}"
        try:
            state = store.pipeline(name)
        except Trouble as trouble:
            yield Finding("models", "bad", about, str(trouble), mends.owned(folders.state))
            continue
        problems = () if is_hidden else state.problems
        yield from (Finding("models", "warning", about, problem) for problem in problems)
        if state.active is not None:
            yield _deployed(store, about, state.active, pipeline)
        elif pipeline.model is not None:
            yield _configured(about, pipeline, pipeline.model, folders.config)
        else:
            says = "it has no model of its own, and the fleet has deployed none to it yet"
            ask = "vedette fleet status"
            yield Finding("models", "warning", about, says, ask, "operator")


def _is_hidden(folder: Path) -> bool:
    try:
        os.listdir(folder)
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _configured(about: str, pipeline: Pipeline, model: str, file: Path) -> Finding:
    try:
        says = _tried(resolve(model), pipeline, None)
    except Trouble as trouble:
        return Finding("models", "bad", about, str(trouble), mends.edit(file))
    return Finding("models", "ok", about, says)


def _deployed(store: Store, about: str, digest: str, pipeline: Pipeline) -> Finding:
    """One of the store: where it is damaged, the agent fetches it anew once it is gone."""
    folder = store.root / "digests" / digest
    try:
        says = _tried(store.folder(digest), pipeline, digest)
    except Unavailable as trouble:  # an engine, a device or memory is not there: no fault of it
        return Finding("models", "bad", about, str(trouble).replace(str(folder), digest[:12]))
    except Refused as trouble:
        gone = f"sudo rm -r {shlex.quote(str(folder))}"
        mend = f"{gone} && sudo systemctl restart vedette-agent"
        says = str(trouble).replace(str(folder), f"model {digest[:12]}")
        return Finding("models", "bad", about, says, mend)
    return Finding("models", "ok", about, f"deployed: {says}")


def _tried(path: Path, pipeline: Pipeline, digest: str | None) -> str:
    """What it is. digest: what it must have, of one that was signed. Raises Trouble."""
    with locate(path, pipeline.engine) as located:
        if digest not in (None, located.digest):
            raise Refused("it is damaged on disk: its bytes are others than were signed")
        if located.engine_kind == "null":
            return f"{path} with the engine null, which computes nothing"
        options = EngineOptions(pipeline.threads, pipeline.accelerators)
        where = located.file if located.manifest is None else located.folder
        # root tries nobody's model: an engine may have holes
        report = run_check(where, located.engine_kind, options, service_user())
    return (
        f"{report.name} {report.version} with {report.engine}: {report.golden} golden samples "
        f"right, {report.inference_us / 1000:.1f} ms a run"
    )
