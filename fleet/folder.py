"""The fleet's folder, of the operator and of the depot: what lies where, and fleet.toml."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from fleet.alerts.terms import Alerting, Target, check
from wire.complaints import refusal
from wire.config import Broker, File, Words, read
from wire.folders import named_path
from wire.mqtt.url import address_of
from wire.names import Name
from wire.troubles import Refused, Unavailable
from wire.typed_toml import tables_of, typed

VARIABLE = "VEDETTE_FLEET_DIR"
DEFAULT = "fleet"
TOML, FIRST_ROOT = "fleet.toml", "root.json"
PLACE = "/etc/mosquitto/vedette"
_FILES = ("password_file", "ca_file", "certificate_file", "key_file")


class Mosquitto(Struct, frozen=True, forbid_unknown_fields=True):
    """[mosquitto], of `vedette fleet broker`. place: where its files lie on the broker's machine.
    hosts: what else devices call it, names and addresses. bind: where alone it listens."""

    place: File = PLACE
    hosts: Annotated[tuple[Words, ...], Meta(max_length=32)] = ()
    bind: Words | None = None


class FleetToml(Struct, frozen=True, forbid_unknown_fields=True):
    """fleet.toml: what the fleet is called, where its broker is, and whom alerts are sent to."""

    name: Name
    broker: Broker
    alerts: Annotated[tuple[Target, ...], Meta(max_length=64)] = ()
    alerting: Alerting = Alerting()
    mosquitto: Mosquitto = Mosquitto()


@dataclass(frozen=True)
class FleetFolder:
    """Paths of one fleet. The depot's machine has fleet.toml and depot/; the operator has all."""

    path: Path
    name: str
    broker: Broker
    alerts: tuple[Target, ...] = ()
    alerting: Alerting = field(default_factory=Alerting)
    mosquitto: Mosquitto = field(default_factory=Mosquitto)

    @property
    def root(self) -> Path:
        """The first root, which every device is given."""
        return self.path / FIRST_ROOT

    @property
    def keys(self) -> Path:
        """The offline keys: root-N.pem and release-N.pem, encrypted, and command.pem."""
        return self.path / "keys"

    @property
    def command_key(self) -> Path:
        return self.keys / "command.pem"

    @property
    def authority(self) -> Path:
        """The fleet's certificate authority: certificate and key."""
        return self.keys / "authority.pem"

    @property
    def access(self) -> Path:
        """By what the commands of this folder come to the broker, where `fleet broker` made it."""
        return self.path / "access"

    @property
    def broker_files(self) -> Path:
        """What belongs to the broker's machine: configuration, rules, certificates."""
        return self.path / "broker"

    @property
    def trust(self) -> Path:
        """What the operator's own client believes."""
        return self.path / "trust"

    @property
    def depot(self) -> Path:
        """keys/, metadata/, targets/ and candidates/: all that the depot needs."""
        return self.path / "depot"

    def key_files(self, role: str) -> tuple[Path, ...]:
        """The key files of `root` or `release` that are here, in the order of their numbers."""
        found = self.keys.glob(f"{role}-*.pem")
        return tuple(sorted(found, key=lambda path: (len(path.name), path.name)))


def depot_key(depot: Path, role: str) -> Path:
    """The online key of a role in a depot's folder."""
    return depot / "keys" / f"{role}.pem"


def add_dir_option(parser: argparse.ArgumentParser) -> None:
    """--dir"""
    parser.add_argument(
        "--dir", type=named_path, metavar="FOLDER", default=default_folder(),
        help=f"the fleet's folder (default: what {VARIABLE} names, else ./{DEFAULT})",
    )  # fmt: skip


def default_folder() -> Path:
    return Path(os.environ.get(VARIABLE) or DEFAULT)


def open_fleet(path: Path) -> FleetFolder:
    """The fleet in a folder. Raises Unavailable if there is none, Refused if its file is wrong."""
    where = path.absolute()
    file = where / TOML
    if not file.exists():
        raise Unavailable(f"{where}: {_advice(path, where)}")
    text = read(file)
    toml = typed(_whole_paths(tables_of(text, str(file)), where), FleetToml, text, str(file))
    _check(toml.broker, text, str(file))
    check(toml.alerts, toml.alerting, str(file))
    return FleetFolder(where, toml.name, toml.broker, toml.alerts, toml.alerting, toml.mosquitto)


def _advice(path: Path, where: Path) -> str:
    """What to do where no fleet.toml is: never a second fleet beside one that is there."""
    if (where / "keys").is_dir():
        return (
            f"has keys/, but no {TOML}: restore it from a backup, or from {TOML}.before there; "
            'else write it anew: name = "NAME", and under [broker] url = "mqtts://HOST"'
        )
    around = next((one for one in where.parents if (one / TOML).exists()), None)
    if around is not None:
        return f"no fleet's folder, but inside of one: say --dir {around}"
    return (
        f"no fleet's folder: run vedette fleet init --dir {path}, or name another by --dir or "
        f"{VARIABLE}"
    )


def _check(broker: Broker, text: str, where: str) -> None:
    """Raises Refused: that is no broker's address, or a password of nobody."""
    if broker.password_file is not None and broker.username is None:
        what = "whose password is it? add username beside it"
        raise refusal(where, text, ("broker", "password_file"), what)
    try:
        address_of(broker.url)
    except Refused as trouble:
        what = str(trouble).removeprefix("the broker's URL ")
        raise refusal(where, text, ("broker", "url"), what) from None


def _whole_paths(tables: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A path in [broker] that is not whole is meant from the fleet's folder on."""
    broker = tables.get("broker")
    if not isinstance(broker, dict):
        return tables
    files = {key: broker[key] for key in _FILES if isinstance(broker.get(key), str)}
    whole = {key: str(folder / path) for key, path in files.items() if path}
    return {**tables, "broker": {**broker, **whole}}


def check_is_operators(fleet: FleetFolder) -> None:
    """Raises Refused on a machine that has the depot's part only."""
    if not fleet.root.exists() or not fleet.keys.is_dir():
        raise Refused(
            f"{fleet.path}: has no {FIRST_ROOT} and keys/: this needs the operator's whole folder"
        )
