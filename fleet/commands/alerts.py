"""`vedette fleet alerts`: what is wrong now, whom alerts are sent to, and whether that works."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from fleet.alerts.terms import Target
from fleet.database import add_database_option, database_of
from fleet.folder import FleetFolder
from fleet.offering.flags import add_fleet_options, fleet_of
from fleet.wording import plural, printable, stretch
from wire.command_line import Parser
from wire.troubles import Refused, Unavailable, one_line

if TYPE_CHECKING:
    from fleet.alerts.book import AlertBook

HISTORY = 20  # lines


class TargetLine(Struct, frozen=True):
    """Whom alerts go to. address: without what is secret in it; None where it is none. why: the
    last message could not be sent, or this one."""

    address: str | None
    kinds: tuple[str, ...]
    groups: tuple[str, ...]
    sent: bool | None = None
    why: str | None = None


class StandingLine(Struct, frozen=True):
    """What is wrong and was told. device: "" for the whole fleet. since: Unix time."""

    kind: str
    device: str
    words: str
    since: float


class ChangeLine(Struct, frozen=True):
    """What was told. turn: raised, worse, reminded or over. at: Unix time."""

    turn: str
    kind: str
    device: str
    words: str
    at: float


class Report(Struct, frozen=True):
    """`--json`. ok: whether every target that was tried took its message."""

    ok: bool
    fleet: str
    targets: tuple[TargetLine, ...] = ()
    standing: tuple[StandingLine, ...] = ()
    history: tuple[ChangeLine, ...] = ()


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    folder = fleet_of(words)
    report = _tested(folder) if words.test else _listed(folder, words)
    if words.json:
        print(msgspec.json.encode(report).decode())
    else:
        for line in _lines(report, time.time()):
            print(one_line(line))
    return 0 if report.ok else 1


def _tested(folder: FleetFolder) -> Report:
    """Send each target a message that says that it is a test."""
    if not folder.alerts:
        raise Refused(
            f"{folder.path}: its fleet.toml has no [[alerts]]: add one with a url: docs/alerts.md"
        )
    lines = tuple(_try(folder, target) for target in folder.alerts)
    return Report(all(line.sent for line in lines), folder.name, lines)


def _try(folder: FleetFolder, target: Target) -> TargetLine:
    from fleet.alerts.bulletin import Message
    from fleet.alerts.sending import address_of, send

    line = TargetLine(None, tuple(sorted(target.wanted)), target.groups, sent=False)
    try:
        address = address_of(target)
        line = msgspec.structs.replace(line, address=address.shown)
        body = f"This is a test: alerts of fleet {folder.name} arrive here."
        send(address, Message(f"[{folder.name}] a test", body, "over"))
    except (Refused, Unavailable) as error:
        return msgspec.structs.replace(line, why=str(error))
    return msgspec.structs.replace(line, sent=True)


def _listed(folder: FleetFolder, words: argparse.Namespace) -> Report:
    """What the database knows."""
    try:
        from fleet.alerts.book import open_book
    except ImportError as error:
        raise Unavailable(f"cannot load {error.name}: pip install 'vedette[fleet]'") from None
    address = database_of(folder, words.database)
    if words.database is None and not Path(address.removeprefix("sqlite:///")).exists():
        raise Unavailable(f"{folder.path}: has no database yet: vedette fleet serve makes it")
    with closing(open_book(address)) as book:
        standing = tuple(
            StandingLine(one.trouble.kind, one.trouble.subject, one.trouble.words, one.began_s)
            for one in book.standing()
        )
        history = tuple(
            ChangeLine(
                one.change.turn,
                one.change.trouble.kind,
                one.change.trouble.subject,
                one.change.trouble.words,
                one.change.at_s,
            )
            for one in book.history(HISTORY)
        )
        targets = tuple(_told(book, target) for target in folder.alerts)
    return Report(True, folder.name, targets, standing, history)


def _told(book: AlertBook, target: Target) -> TargetLine:
    from fleet.alerts.sending import address_of

    line = TargetLine(None, tuple(sorted(target.wanted)), target.groups)
    try:
        address = address_of(target)
    except (Refused, Unavailable) as error:
        return msgspec.structs.replace(line, why=str(error))
    return msgspec.structs.replace(line, address=address.shown, why=book.told(address.id).why)


def _lines(report: Report, now_s: float) -> list[str]:
    """For people."""
    found = []
    for each in report.standing:
        whom = f"{each.device}: " if each.device else ""
        found.append(f"{stretch(now_s - each.since):>8}  {whom}{each.words}")
    if report.targets and all(line.sent is None for line in report.targets):
        count = plural(len(report.standing), "trouble") if report.standing else "nothing is wrong"
        found = [f"fleet {report.fleet}: {count}", *found]
    for number, line in enumerate(report.targets, 1):
        how = "" if line.sent is None else " took it" if line.sent else " did not take it"
        why = "" if line.why is None else f": {printable(line.why, 300)}"
        found.append(f"target {number}: {line.address or 'no address'}{how}{why}")
    if not report.targets:
        found.append("nobody is told: fleet.toml has no [[alerts]]: see docs/alerts.md")
    return found


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet alerts",
        description="List what is wrong and was told, and whom [[alerts]] of fleet.toml tell. "
        "vedette fleet serve looks, and tells.",
        epilog="exit code: 0 done, 1 a target did not take its message, or something is not there, "
        "2 refused",
    )
    parser.add_argument(
        "--test", action="store_true", help="send every target a message that says it is a test"
    )
    add_database_option(parser)
    add_fleet_options(parser)
    return parser
