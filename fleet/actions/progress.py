"""How far a deployment is, from what the devices of the live view say. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from fleet.actions.shelf import Digests
from fleet.devices import Device
from fleet.rollout.draft import in_force, release_of
from fleet.rollout.rollout import Goal, Progress, progress_of, taken
from fleet.rollout.words import audience
from wire.deployments import Deployment, Rule

MOST_DEVICES = 200  # that are listed
STANDS = ("good", "busy", "waiting", "offline", "failed")


class DeviceProgress(Struct, frozen=True):
    """One device. stand: one of STANDS. reason: why it is so, where that is known. since_s: when
    its phase began, in Unix time; trial_s: how long a trial is, at least."""

    device: str
    stand: str
    reason: str | None
    runs: str
    phase: str | None
    percent: int | None
    since_s: float | None
    trial_s: float


class RuleProgress(Struct, frozen=True):
    """A version of a deployment, and those that are to run it. counts: by STANDS. devices: those
    that are not good first; no more than MOST_DEVICES."""

    model: str
    version: str
    audience: str
    whole: int
    counts: dict[str, int]
    devices: tuple[DeviceProgress, ...]

    @property
    def is_over(self) -> bool:
        """Whether nobody who is online is still on its way."""
        return not self.counts["busy"] and not self.counts["waiting"]


class Rollout(Struct, frozen=True):
    """A deployment, its newest version first."""

    pipeline: str
    rules: tuple[RuleProgress, ...]


def rollout_of(
    deployment: Deployment, devices: Iterable[Device], digests: Digests, now_s: float
) -> Rollout:
    """Each version that decides for some device, and how far those are. now_s: Unix time."""
    by_rule: dict[Rule, list[Device]] = {rule: [] for rule in in_force(deployment)}
    for device, rule in taken(devices, deployment):
        by_rule.setdefault(rule, []).append(device)
    rules = tuple(
        _rule(deployment.pipeline, rule, those, digests, now_s) for rule, those in by_rule.items()
    )
    return Rollout(deployment.pipeline, rules)


def _rule(
    pipeline: str, rule: Rule, devices: Iterable[Device], digests: Digests, now_s: float
) -> RuleProgress:
    goal = Goal(pipeline, rule, digests.get(release_of(rule), frozenset()))
    lines = [_line(device, goal, now_s) for device in devices]
    counts = Counter(line.stand for line in lines)
    ranked = sorted(lines, key=lambda line: (_RANK[line.stand], line.device))
    return RuleProgress(
        model=rule.model,
        version=rule.version,
        audience=audience(rule),
        whole=len(lines),
        counts={stand: counts[stand] for stand in STANDS},
        devices=tuple(ranked[:MOST_DEVICES]),
    )


_RANK = {"failed": 0, "busy": 1, "waiting": 2, "offline": 3, "good": 4}


def _line(device: Device, goal: Goal, now_s: float) -> DeviceProgress:
    progress = progress_of(device, goal, now_s)
    return DeviceProgress(
        device=device.name,
        stand=_stand(progress),
        reason=_reason(progress),
        runs=progress.runs,
        phase=progress.phase,
        percent=progress.percent,
        since_s=_since_s(device, goal),
        trial_s=progress.trial_s,
    )


def _stand(progress: Progress) -> str:
    is_away = not progress.is_there and not progress.is_over
    return "offline" if is_away else progress.stand


def _reason(progress: Progress) -> str | None:
    if progress.stand == "waiting" and not progress.trusts and progress.fault is None:
        return "it believes no signed metadata yet: is [updates] root in its vedette.toml?"
    return progress.reason or progress.fault


def _since_s(device: Device, goal: Goal) -> float | None:
    """When the phase began, by our clock."""
    state = device.state
    update = None if state is None else state.pipelines[goal.pipeline].update
    return None if update is None else update.since - device.clock_off_s
