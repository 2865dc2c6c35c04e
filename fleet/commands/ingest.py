"""`vedette fleet ingest`: stores what devices say in the registry, as a service."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from contextlib import ExitStack

import msgspec

from fleet.database import add_database_option, database_of
from fleet.flags import seconds
from fleet.offering.flags import add_fleet_options, fleet_of
from fleet.turning import Signals, turn
from wire import logs
from wire.command_line import Parser
from wire.systemd import Notifier
from wire.troubles import Unavailable

GIB = 1 << 30
DESCRIPTION = """\
Store what devices say in the fleet's registry, and acknowledge it once it is durable: devices with
`acknowledged_by = "registry"` keep each record until then. Several of these share the work by
shared subscriptions of MQTT, and one of them keeps the database in order: minutes become ten
minutes and hours, and what is too old goes. `vedette fleet serve` does all this itself;
run this where the fleet outgrows one process.
"""

log = logging.getLogger("vedette.ingest")


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    fleet = fleet_of(words)
    logs.log_to_stderr("info")
    try:
        from fleet.ingest.part import IngestPart
        from fleet.registry.registry import open_registry
        from fleet.registry.words import Terms
    except ImportError as error:
        raise Unavailable(f"{error.name} is missing: pip install 'vedette[fleet]'") from None
    signals = Signals(words.seconds)
    with ExitStack() as stack:
        notifier = stack.enter_context(Notifier())
        registry = open_registry(database_of(fleet, words.database))
        stack.callback(registry.close)
        terms = Terms(keep_bytes=int(words.keep_gib * GIB))
        part = IngestPart(fleet.name, fleet.broker, registry, terms, words.sharing)
        stack.callback(part.close)
        log.info("ingest of fleet %s: %s", fleet.name, part.status())
        turn(part, signals, notifier)
    if words.json:
        print(msgspec.json.encode(part.counted()).decode())
    return 0


def gib(text: str) -> float:
    """Room, in GiB."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of GiB from 0.01 on")
    return value


def add_keep_option(parser: argparse.ArgumentParser) -> None:
    """--keep-gib"""
    parser.add_argument(
        "--keep-gib", type=gib, default=10.0, metavar="N",
        help="the room that the registry may take; then the oldest goes (default: 10)",
    )  # fmt: skip


def add_sharing_option(parser: argparse.ArgumentParser) -> None:
    """--alone"""
    parser.add_argument(
        "--alone", dest="sharing", action="store_const", const="alone", default="shared",
        help="no other process stores what devices say: needed where the broker knows no shared "
        "subscriptions",
    )  # fmt: skip


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet ingest",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_fleet_options(parser)
    add_database_option(parser)
    add_keep_option(parser)
    add_sharing_option(parser)
    parser.add_argument("--seconds", type=seconds, metavar="S", help="stop after S seconds")
    return parser
