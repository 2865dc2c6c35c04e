"""What a vedette.toml may not say although each value is of the right type."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wire.mqtt.url import address_of
from wire.names import NAME_PATTERN
from wire.observation import contradictions_of
from wire.signing import is_weak
from wire.toml_lines import KeyPath
from wire.troubles import Refused

if TYPE_CHECKING:
    from wire.config import Broker, Config, Pipeline, Updates

CAMERA_EXAMPLE = "v4l2:///dev/video0"
MOST_PIPELINES = 64  # what a device says of itself is one message, and fits every broker

Contradiction = tuple[KeyPath, str]  # which key to change, and why


def contradictions(config: Config) -> Iterator[Contradiction]:
    """Everything that is wrong in a configuration whose every value is of the right type."""
    yield from _broker(config.broker)
    yield from _commands(config)
    yield from _count(config.pipeline)
    for name, pipeline in config.pipeline.items():
        yield from _pipeline(name, pipeline)
        if pipeline.model is None and config.updates.root is None:
            yield (
                ("pipeline", name),
                "model is missing: name one, or let the fleet deploy one: root under [updates]",
            )
    yield from _updates(config.updates)
    yield from _shared_cameras(config.pipeline)
    for name, pipeline in config.pipeline.items():
        yield from _lent(name, pipeline, config.pipeline)


def shared_pipeline(camera: str) -> str | None:
    """The pipeline whose camera a `pipeline:` URI means; None for another camera."""
    kind, _, rest = camera.partition(":")
    return rest.removeprefix("//").partition("?")[0].rstrip("/") if kind == "pipeline" else None


def v4l2_device(camera: str) -> str | None:
    """The device that a v4l2 URI names, by path or bus; None for another camera."""
    kind, _, rest = camera.partition(":")
    if kind != "v4l2":
        return None
    path, _, options = rest.removeprefix("//").partition("?")
    if path:
        return posixpath.normpath("/" + path.strip("/"))
    buses = [option for option in options.split("&") if option.startswith("bus=")]
    return buses[-1] if buses else None


def _broker(broker: Broker) -> Iterator[Contradiction]:
    if "@" in broker.url:  # said first, because other complaints repeat the URL
        yield (
            ("broker", "url"),
            "a name or a password in the URL would be shown to others: put it in a file, "
            "password_file, and the name in username",
        )
    try:
        address = address_of(broker.url)
    except Refused as trouble:
        yield ("broker", "url"), str(trouble).removeprefix("the broker's URL ")
        return
    files = {
        "ca_file": broker.ca_file,
        "certificate_file": broker.certificate_file,
        "key_file": broker.key_file,
    }
    for key, path in files.items():
        if path is not None and not address.encrypted:
            secure = {"mqtt": "mqtts", "ws": "wss"}[address.scheme]
            yield (
                ("broker", key),
                f"{address.scheme}:// has no TLS, so nothing would use it: write {secure}:// in "
                f"url, or take {key} away",
            )
    if broker.key_file is not None and broker.certificate_file is None:
        yield ("broker", "key_file"), "a key without its certificate: add certificate_file"
    if broker.certificate_file is not None and broker.key_file is None:
        yield (
            ("broker", "certificate_file"),
            "a certificate without its key: add key_file, the same file if it holds both",
        )
    if broker.username is not None and not broker.username.isprintable():
        yield ("broker", "username"), "holds a character that cannot be shown: take it away"
    elif broker.username is not None and broker.password_file is None:
        yield ("broker", "username"), "a name without its password: add password_file"


def _commands(config: Config) -> Iterator[Contradiction]:
    commands = config.commands
    for number, key in enumerate(commands.keys):
        if is_weak(bytes.fromhex(key)):
            yield (
                ("commands", "keys", number),
                "anybody can sign for this key: make one with vedette ask --new-key FILE",
            )
        if key in commands.keys[:number]:
            yield ("commands", "keys", number), "it is there twice: take one away"
    if commands.snapshot and not commands.keys and config.updates.root is None:
        yield (
            ("commands", "snapshot"),
            "allowed, but no key may ask for one: name the operator's public key in keys",
        )


def _updates(updates: Updates) -> Iterator[Contradiction]:
    here = ("updates", "mirror")
    if updates.mirror is not None and not updates.mirror.startswith("https://"):
        yield here, "write https://HOST[:PORT]/PATH"
    if updates.mirror is not None and updates.root is None:
        yield here, "nothing uses it without root: where does trust begin?"
    if updates.mirror_ca_file is not None and updates.mirror is None:
        yield ("updates", "mirror_ca_file"), "nothing uses it without mirror"


def _count(pipelines: dict[str, Pipeline]) -> Iterator[Contradiction]:
    for name in list(pipelines)[MOST_PIPELINES : MOST_PIPELINES + 1]:
        yield (
            ("pipeline", name),
            f"{len(pipelines)} pipelines, {MOST_PIPELINES} are possible: with more cameras this is "
            "more than one device: give each a configuration, a name and an agent of its own",
        )


def _pipeline(name: str, pipeline: Pipeline) -> Iterator[Contradiction]:
    here = ("pipeline", name)
    if not re.match(NAME_PATTERN, name):
        yield here, "a pipeline's name has 1 to 64 letters, digits, '_' and '-'"
    yield from _texts(here, pipeline)
    yield from _camera((*here, "camera"), pipeline.camera)
    most = pipeline.limits.p95_ms
    if most is not None and math.isinf(most):
        yield (*here, "limits", "p95_ms"), "inf is no limit: take it away"
    for key, what in contradictions_of(pipeline, f"pipeline.{name}."):
        yield (*here, *key), what


def _texts(here: KeyPath, pipeline: Pipeline) -> Iterator[Contradiction]:
    texts: dict[KeyPath, str | None] = {
        ("camera",): pipeline.camera,
        ("model",): pipeline.model,
        ("engine",): pipeline.engine,
        **{("accelerators", i): words for i, words in enumerate(pipeline.accelerators)},
    }
    for key, words in texts.items():
        if words is not None and not words.isprintable():
            yield (*here, *key), "holds a character that cannot be shown: take it away"
    if pipeline.model is not None and "/" in pipeline.model and not pipeline.model.startswith("/"):
        yield (*here, "model"), "write the whole path, from / on, or the name of a model of the zoo"


def _camera(here: KeyPath, camera: str) -> Iterator[Contradiction]:
    kind, colon, rest = camera.partition(":")
    if camera.startswith("/dev/"):
        yield here, f"write v4l2://{camera}"
    elif not colon or not re.fullmatch(r"[a-z][a-z0-9+.-]*", kind):
        yield here, f"a camera is written as KIND:ADDRESS, for example {CAMERA_EXAMPLE}"
    elif kind == "v4l2" and v4l2_device(camera) is None:
        yield here, f"names no device: for example {CAMERA_EXAMPLE}"
    elif kind == "v4l2" and rest.startswith("//") and not rest.startswith(("///", "//?")):
        yield here, f"after v4l2: come three slashes, {CAMERA_EXAMPLE}"
    elif kind == "file" and not rest.removeprefix("//").startswith("/"):
        yield here, "write the whole path, from / on: file:///PATH"


def _shared_cameras(pipelines: dict[str, Pipeline]) -> Iterator[Contradiction]:
    """A V4L2 device streams to one process at a time."""
    first: dict[str, str] = {}
    for name, pipeline in pipelines.items():
        device = v4l2_device(pipeline.camera)
        if device is None:
            continue
        owner = first.setdefault(device, name)
        if owner != name:
            yield (
                ("pipeline", name, "camera"),
                f"pipeline {owner} uses this camera already, and it gives its frames to one: "
                f"to share it write pipeline://{owner}",
            )


def _lent(name: str, pipeline: Pipeline, pipelines: dict[str, Pipeline]) -> Iterator[Contradiction]:
    """A camera is lent by the pipeline that has it, and by no other."""
    here, owner = ("pipeline", name, "camera"), shared_pipeline(pipeline.camera)
    if owner is None:
        return
    if owner == name:
        yield here, f"pipeline {name} names itself: which camera has it?"
    elif owner not in pipelines:
        others = ", ".join(sorted(one for one in pipelines if one != name)) or "no others"
        yield here, f"there is no pipeline {owner!r} here; there are: {others}"
    elif (further := shared_pipeline(pipelines[owner].camera)) is not None:
        hint = f"write pipeline://{further}" if further not in (owner, name) else "give it one"
        yield here, f"pipeline {owner} has no camera of its own: {hint}"
