"""`vedette fleet enroll`: makes the one file by which a device, or a person, joins the fleet."""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from fleet.enrolment import enrolling
from fleet.enrolment.authority import Authority, warning_of_end
from fleet.enrolment.book import Book
from fleet.enrolment.broker_files import CONF, LISTS, Written, all_names, steps, write_lists
from fleet.enrolment.enrolling import Enrolled, Wish, authority_of
from fleet.enrolment.files import writing
from fleet.enrolment.simulating import simulators_proof
from fleet.folder import FleetFolder, add_dir_option, check_is_operators, open_fleet
from wire import topics
from wire.command_line import Parser
from wire.enrolment import ROLES, SUFFIX
from wire.folders import named_path
from wire.mqtt.url import address_of
from wire.troubles import Refused, Unavailable, one_line

LOCAL = ("localhost", "127.0.0.1", "::1")


class Name(Struct, frozen=True):
    """One name. proof: `certificate` or `password`. files: what was written for it."""

    name: str
    proof: str
    files: tuple[str, ...]
    replaced: bool


class Outcome(Struct, frozen=True):
    """What --json prints. changed: the broker's files that say something new. broker: what
    mosquitto has to do for that, and steps: the commands."""

    enrolled: tuple[Name, ...]
    changed: tuple[str, ...]
    broker: str | None
    steps: tuple[str, ...]
    warnings: tuple[str, ...]


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    wish = Wish(
        words.role, tuple(dict.fromkeys(map(topics.checked, words.group))), words.proof,
        words.acknowledged_by, words.snapshot, words.again,
    )  # fmt: skip
    if len(set(words.name)) < len(words.name):
        raise Refused("the same name twice")
    fleet = open_fleet(words.dir)
    check_is_operators(fleet)
    with writing(fleet.path):
        book = Book(fleet.path)
        for name in words.name:
            enrolling.check(book, name, wish)
        enrolling.proof_of(fleet, wish)
        give = partial(enrolling.hand_out, out=_out(words.out, words.name))
        done = [enrolling.enrol(fleet, book, name, wish, give, time.time()) for name in words.name]
        authority = authority_of(fleet)
        written = write_lists(fleet, book.entries(), authority)
    outcome = _outcome(fleet, done, written, tuple(_warnings(fleet, authority)))
    if words.json:
        print(msgspec.json.encode(outcome).decode())
    else:
        for line in _lines(outcome, wish, fleet):
            print(one_line(line))
    return 0


def _out(told: str | None, names: Sequence[str]) -> Path:
    """The file to write, or the folder, which is made where it can only be one. Raises Unavailable,
    OSError."""
    if told is None:
        return Path.cwd()
    out = Path(told).absolute()
    if not out.parent.is_dir():
        raise Unavailable(f"--out {told}: there is no folder {out.parent}: make it first")
    if not out.is_dir() and (told.endswith("/") or len(names) > 1):
        out.mkdir(mode=0o700)
    return out


def _outcome(
    fleet: FleetFolder, done: Sequence[Enrolled], written: Written, warnings: tuple[str, ...]
) -> Outcome:
    names = tuple(
        Name(one.name, one.proof, tuple(map(str, one.files)), one.replaced) for one in done
    )
    replaced = any(one.replaced for one in done)
    verb = "restart" if replaced or written.needs_restart else "reload"
    if not written.changed:
        return Outcome(names, (), None, (), warnings)
    files = all_names() if written.needs_restart else LISTS
    return Outcome(names, written.changed, verb, tuple(steps(fleet, files, verb)), warnings)


def _warnings(fleet: FleetFolder, authority: Authority | None) -> Iterator[str]:
    ends = None if authority is None else warning_of_end(authority.ends_s, time.time())
    if ends is not None:
        yield ends
    if not (fleet.broker_files / CONF).exists():
        yield (
            f"warning: the broker at {fleet.broker.url} must go by {fleet.broker_files}/acl and "
            "passwd: vedette fleet broker writes a configuration for it"
        )
    elif address_of(fleet.broker.url).host in LOCAL:
        yield (
            f"warning: {fleet.broker.url} is this very machine: other devices find no broker "
            "there; name it by vedette fleet broker --host HOST, then enroll --again"
        )


def _lines(outcome: Outcome, wish: Wish, fleet: FleetFolder) -> list[str]:
    lines = []
    for one in outcome.enrolled:
        lines.append(f"{one.name}: {wish.role} of the fleet {fleet.name}, by {one.proof}")
        lines += [f"  {file}" for file in one.files]
    lines += _next(outcome, wish, fleet)
    lines += outcome.warnings
    if outcome.broker is None:
        return [*lines, "nothing to do at the broker"]
    lines.append("at the broker, before that works:")
    lines += [f"  {step}" for step in outcome.steps]
    if outcome.broker == "restart" and any(one.replaced for one in outcome.enrolled):
        lines.append("a reload is not enough: who is connected with the old credentials would stay")
    return lines


def _next(outcome: Outcome, wish: Wish, fleet: FleetFolder) -> list[str]:
    one = outcome.enrolled[0]
    file = next(path for path in one.files if path.endswith(SUFFIX) or len(one.files) == 1)
    shown = shlex.quote(Path(file).name)
    if wish.role == "device":
        return [
            f"bring it to the device, and there: sudo scripts/install --enroll {shown}",
            f"or where Vedette runs already: sudo vedette enroll {shown}",
            "who has the file can speak as the device: remove it afterwards",
        ]
    folder = Path(file).parent
    if wish.role == "simulator":
        return _simulating(one, folder, fleet)
    if len(one.files) == 1:
        return ["for the files that commands take: --again --out FOLDER/"]
    broker = f"--broker {enrolling.url_for(fleet, proof_word(one.proof))} --fleet {fleet.name}"
    proof = f"--certificate-file {one.name}.pem --key-file {one.name}.pem"
    if one.proof == "password":
        proof = f"--username {one.name} --password-file {one.name}.password"
    ca = " --ca-file ca.pem" if (folder / "ca.pem").exists() else ""
    return [f"in {folder}: vedette watch {broker}{ca} {proof}"]


def _simulating(one: Name, folder: Path, fleet: FleetFolder) -> list[str]:
    proof = simulators_proof(fleet, proof_word(one.proof), one.name, folder)
    where = shlex.quote(str(fleet.path))
    return [
        f"vedette fleet simulate --dir {where} --devices 20 {proof}",
        f"it may speak as any device of the fleet: when it was tried out, vedette fleet revoke "
        f"{one.name}",
    ]


def proof_word(text: str) -> enrolling.Proof:
    return "certificate" if text == "certificate" else "password"


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet enroll",
        description="Make NAME.vedette: one file with configuration, root of trust, the broker's "
        "address and credentials, for `scripts/install --enroll` or `vedette enroll` on the "
        "device. The credentials are a certificate of the fleet's own authority (`vedette fleet "
        "broker` makes it) where the broker's address is mqtts://, else a password.",
    )
    parser.add_argument("name", nargs="+", type=a_name, metavar="NAME", help="of a device")
    add_dir_option(parser)
    parser.add_argument(
        "--group", action="append", default=[], metavar="G", help="it is in; may be there again"
    )
    parser.add_argument(
        "--as", dest="role", choices=ROLES, default="device", metavar="ROLE",
        help=f"{', '.join(ROLES)} (default: %(default)s)",
    )  # fmt: skip
    proof = parser.add_mutually_exclusive_group()
    for kind in ("password", "certificate"):
        proof.add_argument(f"--{kind}", dest="proof", action="store_const", const=kind)
    parser.add_argument(
        "--out", type=a_place, metavar="FILE",
        help="where to write; a folder (FOLDER/ makes it) gets NAME.vedette, and for persons PEM "
        "or password too (default: NAME.vedette, here)",
    )  # fmt: skip
    parser.add_argument(
        "--acknowledged-by",
        choices=("broker", "registry"),
        default="broker",
        help="whose word lets a device forget a record: registry where fleet serve or ingest runs",
    )
    parser.add_argument(
        "--snapshot", action="store_true", help="operators may ask the device for a picture"
    )
    parser.add_argument(
        "--again", action="store_true", help="replace a device: its old credentials end"
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as one JSON object")
    return parser


def a_place(text: str) -> str:
    """A path; the / at its end counts."""
    named_path(text)
    return text


def a_name(text: str) -> str:
    try:
        return topics.checked(text)
    except Refused as refused:
        raise argparse.ArgumentTypeError(str(refused)) from None
