"""The options by which an operator's command reaches the broker, and how times are written."""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from fleet.folder import DEFAULT, TOML, VARIABLE, default_folder, open_fleet
from wire.config import Broker
from wire.mqtt.url import address_of
from wire.troubles import Refused

USUAL_BROKER, USUAL_FLEET = "mqtt://localhost:1883", "home"


@dataclass(frozen=True)
class Where:
    """A fleet, and how its broker is reached."""

    fleet: str
    broker: Broker


def add_broker_options(parser: argparse.ArgumentParser) -> None:
    """--broker, --fleet and who we are there."""
    where = parser.add_argument_group(
        "where",
        f"Without --broker and --fleet: as {TOML} says, broker, name and credentials, in the "
        f"folder that {VARIABLE} names, else in ./{DEFAULT}. Where there is none: "
        f"{USUAL_BROKER}, fleet {USUAL_FLEET}.",
    )
    where.add_argument(
        "--broker", metavar="URL", help="mqtt://, mqtts://, ws:// or wss://HOST[:PORT]"
    )
    where.add_argument("--fleet", metavar="NAME")
    where.add_argument("--username", metavar="NAME")
    where.add_argument("--password-file", type=Path, metavar="FILE")
    where.add_argument("--ca-file", type=Path, metavar="FILE", help="trust this CA only")
    where.add_argument("--certificate-file", type=Path, metavar="FILE")
    where.add_argument("--key-file", type=Path, metavar="FILE", help="of the certificate")


def where_of(words: argparse.Namespace) -> Where:
    """The fleet that the options name, else the one whose folder is here. Raises Refused,
    Unavailable."""
    folder = default_folder()
    if words.broker is None and words.fleet is None:
        if (folder / TOML).exists():
            fleet = open_fleet(folder)
            return Where(fleet.name, told_otherwise(fleet.broker, words))
        if os.environ.get(VARIABLE):
            open_fleet(folder)  # it was named: why it is none is told
    broker = told_otherwise(Broker(USUAL_BROKER), words)
    return Where(USUAL_FLEET if words.fleet is None else words.fleet, broker)


def told_otherwise(broker: Broker, words: argparse.Namespace) -> Broker:
    """A broker, but for what the options say. Raises Refused."""
    files = ("password_file", "ca_file", "certificate_file", "key_file")
    given = {"url": words.broker, "username": words.username}
    given |= {file: getattr(words, file) for file in files}
    told = {
        name: str(value.absolute() if isinstance(value, Path) else value)
        for name, value in given.items()
        if value is not None
    }
    named = replace(broker, **told)
    address_of(named.url)  # said at the start, and not once a part connects
    if named.password_file is not None and named.username is None:
        raise Refused("--password-file: whose password is it? add --username NAME")
    return named


def seconds(text: str) -> float:
    """A length of time for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time: write seconds, as 60")
    return value
