"""`vedette fleet acl`: writes who may do what at the broker, by the book of names."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from fleet.enrolment.book import Book, Entry
from fleet.enrolment.broker_files import (
    LISTS,
    all_names,
    copy_lists,
    steps,
    still_let_in,
    write_lists,
)
from fleet.enrolment.enrolling import authority_of
from fleet.enrolment.files import writing
from fleet.folder import add_dir_option, check_is_operators, open_fleet
from wire.command_line import Parser
from wire.folders import named_path
from wire.troubles import one_line


class Member(Struct, frozen=True):
    """One name of the book. proof: None: it may not come."""

    name: str
    role: str
    groups: tuple[str, ...]
    proof: str | None
    revoked_s: int | None
    forgotten_s: int | None


class Outcome(Struct, frozen=True):
    """What --json prints. changed: files that say something new, in broker/ or where --to says.
    still_let_in: who was revoked, and can be shut out by rules alone, since the authority is
    lost."""

    folder: str
    changed: tuple[str, ...]
    steps: tuple[str, ...]
    members: tuple[Member, ...]
    still_let_in: tuple[str, ...]


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    fleet = open_fleet(words.dir)
    check_is_operators(fleet)
    with writing(fleet.path):
        entries = Book(fleet.path).entries()
        authority = authority_of(fleet)
        written = write_lists(fleet, entries, authority)
        verb = "restart" if written.needs_restart else "reload"
        if words.to is None:
            folder, changed = fleet.broker_files, written.changed
            files = all_names() if written.needs_restart else LISTS
            commands = steps(fleet, files, verb)
        else:
            folder = words.to.absolute()
            changed = tuple(path.name for path in copy_lists(fleet, folder))
            commands = [f"sudo systemctl {verb} mosquitto"]
    outcome = Outcome(
        str(folder), changed, tuple(commands), tuple(map(_member, entries)),
        still_let_in(fleet, entries, authority),
    )  # fmt: skip
    if words.json:
        print(msgspec.json.encode(outcome).decode())
    else:
        for line in _lines(outcome):
            print(one_line(line))
    return 0


def _member(entry: Entry) -> Member:
    proof = "certificate" if entry.serial else "password" if entry.password_hash else None
    return Member(entry.name, entry.role, entry.groups, proof, entry.revoked_s, entry.forgotten_s)


def _how(one: Member) -> str:
    if one.proof is not None:
        return f"by {one.proof}"
    return "revoked" if one.revoked_s else "forgotten" if one.forgotten_s else "was cut off"


def _lines(outcome: Outcome) -> list[str]:
    lines = [f"{one.name}: {one.role}, " + _how(one) for one in outcome.members] or [
        "nobody is enrolled yet: vedette fleet enroll NAME"
    ]
    what = ", ".join(outcome.changed) if outcome.changed else "as they were"
    lines.append(f"{outcome.folder}: {what}")
    if outcome.still_let_in:
        lines.append(
            f"warning: the certificates of {', '.join(outcome.still_let_in)} are refused by rules "
            "alone: keys/authority.pem is gone, which signs the list: restore it from the backup"
        )
    return [*lines, "for mosquitto to go by it:", *(f"  {step}" for step in outcome.steps)]


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet acl",
        description="Write the broker's side of who was enrolled and revoked: mosquitto's "
        "acl_file, password_file and crlfile, in broker/ of the fleet's folder. A device can "
        "speak only as itself. fleet enroll and fleet revoke do this too.",
    )
    add_dir_option(parser)
    parser.add_argument(
        "--to", type=named_path, metavar="FOLDER",
        help="write them there too: where the broker runs on this machine, /etc/mosquitto/vedette",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON object")
    return parser
