"""Sending a message to a target by Apprise: the one place that knows it."""

from __future__ import annotations

import hashlib
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from fleet.alerts.bulletin import Message
from fleet.alerts.terms import Target
from fleet.wording import printable
from wire.troubles import Refused, Unavailable

LARGEST = 4096  # bytes of a file with an address
LONGEST_WHY = 200  # characters


@dataclass(frozen=True)
class Address:
    """Where a target is. id: its identity. shown: as people may see it, without passwords."""

    id: str
    url: str
    shown: str


def address_of(target: Target) -> Address:
    """Raises Refused if it is none that Apprise knows, Unavailable if its file is not there."""
    named = target.url or target.url_file or ""
    url = target.url if target.url is not None else _read(Path(named))
    return Address(identity(target), url, _shown(url, named))


def identity(target: Target) -> str:
    """What tells a target from others, and tells nothing of what is secret in its address."""
    named = target.url or target.url_file or ""
    return hashlib.sha256(named.encode()).hexdigest()


def send(address: Address, message: Message) -> None:
    """Returns when it was delivered. Raises Unavailable with the reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Apprise imports
        apprise = _apprise()
        kind = apprise.NotifyType.WARNING if message.tone == "trouble" else (
            apprise.NotifyType.SUCCESS
        )  # fmt: skip
        told = apprise.Apprise()
        told.add(address.url)
        # its reasons are told by us, once
        logging.getLogger("apprise").propagate = False
        with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as log:
            is_sent = told.notify(
                message.body,
                title=message.title,
                notify_type=kind,
                body_format=apprise.NotifyFormat.TEXT,
            )
            said = log.getvalue() if log is not None else ""
    if not is_sent:
        lines = [line for line in said.splitlines() if line.strip()]
        why = printable(lines[-1] if lines else "it was not taken", LONGEST_WHY)
        raise Unavailable(f"{address.shown}: {why}")


def _shown(url: str, named: str) -> str:
    """Raises Refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = _apprise().Apprise.instantiate(url)
    if found is None:
        scheme = url.partition("://")[0][:20]
        raise Refused(
            f"[[alerts]] {named if '://' not in named else scheme + '://...'}: no address that "
            "Apprise knows: see docs/alerts.md"
        )
    shown: str = found.url(privacy=True)
    return printable(shown.partition("?")[0], 100)


def _read(path: Path) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read(LARGEST).split()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise Unavailable(f"{path}: cannot be read: {why}") from None
    if len(lines) != 1:
        raise Refused(f"{path}: must hold one address for alerts, and nothing else")
    return lines[0]


def _apprise() -> ModuleType:
    try:
        import apprise
    except ImportError as error:
        raise Unavailable(f"alerts need Apprise: {error}: pip install 'vedette[fleet]'") from None
    return apprise
