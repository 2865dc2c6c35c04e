"""`vedette fleet revoke`: a name may come to the broker no more."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from fleet.commands.enroll import a_name
from fleet.enrolment.book import Book, Entry
from fleet.enrolment.broker_files import (
    CONF,
    LISTS,
    all_names,
    steps,
    still_let_in,
    write_lists,
)
from fleet.enrolment.enrolling import SERVER, authority_of
from fleet.enrolment.files import writing
from fleet.enrolment.leaving import forget
from fleet.flags import seconds
from fleet.folder import FleetFolder, add_dir_option, check_is_operators, open_fleet
from fleet.silence import silence_link
from wire.command_line import Parser
from wire.troubles import one_line

PATIENCE_S = 5.0
LET_IN = (
    "{name} is not revoked: the rules forbid it everything, but its certificate lets it in on: "
    "keys/authority.pem is gone, which signs the list of those that count no more: restore it from "
    "the backup, then vedette fleet revoke {name}"
)


class Outcome(Struct, frozen=True):
    """What --json prints. revoked: whether it belonged until now. kept: whether the broker still
    keeps its presence and state: removed, nothing (was kept), refused,
    unreachable, with `why`; None: not asked. in_force: the broker has shown that it goes by the
    new rules. still_let_in: its certificate counts on, although the rules forbid it everything:
    the authority is lost, which signs the list of those that were revoked."""

    name: str
    revoked: bool
    changed: tuple[str, ...]
    steps: tuple[str, ...]
    kept: str | None
    why: str
    in_force: bool
    still_let_in: bool


def main(argv: Sequence[str]) -> int:
    """0: what is to be done here is done. 1: it is not, without the authority."""
    words = parser().parse_args(argv)
    silence_link()  # that the broker goes by the old rules yet is no trouble
    fleet = open_fleet(words.dir)
    check_is_operators(fleet)
    with writing(fleet.path):
        book = Book(fleet.path)
        revoked = book.revoke(words.name, time.time())
        entries = book.entries()
        authority = authority_of(fleet)
        written = write_lists(fleet, entries, authority)
        is_let_in = words.name in still_let_in(fleet, entries, authority)
    verb = "restart" if written.needs_restart else "reload"
    files = all_names() if written.needs_restart else LISTS
    entry = book.find(words.name)
    kept, why = None, ""
    if entry is not None and entry.role == "device" and not words.offline:
        left = forget(fleet, [words.name], words.patience)[words.name]
        kept, why = left.outcome, left.why
    outcome = Outcome(
        words.name, revoked, written.changed, tuple(steps(fleet, files, verb)), kept, why,
        kept in ("removed", "nothing") and not revoked and not written.changed
        and not is_let_in and _is_shown_by_it(fleet, entry),
        is_let_in,
    )  # fmt: skip
    if words.json:
        print(msgspec.json.encode(outcome).decode())
    else:
        for line in _lines(outcome):
            print(one_line(line))
    return 1 if is_let_in else 0


def _is_shown_by_it(fleet: FleetFolder, entry: Entry | None) -> bool:
    """Whether only rules since the revocation let us remove what is kept: not those of a broker of
    somebody else, nor of one that has let us since the device was forgotten."""
    are_ours = (fleet.broker_files / CONF).exists()
    return are_ours and entry is not None and entry.forgotten_s is None


def _lines(outcome: Outcome) -> list[str]:
    name = outcome.name
    lines = [f"{name} is revoked" if outcome.revoked else f"{name} was revoked before"]
    if outcome.still_let_in:
        lines = [LET_IN.format(name=name)]
    if outcome.in_force:
        return [*lines, f"the broker keeps nothing of {name}, and goes by the new rules"]
    lines += ["it counts when mosquitto goes by it:", *(f"  {step}" for step in outcome.steps)]
    if outcome.kept in ("removed", "nothing"):
        lines.append(f"the broker keeps nothing of {name}")
    elif outcome.kept is not None:
        lines.append(
            "after the reload run it once more to clear its last words: "
            f"vedette fleet revoke {name}"
        )
        if outcome.kept == "unreachable":
            lines.append(f"the broker was not reached now: {outcome.why}")
    if name == SERVER:
        lines.append("for new credentials of this folder's commands: vedette fleet broker")
    return [*lines, "models and keys on the device stay there: wipe it, or take it apart"]


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet revoke",
        description="Let a name come to the broker no more: its certificate or password ends, and "
        "the rules forbid it everything. It counts when mosquitto has read the files anew. Again: "
        "removes what the broker keeps of a device that was revoked.",
        epilog="exit code: 0 done, 1 its certificate still lets it in, as the fleet's authority is "
        "gone, 2 refused: there is no such name",
    )
    parser.add_argument("name", type=a_name, metavar="NAME")
    add_dir_option(parser)
    parser.add_argument("--offline", action="store_true", help="do not try to reach the broker now")
    parser.add_argument(
        "--patience", type=seconds, default=PATIENCE_S, metavar="S",
        help="how long to try to reach the broker (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON object")
    return parser
