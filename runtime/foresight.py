"""What a configuration would meet on this machine: what can never run, and what is amiss now."""

from __future__ import annotations

import contextlib
import itertools
import os
import posixpath
from collections.abc import Iterator
from urllib.parse import urlsplit

from models.manifest import Manifest
from runtime import first_root, foresight_network
from runtime.cameras import ROWS, csi_uri, make_camera, options, shared_uri, v4l2_uri
from runtime.cameras.network import NetworkCamera
from runtime.cameras.network_uri import Target
from runtime.cameras.rows_topic import TopicRows
from runtime.engines import KINDS, engine_reason
from runtime.engines.accelerators import missing_here
from runtime.locating import Located, locate, resolve
from runtime.opening import read_labels
from runtime.plausible import check_plausible
from runtime.readers import obstacle
from runtime.secret_files import complaint_about
from runtime.sharing.configured import check_pace, demand_for
from runtime.sharing.fruitless import idle_crops
from runtime.tracking.foreign import foreign_labels
from runtime.tracking.fruitless import fruitless
from wire.config import Broker, Config, Pipeline, Updates
from wire.consistency import shared_pipeline
from wire.mqtt.url import address_of
from wire.toml_lines import KeyPath
from wire.troubles import Refused, Trouble, Unavailable

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SECRET = ("password_file", "key_file")
PUBLIC = ("ca_file", "certificate_file")
# below /, what a service does not see: see systemd/
UNSEEN = ("home", "root", "run/user", "tmp", "var/tmp")


def impossible(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """What no runtime of this version will run: the key to change, and why."""
    for name, pipeline in config.pipeline.items():
        here = ("pipeline", name)
        if pipeline.engine is not None and pipeline.engine not in KINDS:
            yield (*here, "engine"), f"there is none of that name: use one of {', '.join(KINDS)}"
        try:
            make_camera(pipeline.camera)
            if demand_for(config, name).readers:
                check_pace(pipeline.camera)
        except Unavailable:
            continue  # not now: a warning
        except Refused as trouble:
            yield (*here, "camera"), str(trouble)


def warnings(config: Config) -> Iterator[str]:
    """What is not as it should be on this machine now: the key and what to do, a line each."""
    yield from _broker(config.broker)
    yield from _updates(config.updates)
    if not config.pipeline:
        yield "pipeline: there is none: add a table [pipeline.NAME] with camera and model"
    nodes: dict[str, str] = {}
    for name, pipeline in config.pipeline.items():
        yield from _camera(name, pipeline, nodes)
        yield from _cascade(name, pipeline, config)
        yield from _model(name, pipeline)


def _out_of_reach(key: str, path: str, better: str) -> Iterator[str]:
    """Why the service would not find what is there for who asks."""
    if any(_is_unseen(each) for each in (posixpath.normpath(path), os.path.realpath(path))):
        yield f"{key}: the service does not see {path}: put it under {better}"
    elif what := obstacle(path):
        yield f"{key}: {what}"


def _is_unseen(path: str) -> bool:
    return any(f"{path}/".startswith(f"/{folder}/") for folder in UNSEEN)


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
        path = getattr(broker, key)
        if path is not None:
            yield from _out_of_reach(f"broker.{key}", path, "/etc/vedette")
    address = address_of(broker.url)
    if broker.password_file and not address.encrypted and address.host not in LOOPBACK:
        secure = "wss" if address.path else "mqtts"
        yield f"broker.url: the password travels in the clear: use {secure}:// if the broker can"


def _updates(updates: Updates) -> Iterator[str]:
    if updates.root is None:
        return
    if what := first_root.complaint_about(updates.root):
        yield f"updates.root: {what}"
    yield from _out_of_reach("updates.root", updates.root, "/etc/vedette")
    authority = updates.mirror_ca_file
    if authority is not None:
        if not os.path.isfile(authority):
            yield f"updates.mirror_ca_file: {authority}: there is no such file"
        yield from _out_of_reach("updates.mirror_ca_file", authority, "/etc/vedette")
    if updates.mirror is not None:
        try:
            address = urlsplit(updates.mirror)
            is_whole = bool(address.hostname) and address.port != 0
        except ValueError:
            is_whole = False
        if not is_whole:
            yield f"updates.mirror: {updates.mirror} names no machine: https://HOST[:PORT]/PATH"


def _camera(name: str, pipeline: Pipeline, nodes: dict[str, str]) -> Iterator[str]:
    """nodes: the device nodes of the pipelines before, and whose they are; this one is added."""
    key = f"pipeline.{name}.camera"
    try:
        camera = make_camera(pipeline.camera)
        if isinstance(camera, NetworkCamera | TopicRows):
            yield from _network(key, camera.target)
        if pipeline.camera.startswith(("file:", "rows:")):
            yield from _recording(key, pipeline.camera)
        if pipeline.camera.startswith("csi:"):
            yield from _only_one(key, csi_uri.read(pipeline.camera).shown, name, nodes)
        if not pipeline.camera.startswith("v4l2:"):
            return
        node = v4l2_uri.find(v4l2_uri.parse(pipeline.camera))
    except Trouble as trouble:
        yield f"{key}: {trouble}"
        return
    if not os.path.exists(node):
        yield f"{key}: there is no {node} now: the runtime will wait for it; see `vedette cameras`"
        return
    yield from _only_one(key, os.path.realpath(node), name, nodes)


def _cascade(name: str, pipeline: Pipeline, config: Config) -> Iterator[str]:
    owner = shared_pipeline(pipeline.camera)
    model = None if owner is None else config.pipeline[owner].model
    if owner is None or model is None:
        return
    with contextlib.suppress(Trouble):  # what is wrong with either is said of that one
        crop = shared_uri.parse(pipeline.camera).crop
        if crop is not None:
            with locate(resolve(model), config.pipeline[owner].engine) as located:
                whose = f"the model of pipeline {owner}"
                idle = idle_crops(crop.choice, whose, located.manifest, _glance(located))
                yield from (f"pipeline.{name}.camera: {words}" for words in idle)


def _only_one(key: str, camera: str, name: str, taken: dict[str, str]) -> Iterator[str]:
    owner = taken.setdefault(camera, name)
    if owner != name:
        yield f"{key}: this is the camera of pipeline {owner} under another name: it serves one"


def _network(key: str, target: Target) -> Iterator[str]:
    yield from (f"{key}: {what}" for what in foresight_network.about(target))
    for path in foresight_network.files(target):
        yield from _out_of_reach(key, path, "/etc/vedette")


def _recording(key: str, uri: str) -> Iterator[str]:
    address = options.parse(uri, ("pace", "loop", "rate", "columns"))
    if not os.path.exists(address.place):
        yield f"{key}: there is no {address.place}"
    if address.given.get("loop") != "yes":
        what = "row" if uri.startswith("rows:") else "picture"
        how = "&loop=yes at its end" if "?" in uri else "?loop=yes at its end"
        how = "loop=yes in place of loop=no" if "loop" in address.given else how
        yield (
            f"{key}: it ends with its last {what}, and the service is started again and again: "
            f"write {how}"
        )
    yield from _out_of_reach(key, address.place, "/var/lib/vedette")


def _model(name: str, pipeline: Pipeline) -> Iterator[str]:
    """What keeps it from being loaded, as far as that can be seen without loading it."""
    if pipeline.model is None:  # the fleet will deploy one
        return
    key = f"pipeline.{name}.model"
    path, engine = resolve(pipeline.model), pipeline.engine
    needed = [path] if path.is_absolute() else []
    try:
        with locate(path, engine) as located:
            engine = located.engine_kind
            if located.known:  # of the installed package
                needed = []
            elif path.is_dir():
                needed.append(located.file)
            foreign = foreign_labels(pipeline, _glance(located))
            yield from (f"pipeline.{name}.{words}" for words in foreign)
            if located.manifest is not None:
                yield from _mismatch(name, pipeline.camera, located.manifest)
                idle = fruitless(pipeline, located.manifest)
                yield from (f"pipeline.{name}.{words}" for words in idle)
    except Trouble as trouble:
        yield f"{key}: {trouble}"
    if engine is not None and (reason := engine_reason(engine)):
        yield f"pipeline.{name}.engine: {reason}"
    if engine == "tensorrt" and pipeline.accelerators:
        yield f"pipeline.{name}.accelerators: engine tensorrt has none of its own: leave them out"
    elif engine is not None:
        for what in missing_here(engine, pipeline.accelerators):
            yield f"pipeline.{name}.accelerators: {what}; until then it runs on the CPU"
    reach = ("\n".join(_out_of_reach(key, str(each), "/var/lib/vedette")) for each in needed)
    yield from itertools.islice(filter(None, reach), 1)


def _mismatch(name: str, camera: str, described: Manifest) -> Iterator[str]:
    gives, takes = camera.startswith(ROWS), described.row is not None
    if gives != takes:
        words = {True: "rows of numbers", False: "pictures"}
        yield (
            f"pipeline.{name}.camera: it gives {words[gives]}, and {described.name} takes "
            f"{words[takes]}"
        )


def _glance(located: Located) -> tuple[str, ...]:
    """The labels. Raises Refused for what can be seen to be no good without loading it."""
    if located.engine_kind != "null":
        check_plausible(located.file)
    if located.manifest is None:
        return ()
    return read_labels(located.manifest, located.folder)
