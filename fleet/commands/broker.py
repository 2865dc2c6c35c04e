"""`vedette fleet broker`: a ready configuration for mosquitto, with TLS of the fleet's own."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from fleet.enrolment.authority import warning_of_end
from fleet.enrolment.broker_files import all_names, steps
from fleet.enrolment.setting_up import BrokerWish, SetUp, set_up
from fleet.folder import PLACE, add_dir_option
from wire.command_line import Parser
from wire.mqtt.url import address_of
from wire.troubles import one_line

IN_THE_CLEAR = (
    "warning: mqtt:// has no TLS: passwords and all else travel in the clear, and everybody on "
    "the way can speak as any device; for TLS: vedette fleet broker --url mqtts://HOST"
)


class Outcome(Struct, frozen=True):
    """What --json prints. made: what is new, in words. changed: the files in `folder` that are
    others than before. steps: the commands for the broker's machine. hosts: that its certificate
    is for; none without TLS. warning: about the authority, None where none is due. locked_out: who
    must be enrolled again, since the authority is a new one."""

    broker: str
    folder: str
    made: tuple[str, ...]
    changed: tuple[str, ...]
    steps: tuple[str, ...]
    hosts: tuple[str, ...]
    encrypted: bool
    warning: str | None
    locked_out: tuple[str, ...]


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    wish = BrokerWish(
        words.url, tuple(words.host), words.place, words.bind, words.new_authority
    )  # fmt: skip
    outcome = _outcome(set_up(words.dir.absolute(), wish, time.time()))
    if words.json:
        print(msgspec.json.encode(outcome).decode())
    else:
        for line in _lines(outcome):
            print(one_line(line))
    return 0


def _outcome(done: SetUp) -> Outcome:
    fleet = done.fleet
    return Outcome(
        fleet.broker.url, str(fleet.broker_files), done.made, done.written.changed,
        tuple(steps(fleet, all_names(), "restart")), done.hosts,
        address_of(fleet.broker.url).encrypted,
        None if done.ends_s is None else warning_of_end(done.ends_s, time.time()),
        done.locked_out,
    )  # fmt: skip


def _lines(outcome: Outcome) -> list[str]:
    lines = [f"{outcome.folder}: mosquitto's configuration for {outcome.broker}"]
    if outcome.hosts:
        lines.append(f"its certificate is for {', '.join(outcome.hosts)}: more with --host HOST")
    lines.append(f"new: {', '.join(outcome.made)}" if outcome.made else "nothing new was made")
    if not outcome.encrypted:
        lines.append(IN_THE_CLEAR)
    if outcome.warning is not None:
        lines.append(outcome.warning)
    if outcome.changed:
        lines += ["", "now, where mosquitto runs (apt install mosquitto):"]
    else:
        lines += ["", "no file changed; to bring them to the broker all the same:"]
    lines += [f"  {step}" for step in outcome.steps]
    if outcome.locked_out:
        lines += ["", "locked out until each is enrolled --again, as what it is:"]
        lines.append(f"  {', '.join(outcome.locked_out)}")
    return [
        *lines, "", "then: vedette fleet enroll NAME, for each device",
        "or, to try it with devices that are none: vedette fleet enroll sim --as simulator",
    ]  # fmt: skip


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet broker",
        description="Write a ready configuration for mosquitto into the folder broker/ of the "
        "fleet's: for mqtts:// with the fleet's own certificate authority, which is made the "
        "first time. The commands of this folder get an identity there too, `server`. Again: "
        "what is good stays, and the broker's certificate (2 years) is renewed in its last year.",
    )
    add_dir_option(parser)
    parser.add_argument(
        "--url", metavar="URL",
        help="where devices find the broker, mqtts://HOST[:PORT] (default: as fleet.toml says)",
    )  # fmt: skip
    parser.add_argument(
        "--host", action="append", default=[], metavar="HOST",
        help="a name or an address of the broker's machine, for its certificate; may be there "
        "several times, and without --url the first is the one that devices use",
    )  # fmt: skip
    parser.add_argument(
        "--place", metavar="FOLDER",
        help=f"where the files will lie on the broker's machine (default: {PLACE})",
    )  # fmt: skip
    parser.add_argument(
        "--bind", metavar="ADDRESS", help="listen there only (default: on all addresses)"
    )
    parser.add_argument(
        "--new-authority", action="store_true",
        help="the fleet's authority is lost or was stolen, and moved away: make another; all who "
        "were enrolled are locked out until they are enrolled --again",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON object")
    return parser
