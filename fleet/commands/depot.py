"""`vedette fleet depot`: serves signed models over MQTT and takes releases, as a service."""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Protocol

from fleet.depot.copy import PATIENCE_S, CopyDepot
from fleet.depot.depot import Depot, MakeLink
from fleet.depot.share import Share, share_of
from fleet.flags import seconds
from fleet.folder import FleetFolder
from fleet.offering.flags import add_fleet_options, fleet_of
from fleet.signer.signer import Signer, Versions
from fleet.turning import Signals, Turning, turn
from wire import logs
from wire.block.server import ServeTerms
from wire.block.standing_by import StandingBy
from wire.command_line import Parser
from wire.config import Broker
from wire.link import Link, Post
from wire.mqtt.mqtt import MqttLink
from wire.systemd import Notifier
from wire.troubles import Refused

log = logging.getLogger("vedette.depot")


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    fleet = fleet_of(words)
    logs.log_to_stderr("info")
    signals = Signals(words.seconds)
    terms = ServeTerms(kib_per_s=words.kib_per_s)
    with ExitStack() as stack:
        notifier = stack.enter_context(Notifier())
        depot: Serving
        if words.serve_only or words.standby:
            depot = _copy(words, fleet, terms)
        else:
            signer = Signer(fleet.depot)
            stack.callback(signer.close)
            link_to = _link_to(fleet.broker)
            depot = Depot(fleet.name, signer, link_to, terms, share=words.shard)
        signals.wake = depot.wake
        stack.callback(depot.close)
        depot.open()
        log.info("depot of fleet %s: %s", fleet.name, depot.status())
        turn(depot, signals, notifier)
    if words.json:
        print(_as_json(fleet, depot))
    return 0


class Serving(Turning, Protocol):
    """A depot of either kind."""

    @property
    def published_bytes(self) -> int: ...

    @property
    def versions(self) -> Versions | None: ...

    def open(self) -> None: ...

    def close(self) -> None: ...

    def wake(self) -> None: ...

    def counted(self) -> dict[str, int]: ...


def _copy(words: argparse.Namespace, fleet: FleetFolder, terms: ServeTerms) -> CopyDepot:
    standing_by = StandingBy(PATIENCE_S, time.monotonic) if words.standby else None
    link_to = _link_to(fleet.broker)
    return CopyDepot(fleet.name, fleet.depot, link_to, terms, words.shard, standing_by)


def _link_to(broker: Broker) -> MakeLink:
    def make(client_id: str, post: Post) -> Link:
        return MqttLink(broker, client_id, post)

    return make


def _as_json(fleet: FleetFolder, depot: Serving) -> str:
    versions = depot.versions
    return json.dumps(
        {
            "fleet": fleet.name,
            "versions": None if versions is None else asdict(versions),
            "published_bytes": depot.published_bytes,
            "counts": depot.counted(),
        }
    )


def share(text: str) -> Share:
    try:
        return share_of(text)
    except Refused as refused:
        raise argparse.ArgumentTypeError(str(refused)) from None


def kib(text: str) -> int:
    """A speed, in KiB a second."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 32 <= value <= 10_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 32 on")
    return value


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet depot",
        description="Serve the fleet's signed models over MQTT, take releases and deployments of "
        "operators, and keep the metadata fresh. It needs fleet.toml and depot/ of the fleet's "
        "folder, and nothing else of it. One process at a time works on a folder. More depots can "
        "serve devices from copies of it: a share each (--shard), or as a standby. One of all "
        "takes releases and signs: all others have --serve-only, and need no keys.",
    )
    add_fleet_options(parser)
    parser.add_argument(
        "--kib-per-s", type=kib, metavar="N", help="serve so many KiB a second at most"
    )
    parser.add_argument(
        "--shard", type=share, default=Share(), metavar="K/N",
        help="answer devices for the K-th of N shares of all files only",
    )  # fmt: skip
    parser.add_argument(
        "--serve-only", action="store_true",
        help="serve devices from a copy of depot/metadata and depot/targets; sign and take nothing",
    )  # fmt: skip
    parser.add_argument(
        "--standby", action="store_true",
        help="as --serve-only, and only while no other depot answers",
    )  # fmt: skip
    parser.add_argument("--seconds", type=seconds, metavar="S", help="stop after S seconds")
    return parser
