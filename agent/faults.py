"""What is wrong, said once when it starts and once when it ends, also over a restart."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from msgspec import Struct

QUIET_S = 10.0  # a fault that comes and goes says so at most this often
LONGEST = 500  # characters of one sentence

log = logging.getLogger("vedette.agent")


@dataclass(frozen=True)
class Saying:
    """A word that is due: what an event is made of."""

    kind: Literal["fault", "recovered"]
    subject: str
    pipeline: str | None
    text: str


class Said(Struct, frozen=True):
    """A fault that was said to have started, and not yet to have ended."""

    subject: str
    pipeline: str | None
    text: str


@dataclass
class _Thing:
    now: str | None = None  # what is wrong, or None
    text: str | None = None  # what was wrong last
    said: str | None = None
    said_s: float = field(default=-QUIET_S)


class Faults:
    """Told the truth as often as one likes; `due` gives what is new in it."""

    def __init__(self, kept: bytes | None) -> None:
        """kept: what `book` gave before a restart: its faults were said already."""
        self._things: dict[tuple[str, str | None], _Thing] = {}
        for said in said_in(kept):
            thing = _Thing(now=said.text, text=said.text, said=said.text)
            self._things[said.subject, said.pipeline] = thing

    def tell(self, subject: str, pipeline: str | None, wrong: str | None) -> None:
        """wrong: what is wrong and what to do, in one sentence, or None if all is well."""
        key = (subject, pipeline)
        if wrong is None and key not in self._things:
            return
        thing = self._things.setdefault(key, _Thing())
        thing.now = wrong if wrong is None else wrong[:LONGEST]
        thing.text = thing.now or thing.text

    def keep_only(self, pipelines: frozenset[str]) -> None:
        """All is well with pipelines that are no more."""
        for (_, pipeline), thing in self._things.items():
            if pipeline is not None and pipeline not in pipelines:
                thing.now = None

    def due(self, now_s: float) -> list[Saying]:
        """What has started or ended and was not said. Each is given once."""
        sayings = []
        for (subject, pipeline), thing in list(self._things.items()):
            changed = (thing.now is None) != (thing.said is None)
            if not changed or now_s - thing.said_s < QUIET_S:
                continue
            kind: Literal["fault", "recovered"] = "recovered" if thing.now is None else "fault"
            text = thing.now or _over(thing)
            thing.said, thing.said_s = thing.now, now_s
            sayings.append(Saying(kind, subject, pipeline, text))
            where = f"{pipeline}: " if pipeline else ""
            log.warning("%s: %s%s: %s", kind, where, subject, text)
        return sayings

    def standing(self) -> tuple[str, ...]:
        """What is wrong now, one sentence each, in a stable order."""
        wrong = [
            f"{pipeline + ': ' if pipeline else ''}{subject}: {thing.now}"
            for (subject, pipeline), thing in self._things.items()
            if thing.now is not None
        ]
        return tuple(sorted(wrong))

    def book(self) -> bytes:
        """What was said, to be kept in one transaction with the events that say it."""
        return msgspec.json.encode(
            [
                Said(subject, pipeline, thing.said)
                for (subject, pipeline), thing in self._things.items()
                if thing.said is not None
            ]
        )


def _over(thing: _Thing) -> str:
    """What was said when it began, so that one finds the two. The last reason alone misleads: a
    camera that is plugged in again may not be opened yet for a moment."""
    last = "" if thing.text == thing.said else f"; at last: {thing.text}"
    return f"over: {thing.said}{last}"


def said_in(kept: bytes | None) -> list[Said]:
    """The faults in a book, which may be of any content."""
    try:
        return msgspec.json.decode(kept or b"[]", type=list[Said])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return []
