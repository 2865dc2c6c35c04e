"""The metadata of one repository: verified by python-tuf in a copy, kept durably, by a time that no
wrong clock turns back.

Nothing here knows which roles a repository delegates to: what is asked of it is a deed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tuf.ngclient import Updater, UpdaterConfig

from wire.trust.kept import Issued, Kept
from wire.trust.updating import (
    LIMITS,
    Expired,
    Source,
    check_first,
    issued_in,
    timestamp_keys,
    updated,
)
from wire.trust.words import Reference

T = TypeVar("T")


class Verified:
    """What makes it newer. For one thread at a time, and one process: see Kept.locked."""

    def __init__(
        self,
        kept: Kept,
        root: bytes,
        source: Source,
        now_s: Callable[[], float],
        limits: UpdaterConfig = LIMITS,
    ) -> None:
        """root: the metadata that is trusted first; Refused if it is none. now_s: Unix time by the
        system's clock. limits: how much of everything is taken."""
        check_first(root)
        self._kept = kept
        self._root = root
        self._source = source
        self._now_s = now_s
        self._limits = limits
        self._issued = kept.issued()

    @property
    def issued_s(self) -> float:
        """The newest time (Unix) at which accepted metadata was signed: now is later than that."""
        return float(self._issued.at_s)

    def now(self) -> Reference:
        return Reference(self._now_s(), self._issued)

    def run(self, deed: Callable[[Updater], T], reference: Callable[[], Reference]) -> T:
        """What the deed gives, which refreshes. Raises Refused, Unavailable.

        What was verified before it failed is kept too: nothing older is taken from then on.
        """
        try:
            return self._run_once(deed, reference())
        except Expired:
            if not self._forget_revoked_time():
                raise
            return self._run_once(deed, reference())
        finally:
            self._kept.clean()

    def _run_once(self, deed: Callable[[Updater], T], reference: Reference) -> T:
        self._kept.begin()
        try:
            work = self._kept.work
            return updated(work, self._root, self._source, reference, deed, self._limits)
        finally:
            self._kept.keep_work()
            self._note_issued()

    def _note_issued(self) -> None:
        new, old = issued_in(self._kept.work), self._issued
        if new.at_s and (new.at_s > old.at_s or not set(new.keys) & set(old.keys)):
            self._vouch(new)

    def _forget_revoked_time(self) -> bool:
        """Whether the keys that vouched for the time have been replaced since: a thief of one may
        have signed a time far ahead, by which all that is signed after the theft has expired."""
        keys = timestamp_keys(self._kept.work)
        if not self._issued.at_s or not keys or set(keys) & set(self._issued.keys):
            return False
        self._vouch(Issued())
        return True

    def _vouch(self, issued: Issued) -> None:
        self._kept.vouch(issued)
        self._issued = issued
