"""`vedette runtime NAME`: one pipeline of vedette.toml as a service that reports to the agent."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack

import msgspec

from runtime import stopping
from runtime.agent_line import AgentLine
from runtime.benching import Subject
from runtime.cameras import Camera, make_camera
from runtime.cameras.patient import PatientCamera
from runtime.child import try_in_child
from runtime.commands.flags import duration_s, positive
from runtime.engines import EngineOptions
from runtime.loader import Loader
from runtime.locating import locate, resolve
from runtime.loop import Loop, Model
from runtime.opening import open_model
from runtime.panel import printable
from runtime.reporting import Pipeline, Reporter
from runtime.serving import Service
from wire import config
from wire.config import Config
from wire.folders import Folders, add_folder_options, folders_of
from wire.messages import PipelineSettings
from wire.names import Name
from wire.systemd import Notifier
from wire.troubles import Refused, one_line

PATIENCE_S = 0.5  # how long one step waits for a frame before the stop flag is looked at
OPENING_S = 300.0  # an unknown model is tried in a child process before it is opened


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    stopping.leave_on_sigterm()
    folders = folders_of(words)
    device, wanted = pipeline_of(folders, words.name)
    logging.basicConfig(level=device.log_level.upper(), format="vedette: %(message)s")
    with ExitStack() as stack:
        notifier = stack.enter_context(Notifier())
        camera: Camera = PatientCamera(make_camera(wanted.camera))
        line = AgentLine(folders.run, words.name, note)
        stack.callback(line.close)
        notifier.extend_timeout(OPENING_S)
        options = EngineOptions(threads=wanted.threads, accelerators=wanted.accelerators)
        model = opened(wanted, options)
        camera.aim = model.aim
        subject = Subject(absolute(wanted.model), model.engine_kind, options)
        reporter = Reporter(
            Pipeline(words.name, wanted.camera, subject),
            camera,
            lambda: loop.model,
            PipelineSettings(wanted.results, wanted.results_per_s, wanted.min_score),
            line,
        )
        loop = Loop(camera, model, reporter.emit, reporter.glance)
        stack.callback(reporter.close)
        loader = Loader(loop, wanted.engine, options, note)
        stack.callback(loader.close)
        stop = stopping.stop_on_signals()
        signal.signal(signal.SIGHUP, lambda *_: loader.load(resolve(wanted.model)))
        stack.callback(camera.stop)
        service = Service(
            loop, camera, reporter, notifier, lambda: title(loop.model, wanted.camera)
        )
        stack.callback(service.end)
        service.start()
        _turn(service, reporter, words, stop)
    if words.json:
        print(msgspec.json.encode(reporter.totals()).decode())
    return 0


def _turn(
    service: Service, reporter: Reporter, words: argparse.Namespace, stop: threading.Event
) -> None:
    """Step until the wished number of results, the wished time, the end, or a signal."""
    most = words.frames or float("inf")
    end_s = time.monotonic() + (words.seconds or float("inf"))
    while reporter.frames < most and time.monotonic() < end_s and not stop.is_set():
        if not service.step(PATIENCE_S):
            return


def title(model: Model, camera_uri: str) -> str:
    """What runs here, for people."""
    name = f"{model.manifest.name} {model.manifest.version}"
    return f"{name} on {printable(camera_uri, 200)}"


def pipeline_of(folders: Folders, name: str) -> tuple[Config, config.Pipeline]:
    """The configuration in force and the pipeline of that name. Raises Refused, Unavailable."""
    device = config.load(folders.config)
    if name not in device.pipeline:
        known = ", ".join(sorted(device.pipeline)) or "none: add a table [pipeline.NAME]"
        raise Refused(f"{folders.config}: there is no pipeline {name!r}; there are: {known}")
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError:
        raise Refused(
            f"{folders.config}: [pipeline.{name!r}]: a pipeline's name has 1 to 64 letters, digits, '_' and '-'"
        ) from None
    return device, device.pipeline[name]


def opened(wanted: config.Pipeline, options: EngineOptions) -> Model:
    """The model of this pipeline, tried in a child process first if it is not known."""
    with locate(resolve(wanted.model), wanted.engine) as located:
        try_in_child(located, options)
        model = open_model(located, options)
    for guess in model.guesses:
        note(f"no manifest: {guess}")
    return model


def absolute(model: str) -> str:
    """A model's name or path, as a process in another folder has to be told."""
    path = resolve(model)
    return str(path.absolute()) if os.path.exists(path) else model


def note(line: str) -> None:
    """Something that the journal should hold."""
    print(f"vedette: {one_line(line)}", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vedette runtime",
        description="Run one pipeline of vedette.toml as a service: a camera, a model, and reports "
        "to the agent. It waits for a camera that is missing, and tells systemd (Type=notify) that "
        "it is alive only when frames come out. SIGHUP loads the model again, without losing a "
        "frame.",
    )
    parser.add_argument("name", metavar="NAME", help="of a [pipeline.NAME] in the configuration")
    add_folder_options(parser)
    parser.add_argument("--frames", type=positive, metavar="N", help="stop after N results")
    parser.add_argument("--seconds", type=duration_s, metavar="S", help="stop after S seconds")
    parser.add_argument("--json", action="store_true", help="print the totals as one JSON object")
    return parser
