"""`vedette fleet simulate`: many devices in one process, to try a broker and a depot with."""

from __future__ import annotations

import argparse
import math
import resource
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec
from msgspec.structs import replace

from fleet import flags
from fleet.enrolment.simulating import recipe
from fleet.folder import FleetFolder
from fleet.offering.flags import add_fleet_options, fleet_of
from fleet.rollout.flags import name
from fleet.silence import silence_link
from fleet.simulate.believing import Believing
from fleet.simulate.crowd import Crowd, Report
from fleet.simulate.device import MakeLink, Place
from fleet.wording import size
from wire.command_line import Parser
from wire.config import Broker
from wire.link import Link, MakeWill, Post
from wire.mqtt.mqtt import MqttLink
from wire.reactor import Reactor
from wire.troubles import Refused, Unavailable
from wire.trust.trust import Trust

MOST = 10_000
FILES_EACH, FILES_OURS = 1, 200  # that are open at a time
TELL_S, LOOK_S = 1.0, 0.1
SETTLE_S = 45.0  # for what is not acknowledged at the end: it is sent again after 30

DESCRIPTION = """\
Be many devices at once: each has a connection of its own under its own name, a will, presence,
state and telemetry (made up), and hears the bell. With --fetch each one also takes what is deployed
to its pipeline, by the code of real devices: it asks for the signed metadata, judges the deployment
for itself, asks for blocks and checks each against its signed digest; then it reports the model as
good; and it obeys signed commands (vedette ask), with answers that are made up. One device verifies
the metadata, and the others take the same bytes only. The bytes of models are kept nowhere. No
camera, no engine: nothing is run. Ctrl-C ends it, and every device says goodbye.
"""
EPILOG = """\
exit code: 0 ended as asked; with --once: every device has what is deployed
           1 something was not there: the broker lets none of them speak; at the end no
             device was connected; with --once: not every device has what is deployed
           2 refused
Simulated devices stay known to the broker as offline devices, like real ones that were there.
"""


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    fleet = fleet_of(words)
    if words.once and not words.fetch:
        raise Refused("--once waits until all have what is deployed: add --fetch")
    silence_link()  # what hinders so many is told once, in the report
    _make_room_for_files(words.devices)
    stop = _stop_on_signals()
    end_s = time.monotonic() + (words.seconds or math.inf)
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="vedette-simulate-"))
        width = len(str(words.devices))
        names = [f"{words.prefix}-{number:0{width}}" for number in range(1, words.devices + 1)]
        believing = None
        if words.fetch:
            believing = stack.enter_context(closing(_believing(fleet, Path(scratch))))
        reactor = stack.enter_context(closing(Reactor()))
        place = Place(
            fleet.name, believing, words.pipeline, words.telemetry_s, words.spread_s,
            "registry" if words.registry else "broker", reactor, words.snapshots,
        )  # fmt: skip
        crowd = Crowd(names, place, _link_to(fleet.broker, words.own_users, reactor))
        stack.callback(crowd.close)
        crowd.open()
        is_done = _turn(crowd, stop, end_s, words.once)
        if words.registry and not crowd.is_unheard:
            crowd.settle(SETTLE_S, stop)
        report = crowd.report()
    is_unheard = report.connected > 0 and report.heard == 0
    if is_unheard and not words.json:
        raise Unavailable(recipe(fleet))
    if words.json:
        print(msgspec.json.encode(report).decode())
    else:
        print(_line(report))
    if is_unheard:
        raise Unavailable(recipe(fleet))
    is_right = is_done if words.once else report.connected > 0
    return 0 if is_right else 1


def _turn(crowd: Crowd, stop: threading.Event, end_s: float, once: bool) -> bool:
    """Until the end. Whether every device had what is deployed."""
    told, told_s = "", -math.inf
    while True:
        now_s = time.monotonic()
        if now_s - told_s >= TELL_S or stop.is_set() or now_s >= end_s:
            report = crowd.report()
            told_s = now_s
            if (line := _line(report)) != told:
                told = line
                print(line, file=sys.stderr, flush=True)
            is_done = report.up_to_date == report.devices
            if stop.is_set() or now_s >= end_s or (once and is_done) or crowd.is_unheard:
                return is_done
        stop.wait(min(LOOK_S, max(0.0, end_s - now_s)))


def _line(report: Report) -> str:
    line = f"{report.connected} of {report.devices} connected"
    if report.records:
        line += f"; {report.records} records, {report.waiting} of them not acknowledged"
    if report.dropped:
        line += f", {report.dropped} dropped"
    if report.lost:
        line += f", {report.lost} connections lost"
    if report.up_to_date or report.fetched:
        line += f"; {report.up_to_date} are up to date; {report.fetched} models fetched"
    if report.fetch_s is not None:
        p50, p99, most = report.fetch_s
        line += f" in {p50:.1f} s (median), {p99:.1f} s (p99), {most:.1f} s (all)"
    if report.idle:
        line += f"; nothing is deployed to the pipeline of {report.idle}"
    if report.received_bytes:
        line += f"; {size(report.received_bytes)} came"
    for why, count in sorted(report.troubles.items(), key=lambda one: -one[1])[:1]:
        line += f"; {count} with trouble: {why}"
    return line


def _believing(fleet: FleetFolder, folder: Path) -> Believing:
    """What all devices trust, kept in a folder."""
    try:
        root = fleet.root.read_bytes()
    except OSError as error:
        raise Unavailable(
            f"{fleet.root}: {error.strerror}: devices need the first root: copy it there"
        ) from None
    return Believing(lambda source: Trust(folder, root, source, time.time))


def _make_room_for_files(devices: int) -> None:
    """Raises Refused where this user may not open so many."""
    wanted = devices * FILES_EACH + FILES_OURS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise Refused(
                f"{devices} devices need {wanted} open files, and {hard} are allowed here: fewer "
                "--devices, or ulimit -Hn"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _link_to(broker: Broker, own_users: bool, reactor: Reactor) -> MakeLink:
    def make(client_id: str, post: Post, will: MakeWill) -> Link:
        ours = replace(broker, username=client_id) if own_users else broker
        return MqttLink(ours, client_id, post, will, reactor=reactor)

    return make


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def count(text: str) -> int:
    """How many devices."""
    value = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= value <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to {MOST}")
    return value


def seconds(text: str) -> float:
    """A time, 0.1 s at least."""
    value = flags.seconds(text)
    if not 0.1 <= value <= 1e7:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0.1 on")
    return value


def spread(text: str) -> float:
    """A time, which may be none."""
    return 0.0 if text.strip() in ("0", "0.0") else seconds(text)


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet simulate",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--devices", type=count, required=True, metavar="N", help="how many")
    parser.add_argument("--fetch", action="store_true", help="take what is deployed")
    parser.add_argument(
        "--once", action="store_true", help="end when every device has what is deployed"
    )
    parser.add_argument(
        "--pipeline", type=name, default="lane", metavar="NAME",
        help="the one that each device has (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--prefix", type=name, default="simulated", metavar="NAME",
        help="of the devices' names: NAME-1, NAME-2... (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--telemetry-s", type=seconds, default=60.0, metavar="S",
        help="between two records of one device (default: 60)",
    )  # fmt: skip
    parser.add_argument(
        "--spread-s", type=spread, default=2.0, metavar="S",
        help="devices wake at chance within so many seconds after the bell (default: 2)",
    )  # fmt: skip
    parser.add_argument(
        "--registry", action="store_true",
        help="keep each record until a registry has acknowledged it, not the broker alone; after "
        "--seconds, wait for the last ones",
    )  # fmt: skip
    parser.add_argument(
        "--snapshots", action="store_true",
        help="with --fetch: send a picture, which is made up, to who asks by a signed command",
    )  # fmt: skip
    parser.add_argument("--seconds", type=seconds, metavar="S", help="end after S seconds")
    parser.add_argument(
        "--own-users", action="store_true",
        help="each device's user name at the broker is its name, with the one password",
    )  # fmt: skip
    add_fleet_options(parser)
    return parser
