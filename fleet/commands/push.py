"""`vedette fleet push BUNDLE...`: sign bundles, hand them to the depot, deploy, watch devices."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from fleet.folder import FleetFolder
from fleet.offering.desk import TRIES, Desk, Overtaken, hand_over, note, open_desk, open_session
from fleet.offering.flags import add_fleet_options, fleet_of
from fleet.offering.keys import add_key_options, ask_words, keep_pending, release_keys
from fleet.offering.offering import Session
from fleet.offering.push import Draft, draft
from fleet.offering.release import Parcels, candidate_files, new_parcels, read_parcels
from fleet.rollout.deploy import Done, Plan, Report, Wanted, carry_out, plan, survey, told
from fleet.rollout.flags import (
    Choice,
    add_choice_options,
    add_wait_options,
    choice_of,
    name,
)
from wire.command_line import Parser
from wire.signing import SigningKey

DESCRIPTION = """\
Sign the bundles of one version of a model, hand them to the fleet's depot, deploy them to a
pipeline, and show how the devices take it until each has said how it ended. Several bundles are
variants of the version: a device takes the best that it can run. The same bytes again are no news.
"""
EPILOG = """\
exit code: 0 every device that takes it and is online runs it
           1 a device rejected it or rolled it back, or something was not there
           2 refused, and nothing was done
"""


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    choice = choice_of(words)
    folder = fleet_of(words)
    parcels = read_parcels(words.bundles)
    if words.candidate:
        return told(words, _offer_candidates(folder, parcels))
    with open_desk(folder) as (desk, session):
        return told(words, _push(words, choice, folder, parcels, desk, session))


def _push(
    words: argparse.Namespace,
    choice: Choice,
    folder: FleetFolder,
    parcels: Parcels,
    desk: Desk,
    session: Session,
) -> Done:
    """Whatever can be refused is refused before anything is sent."""
    desk.check_not_retired(parcels.model, parcels.version)
    new = new_parcels(parcels, desk.trust.bundles(parcels.model, parcels.version))
    change = None if words.no_deploy else _plan(words, choice, parcels, desk, session)
    report = Report(True, parcels.model, parcels.version, released=bool(new))
    if new:
        release = _release(desk, parcels, release_keys(words, folder, desk.chain.root))
        if release.lack.count:
            return _wait_for_signers(folder, report, release)
        note(f"{parcels.words}: released")
    else:
        note(f"{parcels.words}: released before, with the same bytes")
    if change is None:
        ending = "released" if new else "is there already: nothing to do"
        return Done(report, f"{parcels.words}: {ending}")
    done = carry_out(desk, session, change, words, note)
    return Done(replace(done.report, released=bool(new)), done.words)


def _release(desk: Desk, parcels: Parcels, keys: Sequence[SigningKey]) -> Draft:
    """Bring it into force if all signatures are there; anew where another push was quicker."""
    for left in reversed(range(TRIES)):
        new = new_parcels(parcels, desk.trust.bundles(parcels.model, parcels.version))
        release = draft(desk.chain, new, keys)
        if release.lack.count or not new:
            break
        try:
            desk.release(release.targets, release.files, parcels.words)
            break
        except Overtaken:
            if not left:
                raise
            note("somebody else released meanwhile: once more")
    return release


def _plan(
    words: argparse.Namespace, choice: Choice, parcels: Parcels, desk: Desk, session: Session
) -> Plan:
    wanted = Wanted(words.pipeline, parcels.model, parcels.version, choice)
    survey(session, wanted)
    change = plan(desk, session.devices, wanted, note)
    desk.check_command_key()
    return change


def _wait_for_signers(folder: FleetFolder, report: Report, release: Draft) -> Done:
    path = keep_pending(folder, release.targets, release.files)
    why = f"{ask_words(release.lack, path, folder)}; then vedette fleet deploy"
    return Done(replace(report, ok=False, released=False, missing=str(path)), why)


def _offer_candidates(folder: FleetFolder, parcels: Parcels) -> Done:
    with open_session(folder) as session:
        for parcel in parcels.parcels:
            hand_over(session, "candidate", candidate_files(parcel), str(parcel.file))
    digests = ", ".join(parcel.digest for parcel in parcels.parcels)
    return Done(
        Report(True, parcels.model, parcels.version),
        f"{parcels.words}: waits in the depot: vedette fleet sign {digests}",
    )


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet push",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "bundles", nargs="+", type=Path, metavar="BUNDLE", help="made by vedette fleet pack"
    )
    parser.add_argument(
        "--pipeline", type=name, metavar="NAME", help="for which (default: the model's name)"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--no-deploy", action="store_true", help="release it, and deploy it later")
    what.add_argument(
        "--candidate", action="store_true",
        help="hand it over without a signature: it waits for vedette fleet sign",
    )  # fmt: skip
    add_choice_options(parser)
    add_wait_options(parser)
    add_key_options(parser)
    add_fleet_options(parser)
    return parser
