"""The spool's place on disk: held against a second agent, opened, mended, opened again."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.spool.change import Limits
from agent.spool.rescue import Moved, finish, put_aside, remove, renew
from agent.spool.spool import Spool
from wire.troubles import Refused, Unavailable

FILE = "spool.db"


class Taken(Unavailable):
    """Another agent has the folder."""


@dataclass(frozen=True)
class _Last:
    """What was true of a file when it was left in trouble."""

    spool: str
    newest: int
    lost: int
    waiting: int


class Place:
    """One folder. At most one of its spools is open at a time."""

    def __init__(self, folder: Path, limits: Limits, clock: Callable[[], float], boot: str) -> None:
        self._folder = folder
        self._path = folder / FILE
        self._limits = limits
        self._clock = clock
        self._boot = boot
        self._hold = contextlib.ExitStack()
        self._last: _Last | None = None
        self._inode = 0
        self._mended: str | None = None

    @property
    def lost(self) -> int:
        """What the file that was left had lost."""
        return 0 if self._last is None else self._last.lost

    def open(self, identity: str) -> Spool:
        """Hold the folder and open its spool; a damaged one is mended, `mended` says how.

        identity: of the file, if there is none. Raises Unavailable; Taken if another agent runs.
        """
        self._hold.close()
        self._hold.enter_context(_held(self._folder))
        finish(self._path)
        spool = self._opened(identity)
        try:
            self._reconcile(spool)
            self._inode = os.stat(self._path).st_ino
        except OSError as error:
            spool.abandon()
            raise Unavailable(f"{self._path}: {error.strerror}") from error
        except BaseException:
            spool.abandon()
            raise
        self._last = None
        return spool

    def leave(self, spool: Spool) -> None:
        """Close a spool that is in trouble; `open` comes back to it."""
        self._last = _Last(spool.id, spool.newest(spool.id), spool.lost, spool.waiting)
        spool.abandon()

    def mended(self) -> str | None:
        """What was done to a damaged file, in a sentence; each is given once."""
        mended, self._mended = self._mended, None
        return mended

    def is_there(self) -> bool:
        """Whether the open file is still the one that its name means."""
        try:
            return os.stat(self._path).st_ino == self._inode
        except OSError:
            return False

    def close(self) -> None:
        self._hold.close()

    def _opened(self, identity: str) -> Spool:
        try:
            spool = self._make(self._path, identity)
            if not spool.is_too_large:
                return spool
        except Refused as trouble:
            moved = self._renewed(identity, put_aside)
            self._mended = f"{trouble}. {_saved(moved)}"
        else:
            spool.abandon()  # the limit was lowered
            self._renewed(identity, remove)
        with _own_work():
            return self._make(self._path, identity)

    def _renewed(self, identity: str, clear: Callable[[Path], None]) -> Moved:
        with _own_work():
            return renew(self._path, identity, self._known(), self._make, clear)

    def _make(self, path: Path, identity: str) -> Spool:
        return Spool(path, self._limits, self._clock, self._boot, identity)

    def _known(self) -> int | None:
        return None if self._last is None else self._last.lost + self._last.waiting

    def _reconcile(self, spool: Spool) -> None:
        """Compare a file with what we knew when we left it."""
        last = self._last
        if last is None:
            return
        if spool.is_new:
            spool.take_over(last.lost + last.waiting, {})
        # a write that failed may be there all the same: its records have other numbers by now
        for seq in range(last.newest + 1, spool.newest(last.spool) + 1):
            spool.forget(last.spool, seq)


def _saved(moved: Moved) -> str:
    lost = "nobody knows how many" if moved.missing is None else str(moved.missing)
    return f"{moved.records} records were saved, {lost} are lost; the old file is kept beside"


@contextlib.contextmanager
def _own_work() -> Iterator[None]:
    """What was just written is damaged: the disk is not to be trusted now."""
    try:
        yield
    except Refused as trouble:
        raise Unavailable(str(trouble)) from trouble


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """The lock on a folder. It goes with the process, however that ends."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"{folder}: cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Taken(
            f"{folder}: another agent uses this folder: stop it, or give this one another folder"
        ) from None
    except OSError as error:
        raise Unavailable(f"{folder}: cannot be locked: {error.strerror}") from error
    finally:
        os.close(handle)
