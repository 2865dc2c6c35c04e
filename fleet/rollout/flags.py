"""The options that say who takes a version, and what it must show there."""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import dataclass

import msgspec

from fleet.rollout.rollout import USUAL_TRIAL_S
from wire.deployments import Gates, Rule
from wire.names import Name, Version
from wire.troubles import Refused

DEVICES_S = 900.0  # how long devices are waited for, beside the trial that was asked for


@dataclass(frozen=True)
class Choice:
    """What the options say. wave: 0 to 1. retry: a new attempt where it failed before."""

    wave: float
    canaries: tuple[str, ...]
    groups: tuple[str, ...]
    gates: Gates
    retry: bool

    def rule(self, model: str, version: str, next_deployments: int) -> Rule:
        """next_deployments: the version of the metadata that will hold it: as an attempt it is
        higher than all before."""
        return Rule(
            model=model,
            version=version,
            groups=self.groups,
            wave=self.wave,
            canaries=self.canaries,
            gates=self.gates,
            attempt=next_deployments if self.retry else 0,
        )


def add_choice_options(parser: argparse.ArgumentParser) -> None:
    """--wave, --canary, --group, what the trial asks for, and how long we wait."""
    who = parser.add_argument_group("who takes it (without these: every device)")
    who.add_argument(
        "--wave", type=share, metavar="N%",
        help="this share of the devices, the same ones whenever it is asked; raise it later: "
        "`vedette fleet deploy ... --wave 100%%`",
    )  # fmt: skip
    who.add_argument(
        "--canary", type=names, action="append", default=[], metavar="DEV,...",
        help="these devices, and no others unless --wave says so too",
    )  # fmt: skip
    who.add_argument(
        "--group", type=name, action="append", default=[], metavar="G",
        help="only devices of this group; may be given again",
    )  # fmt: skip
    trial = parser.add_argument_group("what it must show (without these: as its manifest says)")
    trial.add_argument(
        "--trial", type=seconds, metavar="S",
        help=f"on trial for so long (default: {USUAL_TRIAL_S:g} s); where its manifest asks for "
        "more, for longer",
    )  # fmt: skip
    trial.add_argument(
        "--first-result", type=seconds, metavar="S", help="the first result comes within"
    )
    trial.add_argument(
        "--p95-ms", type=milliseconds, metavar="X", help="95 %% of inferences are as quick as this"
    )
    trial.add_argument(
        "--retry", action="store_true", help="devices where this version failed try it again"
    )


def add_wait_options(parser: argparse.ArgumentParser) -> None:
    """Until when devices are waited for."""
    wait = parser.add_argument_group("how long it waits")
    only = wait.add_mutually_exclusive_group()
    only.add_argument("--no-wait", action="store_true", help="for the depot only, not for devices")
    only.add_argument("--wait-offline", action="store_true", help="for offline devices too")
    wait.add_argument(
        "--timeout", type=seconds, metavar="S",
        help=f"for devices at most so long (default: the trial and {DEVICES_S:g} s more)",
    )  # fmt: skip


def choice_of(words: argparse.Namespace) -> Choice:
    """What the options say. Raises Refused for values that no deployment takes."""
    canaries = tuple(dict.fromkeys(each for some in words.canary for each in some))
    wave: float = words.wave if words.wave is not None else 0.0 if canaries else 1.0
    if wave == 0 and not canaries:
        raise Refused("--wave 0% takes nobody: name a share, or devices by --canary")
    values = {"trial_s": words.trial, "first_result_s": words.first_result, "p95_ms": words.p95_ms}
    try:
        gates = msgspec.convert({k: v for k, v in values.items() if v is not None}, Gates)
    except msgspec.ValidationError as error:
        raise Refused(f"no such gate: {error}") from None
    return Choice(wave, canaries, tuple(dict.fromkeys(words.group)), gates, words.retry)


def patience_s(words: argparse.Namespace, rule: Rule | None) -> float:
    """How long devices are waited for, in seconds."""
    if words.timeout is not None:
        return float(words.timeout)
    trial_s = None if rule is None else rule.gates.trial_s
    return DEVICES_S + (trial_s or 0.0)


def share(text: str) -> float:
    """A share in percent, as `10%`: 0 to 1."""
    found = re.fullmatch(r"(\d{1,3}(?:\.\d{1,6})?) ?%", text, re.ASCII)
    value = float(found[1]) / 100 if found else math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share: write 0% to 100%, as 10%")
    return value


def name(text: str) -> str:
    try:
        return msgspec.convert(text, Name)
    except msgspec.ValidationError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name: 1 to 64 of a-z A-Z 0-9 _ -"
        ) from None


def version(text: str) -> str:
    try:
        return msgspec.convert(text, Version)
    except msgspec.ValidationError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no version: 1 to 64 of a-z A-Z 0-9 . _ -, a letter or digit first"
        ) from None


def names(text: str) -> tuple[str, ...]:
    """Names with commas between."""
    return tuple(name(each.strip()) for each in text.split(","))


def seconds(text: str) -> float:
    return _positive(text, "length of time", "seconds, as 60")


def milliseconds(text: str) -> float:
    return _positive(text, "length of time", "milliseconds, as 12.5")


def _positive(text: str, what: str, example: str) -> float:
    value = float(text) if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text, re.ASCII) else math.nan
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no {what}: write {example}")
    return value
