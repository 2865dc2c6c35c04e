"""`vedette fleet status`: who runs what, who is fetching, who rolled back and why."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import msgspec

from fleet.folder import check_is_operators
from fleet.offering.candidates import candidates
from fleet.offering.desk import Desk, open_session
from fleet.offering.flags import add_fleet_options, fleet_of
from fleet.offering.offering import Session
from fleet.rollout.report import Status, device_lines, device_warnings, expiry_warnings, lines
from wire.command_line import Parser
from wire.offers import Candidate
from wire.troubles import Trouble, one_line


def main(argv: Sequence[str]) -> int:
    """0: all was there. 1: no depot answers, and what is shown is as it was known before."""
    words = parser().parse_args(argv)
    folder = fleet_of(words)
    check_is_operators(folder)
    with open_session(folder) as session:
        desk = Desk(folder, session)
        trouble: str | None = None
        waiting: tuple[Candidate, ...] = ()
        try:
            desk.refresh()
            waiting = candidates(session)
        except Trouble as error:
            trouble = str(error)
        session.survey()
        status = _status(desk, session, waiting, trouble)
    if words.json:
        print(msgspec.json.encode(status).decode())
    else:
        for line in lines(status, time.time()):
            print(one_line(line))
    return 0 if trouble is None else 1


def _status(
    desk: Desk, session: Session, waiting: tuple[Candidate, ...], trouble: str | None
) -> Status:
    chain, trusted, now_s = desk.trust.chain, desk.trust.trusted, time.time()
    deployments = desk.deployments()
    digests = {
        (model, version): desk.digests(model, version)
        for model, versions in desk.versions().items()
        for version in versions
    }
    devices = device_lines(session.devices, deployments, digests, now_s)
    warnings = [] if trouble is None else [trouble]
    if chain is not None:
        warnings += expiry_warnings(chain, now_s)
    warnings += device_warnings(devices, trusted)
    return Status(
        fleet=session.fleet,
        trusted=trusted,
        deployments=deployments,
        models=desk.versions(),
        devices=devices,
        candidates=waiting,
        warnings=tuple(warnings),
    )


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet status",
        description="Show what is deployed, what each device runs and should run, who is fetching, "
        "who rejected or rolled back a version and why, who is offline, which bundles wait for a "
        "signature, and what expires soon.",
        epilog="exit code: 0 all is shown, 1 no depot answers: what is signed is shown as it was "
        "known here before",
    )
    add_fleet_options(parser)
    return parser
