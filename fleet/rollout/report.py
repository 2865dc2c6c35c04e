"""What `vedette fleet status` shows: deployments, who runs what, and what needs somebody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from fleet.devices import Device, Fleet
from fleet.roles import roles
from fleet.roles.roles import LIFETIME_S, RoleName
from fleet.rollout.draft import in_force, release_of
from fleet.rollout.rollout import (
    Goal,
    Stand,
    hindrances,
    is_there,
    model_faults,
    progress_of,
    who_is,
)
from fleet.rollout.words import rules_words
from fleet.wording import model_words, printable, size, stretch
from wire.deployments import Deployment, Rule, rule_for
from wire.messages import Trusted
from wire.offers import Candidate
from wire.release import WARN_S
from wire.trust.kept import Chain

OFFLINE_ROLES: tuple[RoleName, ...] = ("root", "targets")
ONLINE_ROLES: tuple[RoleName, ...] = ("snapshot", "timestamp", "deployments")
Digests = Mapping[tuple[str, str], frozenset[str]]  # by model and version
LATE = 0.4  # of its lifetime is left: the depot should have signed it anew at half
DIGITS = 12  # of a digest, where people read it


class PipelineLine(Struct, frozen=True):
    """One pipeline of a device. wanted: model and version, None: nothing is deployed to it.
    stand: None where nothing is wanted. words: how far it is. digest: of what runs."""

    runs: str
    wanted: str | None
    stand: Stand | None
    words: str
    phase: str | None = None
    percent: int | None = None
    reason: str | None = None
    digest: str | None = None


class StatusLine(Struct, frozen=True):
    """One device. trusted: the metadata that it believes, None: none yet. faults:
    that keep it from updates. damages: models that should run and cannot, each with its pipeline.
    """

    online: bool
    board: str
    groups: tuple[str, ...]
    trusted: Trusted | None
    pipelines: Mapping[str, PipelineLine]
    faults: tuple[str, ...] = ()
    damages: tuple[str, ...] = ()


class Status(Struct, frozen=True):
    """`--json`. trusted: the newest signed metadata, None: never seen. models: released versions.
    warnings: what needs somebody."""

    fleet: str
    trusted: Trusted | None
    deployments: tuple[Deployment, ...]
    models: Mapping[str, tuple[str, ...]]
    devices: Mapping[str, StatusLine]
    candidates: tuple[Candidate, ...]
    warnings: tuple[str, ...]


def device_lines(
    fleet: Fleet, deployments: Iterable[Deployment], digests: Digests, now_s: float
) -> dict[str, StatusLine]:
    """Every device that said what it is, by name. digests: of the variants of each version."""
    by_name = {deployment.pipeline: deployment for deployment in deployments}
    found = {}
    for device in sorted(fleet.devices.values(), key=lambda each: each.name):
        who, state = who_is(device), device.state
        if who is None or state is None:
            continue
        pipelines = {}
        for name in sorted(state.pipelines):
            deployment = by_name.get(name)
            rule = None if deployment is None else rule_for(deployment, who)
            pipelines[name] = _pipeline_line(device, name, rule, digests, now_s)
        found[device.name] = StatusLine(
            online=is_there(device, now_s),
            board=printable(state.board),
            groups=state.groups,
            trusted=state.trusted,
            pipelines=pipelines,
            faults=hindrances(device),
            damages=model_faults(device),
        )
    return found


def _pipeline_line(
    device: Device, name: str, rule: Rule | None, digests: Digests, now_s: float
) -> PipelineLine:
    assert device.state is not None
    running = device.state.pipelines[name]
    runs = "no model"
    if running.model:
        runs = printable(model_words(running.model, running.version))
    here = is_there(device, now_s)
    if rule is None:
        words = "nothing is deployed to it" if here else "offline"
        return PipelineLine(runs, None, None, words, digest=running.digest)
    release = release_of(rule)
    progress = progress_of(device, Goal(name, rule, digests.get(release, frozenset())), now_s)
    return PipelineLine(
        runs=runs,
        wanted=model_words(*release),
        stand=progress.stand,
        words=progress.how if here or progress.is_over else "offline",
        phase=progress.phase,
        percent=progress.percent,
        reason=progress.reason,
        digest=running.digest,
    )


def expiry_warnings(chain: Chain, now_s: float) -> list[str]:
    """What will stop updates if nobody does anything. now_s: Unix time."""
    found = []
    parts = {"root": chain.root, "targets": chain.targets, "snapshot": chain.snapshot,
             "timestamp": chain.timestamp, "deployments": chain.deployments}  # fmt: skip
    for role in OFFLINE_ROLES:
        left_s = roles.expires_of(parts[role]) - now_s
        if left_s < WARN_S:
            found.append(f"{role} metadata {_ends(left_s)}: vedette fleet keys renew")
    for role in ONLINE_ROLES:
        left_s = roles.expires_of(parts[role]) - now_s
        if left_s < LATE * LIFETIME_S[role]:
            found.append(f"{role} metadata {_ends(left_s)}: the depot should have renewed it")
    return found


def device_warnings(found: Mapping[str, StatusLine], trusted: Trusted | None) -> list[str]:
    """Devices that will not do what is deployed, and do not say so in a phase."""
    warnings = []
    for name, device in found.items():
        if device.online:
            warnings += [f"{name}: {damage}" for damage in device.damages]
        if not device.online or all(line.wanted is None for line in device.pipelines.values()):
            continue
        why = "".join(f": {fault}" for fault in device.faults[:1])
        if device.trusted is None and why:
            warnings.append(f"{name}: believes no signed metadata{why}")
        elif device.trusted is None:
            warnings.append(
                f"{name}: believes no signed metadata: is [updates] root in its vedette.toml?"
            )
        elif trusted is not None and device.trusted.deployments < trusted.deployments:
            warnings.append(
                f"{name}: is behind: it has deployments {device.trusted.deployments} of "
                f"{trusted.deployments}{why}"
            )
    return warnings


def lines(status: Status, now_s: float) -> list[str]:
    """The status for people."""
    found = [_head(status, now_s)]
    for deployment in status.deployments:
        told = rules_words(in_force(deployment)) or "nothing is deployed"
        found.append(f"pipeline {deployment.pipeline}: {told}")
    for model, versions in status.models.items():
        found.append(f"model {model}: {', '.join(versions)}")
    if status.devices:
        found += ["", *table(status.devices), ""]
    else:
        found.append("no device was seen")
    for each in status.candidates:
        short = each.digest[:DIGITS]
        found.append(
            f"candidate {short}: {each.model} {each.version} {each.format}, {size(each.size)}, "
            f"since {stretch(now_s - each.since)}: vedette fleet sign {short}"
        )
    return found + [f"warning: {each}" for each in status.warnings]


def table(found: Mapping[str, StatusLine]) -> list[str]:
    """In columns: device, pipeline, what it runs and should run, how far it is."""
    cells = [("device", "pipeline", "runs", "wanted", "how far")]
    for name, device in found.items():
        for pipeline, line in device.pipelines.items():
            cells.append((name, pipeline, line.runs, line.wanted or "-", line.words))
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    return [
        "  ".join((*(f"{row[column]:<{width}}" for column, width in enumerate(widths)), row[4]))
        for row in cells
    ]


def _head(status: Status, now_s: float) -> str:
    trusted = status.trusted
    if trusted is None:
        return f"fleet {status.fleet}: its signed metadata was never seen here"
    return (
        f"fleet {status.fleet}: root {trusted.root}, release {trusted.targets}, deployments "
        f"{trusted.deployments}, timestamp {trusted.timestamp}; the first of these "
        f"{_ends(trusted.expires - now_s)}"
    )


def _ends(left_s: float) -> str:
    if left_s <= 0:
        return f"expired {stretch(left_s)} ago"
    return f"expires in {stretch(left_s)}"
