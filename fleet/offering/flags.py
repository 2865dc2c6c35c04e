"""The options by which fleet commands find the fleet's folder, its broker, and keys."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from fleet.flags import told_otherwise
from fleet.folder import FleetFolder, add_dir_option, open_fleet
from wire import topics


def add_fleet_options(parser: argparse.ArgumentParser) -> None:
    """--dir, and what is said otherwise than in its fleet.toml."""
    where = parser.add_argument_group("where (default: as fleet.toml in the fleet's folder says)")
    add_dir_option(parser)
    where.add_argument("--broker", metavar="URL", help="mqtt://, mqtts://, ws:// or wss://HOST")
    where.add_argument("--fleet", metavar="NAME")
    where.add_argument("--username", metavar="NAME")
    where.add_argument("--password-file", type=Path, metavar="FILE")
    where.add_argument("--ca-file", type=Path, metavar="FILE", help="trust this CA only")
    where.add_argument("--certificate-file", type=Path, metavar="FILE")
    where.add_argument("--key-file", type=Path, metavar="FILE", help="of the certificate")
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON object")


def fleet_of(words: argparse.Namespace) -> FleetFolder:
    """The fleet that the options name. Raises Unavailable if there is none, Refused."""
    folder = open_fleet(words.dir)
    name = folder.name if words.fleet is None else topics.checked(words.fleet)
    return dataclasses.replace(folder, name=name, broker=told_otherwise(folder.broker, words))
