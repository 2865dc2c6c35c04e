"""Which devices a deployment takes, and how far each of them is: from what they say. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from fleet.devices import Device
from fleet.wording import model_words, printable
from wire.deployments import Deployment, Rule, Who, rule_for
from wire.messages import PipelineState, State, Update

# good: runs it and it proved itself; failed: rejected or rolled back; busy: on its way; waiting:
# nothing was heard about it yet
Stand = Literal["good", "failed", "busy", "waiting"]
HINDERING = ("trust: ", "depot: ", "disk: ")  # faults as an agent names them
OF_MODELS = "model: "  # what such a fault says after its pipeline
USUAL_TRIAL_S = 300.0  # where neither manifest nor deployment say: as devices have it
BACK_S = 20.0  # who went offline just now may be starting anew: it is waited for


@dataclass(frozen=True)
class Goal:
    """What devices are to run. digests: of the version's variants; empty: not known. since: the
    version of the deployments metadata from which on verdicts count; 0: all that were ever told.
    heard: the one that they must believe before what they run counts; 0: any."""

    pipeline: str
    rule: Rule
    digests: frozenset[str] = frozenset()
    since: int = 0
    heard: int = 0


@dataclass(frozen=True)
class Progress:
    """How far one device is. runs: model and version. phase: of the update, or None. trusts:
    whether it has believed signed metadata at all. reason: why it is so, in its own words. fault:
    of its own, that keeps it from updates. trial_s: it is asked for; its manifest may ask more."""

    device: str
    stand: Stand
    is_there: bool
    runs: str
    phase: str | None = None
    percent: int | None = None
    reason: str | None = None
    trusts: bool = True
    fault: str | None = None
    trial_s: float = USUAL_TRIAL_S

    @property
    def is_over(self) -> bool:
        return self.stand in ("good", "failed")

    @property
    def how(self) -> str:
        """`fetching 40 %`, `rolled back: the first result did not come`, `good`."""
        why = "" if self.reason is None else f": {self.reason}"
        fault = "" if self.fault is None or self.fault == self.reason else f": {self.fault}"
        phase = (self.phase or "waiting").replace("_", " ")
        if self.stand == "good":
            return "good"
        if self.stand == "failed":
            return f"{phase}{why or ': it does not say why'}"
        if self.stand == "waiting":
            return f"waiting{fault}"
        share = "" if self.percent is None else f" {self.percent} %"
        if self.phase == "trial":
            share = f" of at least {self.trial_s:g} s"
        return f"{phase}{share}{why or fault}"

    @property
    def words(self) -> str:
        """The same, with what it runs where that matters."""
        if self.stand == "busy" and self.is_there:
            return self.how
        if not self.is_over and not self.is_there:
            return f"offline, ran {self.runs}"
        if self.stand == "waiting" and self.fault is not None:
            return f"waiting, runs {self.runs}: {self.fault}"
        if self.stand == "waiting" and not self.trusts:
            return f"waiting, runs {self.runs}: it believes no signed metadata yet ([updates] root)"
        return f"{self.how}{'; ' if self.stand == 'failed' else ', '}runs {self.runs}"


def who_is(device: Device) -> Who | None:
    """The device as a deployment judges it; None: it has not said what it is."""
    if device.state is None:
        return None
    return Who(device.name, device.state.groups, device.state.board)


def with_pipeline(devices: Iterable[Device], pipeline: str) -> list[Device]:
    """Those that have a pipeline of this name, by name."""
    found = (d for d in devices if d.state is not None and pipeline in d.state.pipelines)
    return sorted(found, key=lambda device: device.name)


def taken(devices: Iterable[Device], deployment: Deployment) -> list[tuple[Device, Rule]]:
    """The devices about which the deployment says something, each with the rule that decides."""
    found = []
    for device in with_pipeline(devices, deployment.pipeline):
        who = who_is(device)
        rule = None if who is None else rule_for(deployment, who)
        if rule is not None:
            found.append((device, rule))
    return found


def is_there(device: Device, now_s: float) -> bool:
    """Whether it is online, or was until a moment ago. now_s: Unix time by our clock."""
    presence = device.presence
    if presence is None or presence.online:
        return presence is not None
    return device.online_s is not None and 0 <= now_s - device.online_s < BACK_S


def progress_of(device: Device, goal: Goal, now_s: float) -> Progress:
    """How far a device is that the goal is for. It must have the pipeline."""
    assert device.state is not None
    pipeline = device.state.pipelines[goal.pipeline]
    update = _told(pipeline, goal)
    if _is_old(update, goal):
        update = None
        stand: Stand = "waiting"
    else:
        stand = _stand(pipeline, update, goal)
    if stand == "good" and _believes(device.state) < goal.heard:
        stand = "waiting"  # it may do something else yet: the fleet's word has not reached it
    return Progress(
        device=device.name,
        stand=stand,
        is_there=is_there(device, now_s),
        runs=printable(model_words(pipeline.model, pipeline.version)),
        phase=None if update is None else update.phase,
        percent=None if update is None or update.phase != "fetching" else update.percent,
        reason=None if update is None or not update.reason else printable(update.reason, 300),
        trusts=device.state.trusted is not None,
        fault=next(iter((*hindrances(device), *model_faults(device, goal.pipeline))), None),
        trial_s=goal.rule.gates.trial_s or USUAL_TRIAL_S,
    )


def hindrances(device: Device) -> tuple[str, ...]:
    """Its faults that keep it from taking what is deployed, as `trust: ...`."""
    faults = () if device.state is None else device.state.faults
    return tuple(printable(each, 300) for each in faults if each.startswith(HINDERING))


def model_faults(device: Device, pipeline: str | None = None) -> tuple[str, ...]:
    """Its faults of models that should run and do not, as `lane: model: ...`. pipeline: None: of
    all."""
    found = []
    for fault in () if device.state is None else device.state.faults:
        name, _, about = fault.partition(": ")
        if about.startswith(OF_MODELS) and pipeline in (None, name):
            found.append(printable(fault, 300))
    return tuple(found)


def _told(pipeline: PipelineState, goal: Goal) -> Update | None:
    """What the device says about this version."""
    update, rule = pipeline.update, goal.rule
    if update is None or (update.model, update.version) != (rule.model, rule.version):
        return None
    return update


def _is_old(update: Update | None, goal: Goal) -> bool:
    """Whether it is about an attempt before."""
    since = max(goal.since, goal.rule.attempt)
    return update is not None and update.phase != "good" and update.deployment < since


def _stand(pipeline: PipelineState, update: Update | None, goal: Goal) -> Stand:
    if update is not None and update.phase in ("rejected", "rolled_back"):
        return "failed"
    if update is not None and update.phase != "good":
        return "busy"
    return "good" if _runs(pipeline, goal) else "waiting"


def _believes(state: State) -> int:
    """The version of the deployments metadata that a device has taken."""
    return 0 if state.trusted is None else state.trusted.deployments


def _runs(pipeline: PipelineState, goal: Goal) -> bool:
    """A model of the same name and version that somebody put there by hand is another one."""
    if (pipeline.model, pipeline.version) != (goal.rule.model, goal.rule.version):
        return False
    return not goal.digests or pipeline.digest in goal.digests
