"""The states that an update goes through on a device: one table, for the code, the tests and docs.

Code says `reached("install.renamed")` where it comes to a state. That does nothing, unless the
process was started with a fault to try there (wire/fault.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Strike = Callable[[str, str], None]  # a state that was reached, and the digest that it is about


@dataclass(frozen=True)
class Step:
    """One state. who: the process, and in it the thread. durable: what is on the disk for good when
    it is reached. recovery: what a start after a death at it does."""

    name: str
    who: str
    durable: str
    recovery: str


STEPS = (
    Step(
        "refresh.trusted", "agent, fetch",
        "the newer metadata, whole and verified, in updates/trust",
        "it is believed again at the start; what it wants is found out by the next look",
    ),
    Step(
        "fetch.part_opened", "agent, fetch",
        "what came before, in .part, as far as .have claims it",
        "the part is opened again, and only what lacks is asked for",
    ),
    Step(
        "fetch.block_kept", "agent, fetch",
        "the blocks up to the last claim; later ones are in the file, perhaps unsynced",
        "blocks without a claim are found again by their digests, or fetched again",
    ),
    Step(
        "fetch.whole", "agent, fetch",
        "the bundle under its own name, verified",
        "it is installed without a byte from the network",
    ),
    Step(
        "install.unpacked", "agent, fetch",
        "the bundle; the model beside the others, as digests/.coming",
        "what is half there is swept, and the bundle is unpacked again",
    ),
    Step(
        "install.renamed", "agent, fetch",
        "the model, under its digest, not yet noted in installed.json",
        "a model that is not noted counts as the newest; installing again notes it",
    ),
    Step(
        "install.noted", "agent, fetch",
        "the model and its note; the bundle is still there",
        "the model is found in the store; the bundle is swept when nobody wants it any more",
    ),
    Step(
        "install.cleared", "agent, fetch",
        "the model; nothing is left of its way",
        "the model is found in the store and checked",
    ),
    Step(
        "sweep.named_going", "agent, fetch",
        "the model that nobody needs has lost its name: digests/.going",
        "the next sweep, installation or start of one removes it",
    ),
    Step(
        "check.asked", "agent, main",
        "the model; the phase `staged`",
        "the check is asked for again",
    ),
    Step(
        "check.begun", "runtime, loader",
        "the model",
        "a check without an answer is asked for again, three times at most",
    ),
    Step(
        "check.in_child", "runtime, check child",
        "the model",
        "one that crashes, hangs or finds fault refuses the model; one that was killed, or whose "
        "disk or memory failed, is asked again",
    ),
    Step(
        "check.passed", "agent, main",
        "the model; the phase `checking`",
        "that it passed was not noted: it is checked again",
    ),
    Step(
        "reject.decided", "agent, main",
        "the model; the phase `checking`",
        "it is checked again, and fails again",
    ),
    Step(
        "reject.noted", "agent, main",
        "the rejection, in rejected.json; not yet told",
        "what the store refuses is told as rejected, and not tried again",
    ),
    Step(
        "activate.trial_noted", "agent, main",
        "the trial, in trial.json; the link names the model of before",
        "the model of before runs on; the model is checked and activated again",
    ),
    Step(
        "activate.linked", "agent, main",
        "the link: the model is active, on trial",
        "the trial goes on, told from what the store says",
    ),
    Step(
        "activate.told", "agent, main",
        "the phase `trial`; its process was not yet asked to load it",
        "a process that runs anything else is asked to load what is active",
    ),
    Step(
        "load.counted", "runtime, loader or main",
        "one more start of this trial, in starts/NAME",
        "the third start is the roll back: the runtime runs the good model by itself",
    ),
    Step(
        "load.opened", "runtime, loader or main",
        "as before",
        "the start was counted: it is opened again, at most twice",
    ),
    Step(
        "load.taken", "runtime, loader",
        "as before",
        "as before",
    ),
    Step(
        "trial.result", "runtime, main",
        "as before",
        "as before; each result of a model reaches this state",
    ),
    Step(
        "trial.judged", "agent, main",
        "how far the trial is, as of the last time that was kept",
        "the trial goes on from there",
    ),
    Step(
        "trial.kept", "agent, main",
        "how far the trial is, in trial.json",
        "the trial goes on from there",
    ),
    Step(
        "good.linked", "agent, main",
        "the link: the model is what is gone back to; trial.json is still there",
        "a trial of the good model means nothing; that it is good is told",
    ),
    Step(
        "good.noted", "agent, main",
        "the model is good, and its trial is gone; not yet told",
        "a trial that the store knows as good is told as good",
    ),
    Step(
        "good.told", "agent, main",
        "the phase `good`; older models are not yet swept",
        "they are swept after the next update, or when room is needed",
    ),
    Step(
        "roll_back.decided", "agent, main",
        "as in the trial",
        "the trial goes on, and what was wrong shows again",
    ),
    Step(
        "roll_back.noted", "agent, main",
        "the rejection, in rejected.json; the link still names the model",
        "an active model that is rejected is a roll back: the runtime starts the good one",
    ),
    Step(
        "roll_back.linked", "agent, main",
        "the link names the good model again, or there is none",
        "what is left of the trial means nothing; the end is told",
    ),
    Step(
        "roll_back.cleared", "agent, main",
        "the trial is gone; not yet told",
        "a trial that the store has rejected is told as rolled back",
    ),
    Step(
        "end.told", "agent, main",
        "the phase `rolled_back` (or `good`, of one that was good before)",
        "nothing is left to do",
    ),
)  # fmt: skip

NAMES = frozenset(step.name for step in STEPS)

_strike: Strike | None = None


def reached(name: str, digest: str = "") -> None:
    """An update has come to a state of the table. digest: of the model that it is about."""
    if _strike is not None:
        _strike(name, digest)


def set_strike(strike: Strike | None) -> None:
    """Have something called at every state from now on, or nothing."""
    global _strike
    _strike = strike
