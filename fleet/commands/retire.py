"""`vedette fleet retire MODEL VERSION`: let no device take a version any more."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fleet.folder import FleetFolder
from fleet.offering.desk import Desk, note, open_desk
from fleet.offering.flags import add_fleet_options, fleet_of
from fleet.offering.keys import add_key_options, ask_words, keep_pending, release_keys
from fleet.offering.push import Draft, signed
from fleet.roles import roles
from fleet.roles.targets import without_version
from fleet.rollout.deploy import check_released
from fleet.rollout.draft import Release, in_force, release_of, without
from fleet.rollout.flags import name, version
from fleet.rollout.words import named
from wire.command_line import Parser
from wire.deployments import Deployment
from wire.troubles import Refused


class Report(Struct, frozen=True):
    """`--json`. retired: the versions that no device can get any more. pipelines: whose deployments
    named them, and do not any more. missing: the metadata that others must still sign."""

    ok: bool
    model: str
    retired: tuple[str, ...]
    pipelines: tuple[str, ...] = ()
    missing: str | None = None


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    folder = fleet_of(words)
    with open_desk(folder) as (desk, _):
        check_released(desk, words.model, words.version)
        gone = _versions(words, desk)
        deployments = desk.deployments()
        if not words.force:
            _check_unused(deployments, gone)
        targets = roles.renewed(desk.chain.targets, "targets", time.time())
        for each in gone:
            targets = without_version(targets, *each)
        release = signed(targets, release_keys(words, folder, desk.chain.root), desk.chain)
        report = _retire(folder, desk, release, gone, deployments)
    if words.json:
        print(msgspec.json.encode(report).decode())
    elif report.ok:
        print(f"{words.model} {named(report.retired)}: retired: no device will take it any more")
    return 0 if report.ok else 1


def _retire(
    folder: FleetFolder,
    desk: Desk,
    release: Draft,
    gone: Sequence[Release],
    deployments: Sequence[Deployment],
) -> Report:
    """First from the deployments, then from the release: none may name what is not there."""
    report = Report(not release.lack.count, gone[0][0], tuple(version for _, version in gone))
    if release.lack.count:
        path = keep_pending(folder, release.targets, ())
        note(ask_words(release.lack, path, folder))
        return replace(report, retired=(), missing=str(path))
    pipelines = _forget(desk, deployments, gone)
    desk.release(release.targets, (), f"release {roles.version_of(release.targets)}")
    return replace(report, pipelines=pipelines)


def _versions(words: argparse.Namespace, desk: Desk) -> list[Release]:
    """What is to go: this one, with --older also those of lower numbers."""
    released = desk.versions()[words.model]
    if not words.older:
        return [(words.model, words.version)]
    last = released.index(words.version)
    return [(words.model, each) for each in released[: last + 1]]


def _check_unused(deployments: Iterable[Deployment], gone: Sequence[Release]) -> None:
    """Raises Refused while devices are to run one of them."""
    for deployment in deployments:
        for rule in in_force(deployment):
            if release_of(rule) in gone:
                raise Refused(
                    f"{rule.model} {rule.version} is deployed to {deployment.pipeline}: deploy "
                    "another or roll it back first (--force takes it out of the deployment)"
                )


def _forget(
    desk: Desk, deployments: Iterable[Deployment], gone: Sequence[Release]
) -> tuple[str, ...]:
    """Take the versions out of all deployments. A roll back could bring them back otherwise."""
    changed = []
    for deployment in deployments:
        after = without(deployment, gone)
        if after != deployment:
            desk.deploy(deployment, after)
            changed.append(deployment.pipeline)
            note(f"{deployment.pipeline}: its deployment does not name it any more")
    return tuple(changed)


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet retire",
        description="Take a version of a model out of what the release key signs: no device will "
        "take it any more, whoever deploys it, and the version cannot be pushed again. A device "
        "that runs it goes on until it is given another.",
        epilog="exit code: 0 retired, 1 something was not there, 2 refused",
    )
    parser.add_argument("model", type=name, metavar="MODEL")
    parser.add_argument("version", type=version, metavar="VERSION")
    parser.add_argument("--older", action="store_true", help="those of lower numbers, too")
    parser.add_argument(
        "--force", action="store_true",
        help="also if it is deployed now: its rules go from the deployments",
    )  # fmt: skip
    add_key_options(parser)
    add_fleet_options(parser)
    return parser
