"""What devices said of the checks of a model, before they let it run. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from fleet.registry.words import UpdateLife
from fleet.wording import printable

MOST_FAILURES = 50  # that are listed
GOLDEN = re.compile(r"golden sample (\S{1,256}): (.*)", re.DOTALL)


class Failure(Struct, frozen=True):
    """A check that failed. picture: of the golden sample that came out wrong, "" if it was
    something else. at_s: Unix time."""

    device: str
    at_s: float
    picture: str
    why: str


class Checks(Struct, frozen=True):
    """Of one variant, a device counts once, by its newest check. failures: the newest first, no
    more than MOST_FAILURES; failed: all of them. checking: that are at it now."""

    passed: int = 0
    failed: int = 0
    checking: int = 0
    failures: tuple[Failure, ...] = ()

    def wrong(self, picture: str) -> tuple[Failure, ...]:
        """Of one golden sample."""
        return tuple(one for one in self.failures if one.picture == picture)

    @property
    def others(self) -> tuple[Failure, ...]:
        """Failures that were of no golden sample."""
        return tuple(one for one in self.failures if not one.picture)

    @property
    def golden(self) -> int:
        """How many failed at a golden sample, of those that are listed."""
        return sum(1 for one in self.failures if one.picture)


NO_CHECKS = Checks()


def checks_of(lives: Iterable[UpdateLife]) -> dict[str, Checks]:
    """By digest. lives: the newest first."""
    seen: set[tuple[str, str]] = set()
    counts: dict[str, list[int]] = {}
    failures: dict[str, list[Failure]] = {}
    for life in lives:
        verdict = verdict_of(life)
        if life.digest is None or verdict is None or (life.device, life.digest) in seen:
            continue
        seen.add((life.device, life.digest))
        count = counts.setdefault(life.digest, [0, 0, 0])
        if verdict == "passed":
            count[0] += 1
        elif verdict == "checking":
            count[2] += 1
        elif isinstance(verdict, Failure):
            count[1] += 1
            failures.setdefault(life.digest, []).append(verdict)
    return {
        digest: Checks(passed, failed, checking, tuple(failures.get(digest, ())[:MOST_FAILURES]))
        for digest, (passed, failed, checking) in counts.items()
    }


def verdict_of(life: UpdateLife) -> Failure | str | None:
    """`passed`, `checking`, or why not; None: there was no check, or nobody heard of it.

    A trial is what follows a check that passed; what is rejected while it is checked failed in it.
    """
    verdict: Failure | str | None = None
    before = ""
    for step in life.steps:
        if step.phase == "trial":
            verdict = "passed"
        elif step.phase == "checking":
            verdict = "checking"
        elif step.phase == "rejected" and before == "checking":
            verdict = _failure(life.device, step.at_s, step.reason or "")
        before = step.phase
    return verdict if verdict != "checking" or life.phase == "checking" else None


def _failure(device: str, at_s: float, reason: str) -> Failure:
    found = GOLDEN.search(reason)
    if found is None:
        return Failure(device, at_s, "", printable(reason, 300) or "it does not say why")
    return Failure(device, at_s, found[1], printable(found[2], 300))
