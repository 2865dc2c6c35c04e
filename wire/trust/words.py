"""Why signed metadata was refused, in one line: what is wrong, and who is to do what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata

from wire.complaints import shortened
from wire.troubles import Refused, Trouble, Unavailable
from wire.trust.kept import Issued
from wire.version import RELEASED_S

_RENEW = {
    "root": "renew it on the operator's machine: vedette fleet keys renew",
    "targets": "renew it on the operator's machine: vedette fleet keys renew",
    "snapshot": "is vedette fleet depot running?",
    "timestamp": "is vedette fleet depot running?",
    "deployments": "is vedette fleet depot running?",
}


Seen = Callable[[str], bytes]  # the newest content of a role, verified or not


@dataclass(frozen=True)
class Reference:
    """The time that expiry is judged by: the latest of three. All in Unix seconds."""

    system_s: float
    issued: Issued

    @property
    def at_s(self) -> float:
        return max(self.system_s, RELEASED_S, self.issued.at_s)

    def in_words(self) -> str:
        if self.at_s == self.system_s:
            return f"by this machine's clock it is {day(self.at_s)}"
        if self.at_s == self.issued.at_s:
            return f"signed metadata of {day(self.at_s)} was accepted before"
        return f"this version of Vedette is of {day(self.at_s)}"


class Timeless(Reference):
    """No time at all: nothing has expired by it."""

    def __init__(self) -> None:
        super().__init__(0.0, Issued())

    @property
    def at_s(self) -> float:
        return 0.0


def trouble_of(error: Exception, path: str, seen: Seen, reference: Reference) -> Trouble:
    """The trouble that the update client met. path: what it asked for last."""
    what = named(path)
    if isinstance(error, ExpiredMetadataError):
        late = next((role for role in _RENEW if role in str(error)), what)
        return _expired(late, seen(late), reference)
    if isinstance(error, DownloadHTTPError):
        return Unavailable(f"the depot has no {path}: try again when it is up to date")
    if isinstance(error, DownloadLengthMismatchError):
        return Refused(f"the fleet's {what} is too large: somebody sends garbage in its place")
    if isinstance(error, UnsignedMetadataError):
        root = _version(seen("root"))
        return Refused(
            f"the fleet's {what} is not signed by enough keys that root {root} names "
            f"({_plain(error)}): is it of this fleet, and is the first root here the right one?"
        )
    if isinstance(error, LengthOrHashMismatchError):
        return Refused(
            f"the fleet's {what} is not the one that belongs to the rest: it was mixed with "
            "another or damaged: try again, and mistrust the broker if it lasts"
        )
    if isinstance(error, BadVersionNumberError):
        return Refused(
            f"the fleet's {what} has another version than it must: a replay, or the depot was "
            "set back: then, on the operator's machine, vedette fleet keys rotate online, as "
            f"docs/updates.md says ({_plain(error)})"
        )
    if isinstance(error, RepositoryError):
        return Refused(f"the fleet's {what} cannot be used: {_plain(error)}")
    return Refused(f"the fleet's {what} is malformed: {type(error).__name__}: {_plain(error)}")


def moment(at_s: float) -> datetime:
    """A time that python-tuf understands; what is after the year 9999 is at its end."""
    return datetime.fromtimestamp(min(max(at_s, 0.0), 253_402_300_799.0), timezone.utc)


def day(at_s: float) -> str:
    return moment(at_s).strftime("%Y-%m-%d %H:%M UTC")


def named(path: str) -> str:
    """`metadata/7.snapshot.json` -> `snapshot`"""
    return shortened(path.rpartition("/")[2].removesuffix(".json").rpartition(".")[2])


def _expired(what: str, content: bytes, reference: Reference) -> Refused:
    try:
        expires = day(Metadata.from_bytes(content).signed.expires.timestamp())
    except RepositoryError:
        expires = "a day before"
    return Refused(
        f"the fleet's {what} expired on {expires}, and {reference.in_words()}: "
        f"{_RENEW.get(what, 'is vedette fleet depot running?')}"
    )


def _version(root: bytes) -> str:
    try:
        return str(Metadata.from_bytes(root).signed.version)
    except RepositoryError:
        return "here"


def _plain(error: Exception) -> str:
    return shortened(str(error))
