"""vedette.toml: what a device is called, whom it talks to, and which pipelines it runs."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from wire.complaints import FILE_PATTERN, KEY_PATTERN, refusal
from wire.consistency import contradictions
from wire.messages import LogLevel, ResultMode
from wire.names import Name
from wire.observation import Observation
from wire.troubles import Unavailable
from wire.typed_toml import LARGEST, as_utf8, tables_of, too_large, typed

EXAMPLE = "systemd/vedette.toml"  # every key, with its meaning
PLACES = (Path(__file__).resolve().parents[1], Path(sys.prefix) / "share/vedette")  # of EXAMPLE

Words = Annotated[str, Meta(min_length=1, max_length=1000)]
PublicKey = Annotated[str, Meta(pattern=KEY_PATTERN)]
# absolute: services have no folder of their own
File = Annotated[str, Meta(pattern=FILE_PATTERN, max_length=1000)]


class Broker(Struct, frozen=True, forbid_unknown_fields=True):
    """[broker]: url is mqtt://, mqtts://, ws:// or wss://HOST[:PORT][/PATH]. Secrets by path."""

    url: Words
    username: Words | None = None  # default: the device's name, where there is a password
    password_file: File | None = None
    ca_file: File | None = None
    certificate_file: File | None = None
    key_file: File | None = None
    keepalive_s: Annotated[int, Meta(ge=5, le=3600)] = 30


class TelemetryTable(Struct, frozen=True, forbid_unknown_fields=True):
    """[telemetry]: how often, how much is kept, and whose word makes a record leave."""

    period_s: Annotated[float, Meta(ge=10, le=3600)] = 60.0
    acknowledged_by: Literal["broker", "registry"] = "broker"
    spool_mib: Annotated[int, Meta(ge=1, le=4096)] = 64
    spool_days: Annotated[float, Meta(gt=0, le=366)] = 30.0


class Commands(Struct, frozen=True, forbid_unknown_fields=True):
    """[commands]: who may command (Ed25519 public keys, in hex), and what."""

    keys: Annotated[tuple[PublicKey, ...], Meta(max_length=16)] = ()
    snapshot: bool = False


class HomeAssistant(Struct, frozen=True, forbid_unknown_fields=True):
    """[home_assistant]: MQTT discovery."""

    discovery: bool = False
    prefix: Name = "homeassistant"


class Updates(Struct, frozen=True, forbid_unknown_fields=True):
    """[updates]: models that the fleet signs and deploys. root: the metadata that is trusted first.

    mirror: an https:// address with the same files, asked when the depot does not answer.
    keep: how many models stay on disk beside those that a pipeline names. kib_per_s, mib_per_day:
    the most that is fetched. spread_s: devices wake this much apart, at chance.
    """

    root: File | None = None
    mirror: Words | None = None
    mirror_ca_file: File | None = None
    keep: Annotated[int, Meta(ge=0, le=64)] = 2
    disk_mib: Annotated[int, Meta(ge=16, le=1_000_000)] = 1024
    kib_per_s: Annotated[int, Meta(ge=32)] | None = None
    mib_per_day: Annotated[int, Meta(ge=1)] | None = None
    spread_s: Annotated[float, Meta(ge=0, le=3600)] = 2.0


class PipelineLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """[pipeline.NAME.limits]: beyond these a fault is reported."""

    memory_mib: Annotated[int, Meta(ge=16)] | None = None
    p95_ms: Annotated[float, Meta(gt=0)] | None = None


class Pipeline(Observation, frozen=True, forbid_unknown_fields=True):
    """[pipeline.NAME]: a camera and a model. model: what runs until the fleet deploys another."""

    camera: Words
    model: Words | None = None
    engine: Words | None = None
    threads: Annotated[int, Meta(ge=1, le=256)] | None = None
    accelerators: tuple[Words, ...] = ()
    results: ResultMode = "change"
    results_per_s: Annotated[float, Meta(ge=0.01, le=30)] = 1.0
    min_score: Annotated[float, Meta(ge=0, le=1)] | None = None
    limits: PipelineLimits = PipelineLimits()


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    broker: Broker
    fleet: Name = "home"
    device: Name = ""  # filled with the machine's name
    groups: tuple[Name, ...] = ()
    log_level: LogLevel = "info"
    telemetry: TelemetryTable = TelemetryTable()
    commands: Commands = Commands()
    home_assistant: HomeAssistant = HomeAssistant()
    updates: Updates = Updates()
    pipeline: dict[str, Pipeline] = {}


def load(path: Path) -> Config:
    """Read the file. Raises Unavailable if it is not there, Refused with file, line, key, hint."""
    return parse(read(path), str(path))


def read(path: Path, example: str | None = None) -> str:
    """The text of the file. example: of such a file; None: a configuration's. Raises Unavailable,
    Refused."""
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise _not_there(path, example or _example()) from None
    except OSError as error:
        raise Unavailable(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise too_large(str(path))
    return as_utf8(content, str(path))


def _example() -> str | None:
    places = (each / EXAMPLE for each in PLACES)
    return next((str(each) for each in places if each.is_file()), None)


def _not_there(path: Path, shown: str | None) -> Unavailable:
    how = "" if shown is None else f", {shown} shows how"
    return Unavailable(f"{path}: is not there: write one{how}")


def parse(text: str, where: str) -> Config:
    """The configuration that a text means. Raises Refused with file, line, key and a hint."""
    tables: dict[str, Any] = tables_of(text, where)
    config = typed(tables, Config, text, where)
    for path, what in contradictions(config):
        raise refusal(where, text, path, what)
    if config.device:
        return config
    return msgspec.structs.replace(config, device=_machine_name(text, where))


def _machine_name(text: str, where: str) -> str:
    name = socket.gethostname().split(".")[0]
    try:
        return msgspec.convert(name, Name)
    except msgspec.ValidationError:
        raise refusal(
            where, text, ("device",), f"missing, and the machine's own name {name!r} cannot be used"
        ) from None
