"""`vedette fleet sign`: sign a candidate that waits in the depot, or metadata that others began."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from fleet.folder import FleetFolder
from fleet.offering.candidates import DIGITS, candidates, chosen, fetch
from fleet.offering.desk import Desk, note, open_desk
from fleet.offering.flags import add_fleet_options, fleet_of
from fleet.offering.keys import (
    add_key_options,
    ask_words,
    drop_pending,
    keep_pending,
    release_keys,
)
from fleet.offering.offering import Session
from fleet.offering.pending import changes, pending_files, read_pending
from fleet.offering.push import Draft, draft, signed
from fleet.offering.release import Parcels, new_parcels, read_parcels
from fleet.roles.roles import version_of
from fleet.wording import printable, size, stretch
from models import bundle
from models.manifest import Manifest
from wire.command_line import Parser
from wire.offers import Candidate
from wire.troubles import Refused, one_line


class Report(Struct, frozen=True):
    """`--json`. released: whether it is in force now. missing: the metadata that others must still
    sign. candidates: that wait, where none was named."""

    ok: bool
    released: bool = False
    model: str | None = None
    version: str | None = None
    missing: str | None = None
    candidates: tuple[Candidate, ...] = ()


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    folder = fleet_of(words)
    with open_desk(folder) as (desk, session):
        if words.candidate is None:
            return _list(words, candidates(session))
        if words.candidate.endswith(".json"):
            return _told(words, _sign_pending(words, folder, desk))
        return _told(words, _sign_candidate(words, folder, desk, session))


def _list(words: argparse.Namespace, waiting: tuple[Candidate, ...]) -> int:
    if words.json:
        print(msgspec.json.encode(Report(True, candidates=waiting)).decode())
        return 0
    for one in waiting:
        age = stretch(time.time() - one.since)
        line = f"{one.digest[:DIGITS]}  {one.model} {one.version} {one.format}  {size(one.size)}"
        print(one_line(f"{line}  waits for {age}"))
    if not waiting:
        print("no bundle waits for a signature")
    return 0


def _sign_candidate(
    words: argparse.Namespace, folder: FleetFolder, desk: Desk, session: Session
) -> Report:
    wanted = chosen(candidates(session), words.candidate)
    with tempfile.TemporaryDirectory(prefix="vedette-sign-") as place:
        note(f"fetching it from the depot: {size(wanted.size)}")
        file = fetch(session, wanted, Path(place), lambda _: None)
        parcels = read_parcels([file])
        _show(file, parcels)
        new = new_parcels(parcels, desk.trust.bundles(parcels.model, parcels.version))
        if not new:
            note("it is signed already")
            return Report(True, False, parcels.model, parcels.version)
        if words.yes and words.candidate != wanted.digest:
            raise Refused(
                "--yes needs the whole digest: whoever offers a bundle can choose how its digest "
                "begins"
            )
        _confirm(words, f"sign {parcels.words}?")
        release = draft(desk.chain, new, release_keys(words, folder, desk.chain.root))
        report = Report(True, True, parcels.model, parcels.version)
        return _finish(folder, desk, release, report)


def _sign_pending(words: argparse.Namespace, folder: FleetFolder, desk: Desk) -> Report:
    path = Path(words.candidate)
    targets = read_pending(path, desk.chain)
    for line in changes(desk.chain.targets, targets):
        note(line)
    files = pending_files(path, desk.chain.targets, targets)
    _confirm(words, f"sign release {version_of(targets)}?")
    keys = release_keys(words, folder, desk.chain.root)
    release = signed(targets, keys, desk.chain, files)
    report = _finish(folder, desk, release, Report(True, True), path)
    if report.released:
        drop_pending(path, files)
    return report


def _finish(
    folder: FleetFolder, desk: Desk, release: Draft, report: Report, path: Path | None = None
) -> Report:
    """Hand it over if it is complete, else write it down for who signs next."""
    if release.lack.count:
        path = keep_pending(folder, release.targets, release.files, path)
        note(ask_words(release.lack, path, folder))
        return msgspec.structs.replace(report, released=False, missing=str(path))
    desk.release(release.targets, release.files, f"release {version_of(release.targets)}")
    return report


def _input(manifest: Manifest) -> str:
    if manifest.row is not None:
        return f"a row of {manifest.row.count}"
    return f"{manifest.input.width} x {manifest.input.height}"


def _show(file: Path, parcels: Parcels) -> None:
    """What is about to be signed."""
    manifest = bundle.inspect(file).manifest
    boards = ", ".join(manifest.boards) or "any board"
    note(
        f"{parcels.words}: {manifest.task}, {manifest.format} for {boards}, "
        f"{size(file.stat().st_size)}, input {_input(manifest)} {manifest.takes.dtype}, "
        f"{len(manifest.golden)} golden samples"
    )
    note(f"sha256 {parcels.parcels[0].digest}")


def _confirm(words: argparse.Namespace, question: str) -> None:
    """A person looks at it, or has said --yes."""
    if words.yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise Refused("nobody is there to look at it: say --yes if it is to be signed unseen")
    print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("not signed")


def _told(words: argparse.Namespace, report: Report) -> int:
    if words.json:
        print(msgspec.json.encode(report).decode())
    elif report.released:
        what = f"{report.model} {report.version}" if report.model else "the release"
        print(f"{what}: signed and released: vedette fleet deploy brings it to devices")
    elif report.missing:
        print(f"signed, as far as it goes: {report.missing}")
    return 0


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet sign",
        description="Sign a bundle that was handed over unsigned (vedette fleet push --candidate), "
        "after fetching, verifying and showing it; or add a signature to release metadata where "
        "several must sign. Without an argument: list the bundles that wait.",
        epilog="exit code: 0 signed, 1 something was not there, 2 refused, and nothing was signed",
    )
    parser.add_argument(
        "candidate", nargs="?", metavar="CANDIDATE|N.targets.json",
        help="the first digits of its sha256, or the file that a push left in pending/",
    )  # fmt: skip
    parser.add_argument(
        "--yes",
        action="store_true",
        help="do not ask whether to sign it (a candidate: by its whole digest)",
    )
    add_key_options(parser)
    add_fleet_options(parser)
    return parser
