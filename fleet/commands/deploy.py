"""`vedette fleet deploy PIPELINE MODEL VERSION`: say which devices run a released version."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fleet.offering.desk import note, open_desk
from fleet.offering.flags import add_fleet_options, fleet_of
from fleet.rollout.deploy import Wanted, carry_out, check_released, plan, survey, told
from fleet.rollout.flags import add_choice_options, add_wait_options, choice_of, name, version
from fleet.rollout.where import check_groups
from wire.command_line import Parser


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    wanted = Wanted(words.pipeline, words.model, words.version, choice_of(words))
    with open_desk(fleet_of(words)) as (desk, session):
        check_released(desk, words.model, words.version)
        desk.check_command_key()
        survey(session, wanted)
        if not words.yes:
            check_groups(wanted.choice, session.devices)
        change = plan(desk, session.devices, wanted, note)
        return told(words, carry_out(desk, session, change, words, note))


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet deploy",
        description="Say which devices run a version that was released before, and watch them take "
        "it. What is said again for the same version and groups goes on from there: raise --wave "
        "step by step, and devices that took it keep it. Who is not taken runs what was deployed "
        "before.",
        epilog="exit code: 0 every device that takes it and is online runs it, 1 a device rejected "
        "it or rolled it back, or something was not there, 2 refused",
    )
    parser.add_argument("pipeline", type=name, metavar="PIPELINE")
    parser.add_argument("model", type=name, metavar="MODEL")
    parser.add_argument("version", type=version, metavar="VERSION")
    add_choice_options(parser)
    parser.add_argument(
        "--yes", action="store_true", help="also for groups that no device is in which was seen"
    )
    add_wait_options(parser)
    add_fleet_options(parser)
    return parser
