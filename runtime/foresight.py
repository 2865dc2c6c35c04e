"""What a configuration would meet on this machine: what can never run, and what is amiss now."""

from __future__ import annotations

import os
from collections.abc import Iterator

from runtime.cameras import make_camera, v4l2_uri
from runtime.engines import KINDS
from runtime.locating import locate, resolve
from runtime.secret_files import complaint_about
from wire.config import Broker, Config, Pipeline
from wire.mqtt_url import address_of
from wire.toml_lines import KeyPath
from wire.troubles import Refused, Trouble, Unavailable

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SECRET = ("password_file", "key_file")
PUBLIC = ("ca_file", "certificate_file")
UNSEEN = {"home", "root", "tmp"}  # folders of / that a service does not see: see systemd/


def impossible(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """What no runtime of this version will run: the key to change, and why."""
    for name, pipeline in config.pipeline.items():
        here = ("pipeline", name)
        if pipeline.engine is not None and pipeline.engine not in KINDS:
            yield (*here, "engine"), f"there is none of that name: use one of {', '.join(KINDS)}"
        try:
            make_camera(pipeline.camera)
        except Unavailable:
            continue  # not now: a warning
        except Refused as trouble:
            yield (*here, "camera"), str(trouble)


def warnings(config: Config) -> Iterator[str]:
    """What is not as it should be on this machine now: the key and what to do, a line each."""
    yield from _broker(config.broker)
    if not config.pipeline:
        yield "pipeline: there is none: add a table [pipeline.NAME] with camera and model"
    nodes: dict[str, str] = {}
    for name, pipeline in config.pipeline.items():
        yield from _camera(name, pipeline, nodes)
        yield from _model(name, pipeline)
        for key, place in (("camera", pipeline.camera), ("model", pipeline.model)):
            path = place.removeprefix("file://").partition("?")[0]
            yield from _unseen(f"pipeline.{name}.{key}", path, "/var/lib/vedette")


def _unseen(key: str, path: str, better: str) -> Iterator[str]:
    if path.startswith("/") and path.split("/")[1] in UNSEEN:
        yield f"{key}: the service does not see {path}: put it under {better}"


def _broker(broker: Broker) -> Iterator[str]:
    for key in SECRET:
        path: str | None = getattr(broker, key)
        if path is not None and (what := complaint_about(path)):
            yield f"broker.{key}: {path}: {what}"
    for key in PUBLIC:
        path = getattr(broker, key)
        if path is not None and not os.path.isfile(path):
            yield f"broker.{key}: {path}: there is no such file"
    for key in (*SECRET, *PUBLIC):
        yield from _unseen(f"broker.{key}", getattr(broker, key) or "", "/etc/vedette")
    address = address_of(broker.url)
    if broker.password_file and not address.encrypted and address.host not in LOOPBACK:
        secure = "wss" if address.path else "mqtts"
        yield f"broker.url: the password travels in the clear: use {secure}:// if the broker can"


def _camera(name: str, pipeline: Pipeline, nodes: dict[str, str]) -> Iterator[str]:
    """nodes: the device nodes of the pipelines before, and whose they are; this one is added."""
    key = f"pipeline.{name}.camera"
    try:
        make_camera(pipeline.camera)
        if not pipeline.camera.startswith("v4l2:"):
            return
        node = v4l2_uri.find(v4l2_uri.parse(pipeline.camera))
    except Trouble as trouble:
        yield f"{key}: {trouble}"
        return
    if not os.path.exists(node):
        yield f"{key}: there is no {node} now: the runtime will wait for it; see `vedette cameras`"
        return
    owner = nodes.setdefault(os.path.realpath(node), name)
    if owner != name:
        yield f"{key}: this is the camera of pipeline {owner} under another name: it serves one"


def _model(name: str, pipeline: Pipeline) -> Iterator[str]:
    try:
        with locate(resolve(pipeline.model), pipeline.engine):
            pass
    except Trouble as trouble:
        yield f"pipeline.{name}.model: {trouble}"
