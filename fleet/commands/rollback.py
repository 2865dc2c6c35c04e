"""`vedette fleet rollback PIPELINE`: what was deployed before comes into force again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from fleet.offering.desk import note, open_desk
from fleet.offering.flags import add_fleet_options, fleet_of
from fleet.rollout.deploy import Plan, carry_out, told
from fleet.rollout.draft import left_alone, release_of, rolled_back
from fleet.rollout.flags import add_wait_options, name
from fleet.rollout.rollout import who_is, with_pipeline
from fleet.rollout.words import named
from wire.command_line import Parser
from wire.deployments import Rule


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    with open_desk(fleet_of(words)) as (desk, session):
        before = desk.deployment(words.pipeline)
        after = rolled_back(desk.available(before))
        desk.check_command_key()
        session.survey()
        devices = with_pipeline(session.devices.devices.values(), words.pipeline)
        alone = left_alone(before, after, filter(None, map(who_is, devices)))
        model, version = release_of(before.rules[0])
        if alone:
            note(
                f"nothing was deployed to {named(alone)} before: they go on with {model} "
                f"{version}: deploy them another"
            )
        nobody = f"no device that was seen was to run {model} {version}: nothing changes for them"
        change = Plan(before, after, _is_another, if_nobody=nobody)
        return told(words, carry_out(desk, session, change, words, note))


def _is_another(before: Rule | None, after: Rule) -> bool:
    """Only devices for which this changes something are watched."""
    return before is None or release_of(before) != release_of(after)


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet rollback",
        description="Take the newest version of a pipeline's deployment away: what was deployed "
        "before comes into force again, on every device, and is watched. (A device on which a "
        "version fails goes back by itself; this is for versions that work, and are not wanted.)",
        epilog="exit code: 0 every device that is online runs it, 1 one does not, or something was "
        "not there, 2 refused: no version is known from before",
    )
    parser.add_argument("pipeline", type=name, metavar="PIPELINE")
    add_wait_options(parser)
    add_fleet_options(parser)
    return parser
