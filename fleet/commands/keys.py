"""`vedette fleet keys`: list, rotate and add keys, change thresholds, renew, sign for others."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from fleet.folder import FleetFolder
from fleet.founding import check_clock
from fleet.offering.desk import note
from fleet.offering.flags import add_fleet_options, fleet_of
from fleet.passphrase import Passphrases, add_passphrase_option
from fleet.roles import roles
from fleet.rotation.place import Place, open_place
from fleet.rotation.rotation import OFFLINE, ONLINE
from fleet.rotation.signing import kept
from fleet.rotation.words import as_table, listed, told_change
from fleet.rotation.work import ALL_ONLINE, Outcome, Work, sign_waiting
from wire.command_line import Parser
from wire.folders import named_path
from wire.troubles import Refused

ROTATED = (*OFFLINE, *ONLINE, ALL_ONLINE, "command")
WAITS = 1  # for signatures

USES = f"""\
what:
  list                       who signs for what, and until when it is valid
  rotate ROLE                a new key in the place of an old one: {", ".join(ROTATED)}
                             (online: all three keys of the depot)
  add root|release           one more key
  threshold root|release M   so many of the keys must sign
  renew                      sign root and release again, before they expire
  sign [FOLDER]              add signatures to a change that lacks some

Where more signatures are needed than there are keys here, the change waits in pending/keys of
the fleet's folder: who has the other keys runs vedette fleet keys sign on a copy of that folder.

exit code: 0 done, 1 signatures are missing or something is not there, 2 refused
"""


class Report(Struct, frozen=True):
    """`--json`. root, release: the versions in force. made: the new key's file, or the folder of
    several. missing: whose signatures the change in the folder `pending` waits for."""

    ok: bool
    root: int
    release: int
    made: str | None = None
    missing: str | None = None
    pending: str | None = None


def main(argv: Sequence[str]) -> int:
    words = parser().parse_intermixed_args(argv)
    what, *rest = words.words
    if what in WANTED and len(rest) < max(COUNTS[what]):
        raise Refused(f"vedette fleet keys {what} {WANTED[what]}")
    if what not in COUNTS or len(rest) not in COUNTS[what]:
        raise Refused(
            f"vedette fleet keys {' '.join(words.words)}: see --help for what can be said"
        )
    check_clock(time.time())
    phrases = Passphrases(words.passphrase_file)
    if what == "sign":
        return _told(words, _sign(words, phrases, Path(rest[0]) if rest else None))
    fleet = fleet_of(words)
    with open_place(fleet) as place:
        if what == "list":
            return _list(words, fleet, place)
        work = Work(fleet, place, phrases, words.key, time.time())
        return _told(words, _change(work, what, rest, words.replace))


COUNTS: dict[str, tuple[int, ...]] = {
    "list": (0,), "rotate": (1,), "add": (1,), "threshold": (2,), "renew": (0,), "sign": (0, 1),
}  # fmt: skip

WANTED = {
    "rotate": f"ROLE: say which role gets a new key: {', '.join(ROTATED)}",
    "add": f"ROLE: say which role gets one more key: {', '.join(OFFLINE)}",
    "threshold": f"ROLE M: say of which role M keys must sign: {', '.join(OFFLINE)}",
}


def _change(work: Work, what: str, rest: list[str], replace: str | None) -> Outcome:
    if what == "renew":
        return work.renew()
    possible = ROTATED if what == "rotate" else tuple(OFFLINE)
    if rest[0] not in possible:
        raise Refused(f"{rest[0]!r} is no role that can be named here: {', '.join(possible)}")
    if what == "rotate":
        return work.rotate(rest[0], replace)
    if what == "add":
        return work.add(rest[0])
    if not rest[1].isdecimal():
        raise Refused(f"{rest[1]!r} is no number of keys")
    return work.threshold(rest[0], int(rest[1]))


def _sign(words: argparse.Namespace, phrases: Passphrases, folder: Path | None) -> Outcome:
    waiting = kept(folder) if folder is not None else None
    if waiting is not None:
        for line in told_change(*waiting):
            note(line)
    return sign_waiting(folder, words.dir, phrases, words.key)


def _list(words: argparse.Namespace, fleet: FleetFolder, place: Place) -> int:
    found = listed(fleet, place.state, place.command_keys())
    print(msgspec.json.encode(found).decode() if words.json else as_table(found))
    return 0


def _told(words: argparse.Namespace, outcome: Outcome) -> int:
    report = Report(
        not outcome.missing,
        roles.version_of(outcome.state.root),
        roles.version_of(outcome.state.targets),
        None if outcome.made is None else str(outcome.made),
        outcome.missing or None,
        None if outcome.pending is None else str(outcome.pending),
    )
    if words.json:
        print(msgspec.json.encode(report).decode())
        return WAITS if outcome.missing else 0
    if report.made:
        print(f"new key: {report.made}")
    if report.missing:
        print(f"{report.missing}: they run vedette fleet keys sign on {report.pending}")
        return WAITS
    print(f"in force: root {report.root}, release {report.release}")
    return 0


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet keys",
        description="Look after the keys of a fleet.",
        epilog=USES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="+", metavar="WHAT", help="see below")
    parser.add_argument(
        "--replace", metavar="DIGITS", help="the key that goes, where a role has several"
    )
    parser.add_argument(
        "--key", type=named_path, nargs="+", action="extend", default=[], metavar="FILE",
        help="offline keys that sign (default: all of keys/ in the fleet's folder, as needed)",
    )  # fmt: skip
    add_passphrase_option(parser)
    add_fleet_options(parser)
    return parser
