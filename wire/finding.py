"""What was found on a device: what is so, how bad that is, and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Literal

from msgspec import Struct

from wire.health import Health
from wire.troubles import one_line

Level = Literal["ok", "warning", "bad"]
Where = Literal["here", "broker", "operator"]
Section = Literal[
    "machine", "engines", "cameras", "configuration", "models", "services", "broker", "spool",
    "trust", "clock", "disk", "memory", "power", "watchdog",
]  # fmt: skip

MARKS: dict[Level, str] = {"ok": "ok  ", "warning": "warn", "bad": "BAD "}
PLACES: dict[Where, str] = {
    "here": "",
    "broker": "on the broker's machine: ",
    "operator": "on the operator's machine: ",
}


class Finding(Struct, frozen=True):
    """One thing. about: which of its section. says: one sentence. mend: the command that mends it,
    as it is typed, or None. where: on which machine that is typed."""

    section: Section
    level: Level
    about: str
    says: str
    mend: str | None = None
    where: Where = "here"


class Checked(Struct, frozen=True):
    """What the agent's part finds: `vedette agent --check --json`."""

    board: str
    health: Health
    findings: tuple[Finding, ...]


def look_at_proc(root: Path = Path("/")) -> Iterator[Finding]:
    """Nothing where the kernel's files are there. Without them nothing else can be looked at, and
    every part would be blamed for that."""
    if not (root / "proc/self").exists():
        says = "/proc is not mounted here (is it a chroot?), and nothing can be tried without it"
        yield Finding("machine", "bad", "", says, "sudo mount -t proc proc /proc")


def count_of(findings: Iterable[Finding], level: Level) -> int:
    return sum(one.level == level for one in findings)


def in_words(findings: Iterable[Finding]) -> Iterator[str]:
    """For people, a line each, section by section, each with its command below."""
    for section, found in groupby(findings, key=lambda one: one.section):
        yield section
        for one in found:
            about = f"{one.about}: " if one.about else ""
            yield one_line(f"  {MARKS[one.level]}  {about}{one.says}")
            if one.mend is not None:
                yield one_line(f"          {PLACES[one.where]}$ {one.mend}")
        yield ""
