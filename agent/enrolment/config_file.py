"""vedette.toml of a device that is enrolled: a new one, or the one that is there, changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from wire.config import Broker, Config, Pipeline, parse
from wire.enrolment import Enrolment
from wire.toml_changes import Change, changed
from wire.troubles import Refused

PIPELINE = "camera"  # what --camera makes, where nothing else shows that camera

NEW = """\
# Vedette on this device, written by `vedette enroll`. Try what you change: `vedette check-config`.
# What is commented out shows its default, or an example. docs/configuration.md explains every key.

fleet = "home"
# device = "door"           # default: the machine's name
# groups = ["entrance"]
# log_level = "info"        # debug, info, warning or error

[broker]
# url = "mqtt://localhost"  # or mqtts://HOST[:PORT], ws://HOST/PATH, wss://HOST/PATH
# username = "door"         # default: the device's name, where there is a password
# password_file = "/etc/vedette/password"
# ca_file = "/etc/vedette/ca.pem"
# certificate_file = "/etc/vedette/device.pem"
# key_file = "/etc/vedette/device.pem"
# keepalive_s = 30

[telemetry]
# period_s = 60             # 10 to 3600
# acknowledged_by = "broker"
# spool_mib = 64            # what may wait on disk for the broker; the oldest goes first
# spool_days = 30

[commands]
# keys = ["64 hex digits"]
# snapshot = false          # may they ask for a picture?

[home_assistant]
# discovery = false
# prefix = "homeassistant"

[updates]                   # models that the fleet signs and deploys
# root = "/etc/vedette/root.json"
# mirror = "https://models.example/yard"        # asked when the depot does not answer
# mirror_ca_file = "/etc/vedette/mirror.pem"    # with an authority of your own
# keep = 2                  # models that stay on disk beside those in use
# disk_mib = 1024           # most disk for models
# kib_per_s = 500           # most that is fetched; default: no limit
# mib_per_day = 200         # default: no limit
# spread_s = 2              # devices wake this much apart, at chance

# One table [pipeline.NAME], and one service vedette-runtime@NAME, for each camera and its model:
# camera = "v4l2:///dev/video0"     see `vedette cameras`
# model = "digits"                  of the zoo, or a path; with [updates] until one is deployed
# engine, threads, accelerators, results, results_per_s, min_score
# of a detector's boxes: filter, tracking, zone.NAME, line.NAME       docs/zones.md
"""


@dataclass(frozen=True)
class Wish:
    """What the person at the device wants beside the enrolment; None: as it is."""

    camera: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class Named:
    """Where the files of an enrolment lie; None for those that it has not."""

    root: Path | None
    ca: Path | None
    certificate: Path | None
    password: Path | None


def written(before: str | None, enrolment: Enrolment, named: Named, wish: Wish, where: str) -> str:
    """The text of vedette.toml. before: the text that is there, None: none is. where: its path.

    Raises Refused if the one that is there is wrong, or if the outcome would be.
    """
    if before is None:
        old, text = None, NEW
    else:
        old, text = parse(before, where), before
    pipeline, name = _pipelines({} if old is None else old.pipeline, wish, where)
    changes = _changes(enrolment, named, old)
    if name is not None:
        changes += _of_pipeline(name, pipeline[name])
    text = changed(text, changes, where)
    meant = parse(text, where)
    if meant != _expected(old, enrolment, named, pipeline):
        raise Refused(
            f"{where}: written in a way that a program cannot change: move it away, enroll, and "
            "take over what you had"
        )
    return text


def _changes(enrolment: Enrolment, named: Named, old: Config | None) -> list[Change]:
    files = {
        "username": enrolment.username,
        "password_file": _text(named.password),
        "ca_file": _text(named.ca),
        "certificate_file": _text(named.certificate),
        "key_file": _text(named.certificate),
    }
    changes = [
        Change(("fleet",), enrolment.fleet),
        Change(("device",), enrolment.device),
        Change(("groups",), enrolment.groups or None),
        Change(("broker", "url"), enrolment.url),
        *(Change(("broker", key), value) for key, value in files.items()),
        Change(("commands", "keys"), enrolment.command_keys or None),
        Change(("updates", "root"), _text(named.root)),
    ]
    by_default = old is None or old.telemetry.acknowledged_by == enrolment.acknowledged_by
    if not by_default or enrolment.acknowledged_by != "broker":
        changes.append(Change(("telemetry", "acknowledged_by"), enrolment.acknowledged_by))
    if _snapshot(old, enrolment) != (old is not None and old.commands.snapshot):
        changes.append(Change(("commands", "snapshot"), _snapshot(old, enrolment) or None))
    return changes


def _snapshot(old: Config | None, enrolment: Enrolment) -> bool:
    """Who comes into another fleet allows its operators what was said for that one."""
    if old is None or old.fleet != enrolment.fleet:
        return enrolment.snapshot
    may_be_asked = bool(enrolment.command_keys) or enrolment.root is not None
    return may_be_asked and (enrolment.snapshot or old.commands.snapshot)


def _expected(
    old: Config | None, enrolment: Enrolment, named: Named, pipeline: dict[str, Pipeline]
) -> Config:
    """What the text must mean in the end."""
    start = old or Config(Broker(enrolment.url))
    snapshot = _snapshot(old, enrolment)
    return replace(
        start,
        fleet=enrolment.fleet,
        device=enrolment.device,
        groups=enrolment.groups,
        broker=Broker(
            enrolment.url,
            enrolment.username,
            _text(named.password),
            _text(named.ca),
            _text(named.certificate),
            _text(named.certificate),
            start.broker.keepalive_s,
        ),
        telemetry=replace(start.telemetry, acknowledged_by=enrolment.acknowledged_by),
        commands=replace(start.commands, keys=enrolment.command_keys, snapshot=snapshot),
        updates=replace(start.updates, root=_text(named.root)),
        pipeline=pipeline,
    )


def _pipelines(
    old: dict[str, Pipeline], wish: Wish, where: str
) -> tuple[dict[str, Pipeline], str | None]:
    """All pipelines as they shall be, and the name of the one that is new or changed."""
    if wish.camera is None and wish.model is None:
        return old, None
    if wish.camera is None:
        if len(old) != 1:
            raise Refused(f"--model: {where} has {len(old)} pipelines: say --camera URI too")
        name = next(iter(old))
    else:
        name = next((name for name, one in old.items() if one.camera == wish.camera), PIPELINE)
    now = old.get(name) or Pipeline(wish.camera or "")
    now = replace(now, camera=wish.camera or now.camera, model=wish.model or now.model)
    return {**old, name: now}, name


def _of_pipeline(name: str, pipeline: Pipeline) -> list[Change]:
    changes = [Change(("pipeline", name, "camera"), pipeline.camera)]
    if pipeline.model is not None:
        changes.append(Change(("pipeline", name, "model"), pipeline.model))
    return changes


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
