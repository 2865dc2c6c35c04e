"""`vedette fleet forget`: the broker, and every dashboard, forgets devices that are no more."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from fleet.commands.enroll import a_name
from fleet.enrolment.book import Book
from fleet.enrolment.broker_files import CONF, LISTS, all_names, steps, write_lists
from fleet.enrolment.enrolling import authority_of
from fleet.enrolment.files import writing
from fleet.enrolment.leaving import Left, forget, forget_offline
from fleet.flags import seconds
from fleet.folder import check_is_operators, open_fleet
from fleet.offering.flags import add_fleet_options, fleet_of
from fleet.silence import silence_link
from wire.command_line import Parser
from wire.troubles import one_line

PATIENCE_S = 5.0
WORDS = {
    "removed": "the broker keeps nothing of it any more; it comes back if it connects again",
    "nothing": "the broker kept nothing of it: is the name right? whoever listens forgets it",
    "online": "is online, and stays: end it first, or vedette fleet revoke it",
    "unknown": "the broker keeps nothing of it, and it was never enrolled: is the name right? "
    "where a dashboard shows it all the same: --although-unknown",
    "unreachable": "the broker was not reached",
}


class Device(Struct, frozen=True):
    """outcome: removed, nothing (was kept of it), online, refused, unknown (nothing is kept of it,
    it was never enrolled, and the broker's rules do not allow it), unreachable."""

    name: str
    outcome: str
    why: str


class Outcome(Struct, frozen=True):
    """What --json prints. steps: what the broker needs before those that it refused can go."""

    devices: tuple[Device, ...]
    steps: tuple[str, ...]


def main(argv: Sequence[str]) -> int:
    """0: all are forgotten. 1: not yet. 2: one is online, or nobody knows it."""
    words = parser().parse_args(argv)
    silence_link()  # that the broker's rules must be changed first is no trouble
    fleet = fleet_of(words)
    names = tuple(dict.fromkeys(words.name))
    remove = forget if words.although_online else forget_offline
    found = remove(fleet, names, words.patience)
    unknown = () if words.although_unknown else _unknown(words.dir, found)
    outcome = Outcome(
        tuple(
            Device(name, "unknown", "")
            if name in unknown
            else Device(name, found[name].outcome, found[name].why)
            for name in names
        ),
        _allowed(words.dir, {name: one for name, one in found.items() if name not in unknown}),
    )
    if words.json:
        print(msgspec.json.encode(outcome).decode())
    else:
        for line in _lines(outcome):
            print(one_line(line))
    outcomes = {one.outcome for one in outcome.devices}
    if outcomes & {"online", "unknown"}:
        return 2
    return 0 if outcomes <= {"removed", "nothing"} else 1


def _unknown(folder: Path, found: Mapping[str, Left]) -> tuple[str, ...]:
    """Names, mistyped most likely, for which the broker's rules are not to be changed: it keeps
    nothing of them, and the book does not have them."""
    book = Book(open_fleet(folder).path)
    refused = (name for name, one in found.items() if one.outcome == "refused" and not one.is_kept)
    return tuple(name for name in refused if book.find(name) is None)


def _allowed(folder: Path, found: Mapping[str, Left]) -> tuple[str, ...]:
    """Let the broker's rules allow it where they did not, if they are ours. What is to be done."""
    refused = [name for name, one in found.items() if one.outcome == "refused"]
    fleet = open_fleet(folder)
    if not refused or not (fleet.broker_files / CONF).exists():
        return ()
    check_is_operators(fleet)
    with writing(fleet.path):
        book = Book(fleet.path)
        for name in refused:
            book.let_forget(name, time.time())
        written = write_lists(fleet, book.entries(), authority_of(fleet))
    files = all_names() if written.needs_restart else LISTS
    return tuple(steps(fleet, files, "restart" if written.needs_restart else "reload"))


def _lines(outcome: Outcome) -> list[str]:
    lines = []
    for one in outcome.devices:
        words = WORDS.get(one.outcome, "not yet")
        lines.append(f"{one.name}: {words}" + (f": {one.why}" if one.why else ""))
    refused = [one.name for one in outcome.devices if one.outcome == "refused"]
    if outcome.steps:
        lines += ["they do now, once mosquitto goes by them:"]
        lines += [f"  {step}" for step in outcome.steps]
        lines.append(f"then once more: vedette fleet forget {' '.join(refused)}")
    elif refused:
        lines.append("let the broker's rules allow us to write presence and state of these")
    return lines


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet forget",
        description="Forget devices that are no more: removes presence and state, which the broker "
        "keeps, so that no dashboard and no `vedette watch` shows them. For one that was enrolled, "
        "and shall not come back: vedette fleet revoke. A device that connects again is there "
        "again. What the registry stored of it stays until it expires.",
        epilog="exit code: 0 all are forgotten, 1 not yet: the broker was not reached, or its "
        "rules must be changed first, 2 one is online, or nobody knows it",
    )
    parser.add_argument("name", nargs="+", type=a_name, metavar="NAME", help="of a device")
    parser.add_argument(
        "--although-online", action="store_true",
        help="also who is kept as online: one that died together with the broker",
    )  # fmt: skip
    parser.add_argument(
        "--although-unknown", action="store_true",
        help="also one that neither the broker nor the fleet's folder has anything of",
    )  # fmt: skip
    parser.add_argument(
        "--patience", type=seconds, default=PATIENCE_S, metavar="S",
        help="how long to try to reach the broker (default: %(default)s)",
    )  # fmt: skip
    add_fleet_options(parser)
    return parser
