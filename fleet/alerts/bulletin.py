"""What people are sent: many changes in one short message. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fleet.alerts.ledger import Change
from fleet.alerts.terms import AlertKind
from fleet.wording import plural, printable, stretch

MOST_NAMES = 8  # of one kind in one message; of more only how many they are
MOST_WORDS = 4  # of one kind, of which is said what is wrong
LONGEST_TITLE = 120
AGAIN = "The server died while it sent this: it may have reached you before."
# as devices have them: "3 devices WORDS"
KIND_WORDS: dict[AlertKind, str] = {
    "offline": "offline",
    "silent": "silent",
    "no_frames": "without frames",
    "fault": "with a fault",
    "rejected": "rejected a model",
    "rolled_back": "rolled a model back",
    "slow": "slow",
    "throttled": "throttled",
    "hot": "hot",
    "disk": "with a full disk",
    "memory": "short of memory",
    "trust": "without updates",
    "lost": "lost records",
    "config": "with a refused configuration",
    "late": "far behind",
    "clock": "with a wrong clock",
    "garbage": "unreadable",
    "expiry": "metadata",
    "depot": "depot",
    "ingest": "ingest",
}
WORST_FIRST: tuple[AlertKind, ...] = (
    "ingest", "depot", "expiry", "offline", "no_frames", "silent", "rolled_back", "rejected",
    "fault", "hot", "slow", "throttled", "memory", "disk", "trust", "lost", "config", "late",
    "clock", "garbage",
)  # fmt: skip

Tone = Literal["trouble", "over"]


@dataclass(frozen=True)
class Message:
    """Plain text. tone: over: nothing in it is wrong any more."""

    title: str
    body: str
    tone: Tone


def bulletin(fleet: str, changes: Sequence[Change], page: str | None) -> Message | None:
    """One message of many changes; None: nothing is left to tell. page: where more is to be
    seen."""
    net = _net(changes)
    if not net:
        return None
    wrong = [change for change in net if change.turn in ("raised", "worse")]
    still = [change for change in net if change.turn == "reminded"]
    over = [change for change in net if change.turn == "over"]
    lines = _section(wrong, "") + _section(still, "still ") + _section(over, "over: ")
    if page is not None:
        lines += ["", page]
    head = wrong or still or over
    before = "" if wrong else "still " if still else "over: "
    title = f"[{fleet}] {before}{_headline(head)}"
    return Message(_cut(title), "\n".join(lines), "trouble" if wrong or still else "over")


def repeated(fleet: str, message: Message) -> Message:
    """A message that may have arrived before: it says so."""
    before = f"[{fleet}] "
    title = f"{before}perhaps again: {message.title.removeprefix(before)}"
    return replace(message, title=_cut(title), body=f"{message.body}\n\n{AGAIN}")


def _net(changes: Iterable[Change]) -> list[Change]:
    """The last word on each trouble. What came and went before anybody was told is not told as
    wrong, but that it was."""
    last: dict[tuple[AlertKind, str], Change] = {}
    for change in changes:
        before = last.pop(change.trouble.key, None)
        if change.turn == "reminded" and before is not None and before.turn != "over":
            last[change.trouble.key] = before
        else:
            last[change.trouble.key] = change
    return list(last.values())


def _section(changes: Sequence[Change], before: str) -> list[str]:
    return [
        line
        for kind in WORST_FIRST
        if (those := [change for change in changes if change.trouble.kind == kind])
        for line in _lines(kind, those, before)
    ]


def _lines(kind: AlertKind, changes: Sequence[Change], before: str) -> list[str]:
    """One kind: each with what is wrong where they are few, else their names."""
    if not changes[0].trouble.subject:
        return [f"{before}{change.trouble.words}{_for(change)}" for change in changes]
    if len(changes) <= MOST_WORDS:
        return [
            f"{before}{change.trouble.subject}: {_what(change)}{_for(change)}"
            for change in sorted(changes, key=lambda each: each.trouble.subject)
        ]
    names = sorted(change.trouble.subject for change in changes)
    more = len(names) - MOST_NAMES
    listed = ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
    return [f"{before}{plural(len(names), 'device')} {KIND_WORDS[kind]}: {listed}"]


def _what(change: Change) -> str:
    """What was wrong is said by its kind: the words were of then."""
    return KIND_WORDS[change.trouble.kind] if change.turn == "over" else change.trouble.words


def _for(change: Change) -> str:
    """How long what is over has lasted."""
    if change.turn != "over":
        return ""
    return f" (for {stretch(change.at_s - change.began_s)})"


def _headline(changes: Sequence[Change]) -> str:
    """`3 devices offline, 1 device hot`; of one alone its name."""
    if len(changes) == 1:
        trouble = changes[0].trouble
        return f"{trouble.subject}: {_what(changes[0])}" if trouble.subject else trouble.words
    parts = []
    for kind in WORST_FIRST:
        those = [change for change in changes if change.trouble.kind == kind]
        if those and not those[0].trouble.subject:
            parts.append(KIND_WORDS[kind])
        elif those:
            parts.append(f"{plural(len(those), 'device')} {KIND_WORDS[kind]}")
    return ", ".join(parts)


def _cut(text: str) -> str:
    return printable(text, LONGEST_TITLE)
