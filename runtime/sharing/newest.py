"""The newest frame, for all that read it: a mailbox of one, and loans that are counted.

The capture thread posts; each reader takes the newest that it has not had. A buffer goes back to
the camera when the mailbox and every reader are done with it, and by the capture thread, because a
camera's memory belongs to one thread.
"""

from __future__ import annotations

import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from models.manifest import Manifest
from runtime.frames import Frame, Losses
from runtime.sharing.memory import Mapped
from runtime.sharing.packets import Counts
from runtime.tasks import Found


@dataclass(eq=False)
class Loan:
    """A frame of the camera. order: counts what was posted. holders: who has it now."""

    frame: Frame
    memory: Mapped
    buffer: int
    order: int
    counts: Counts
    holders: int = 0


# Others are told while the owner's engine runs: what they cost would otherwise hold Python's lock
# when its loop needs it, between two steps over the pixels. Never longer than this.
OWNER_FIRST_S = 0.001


class Buffers:
    """Gives each buffer a number that is never used again: buffers of a camera's earlier life
    cannot be mistaken for those of this one."""

    def __init__(self) -> None:
        self._next = 0
        self._numbers: weakref.WeakKeyDictionary[Mapped, int] = weakref.WeakKeyDictionary()
        self.freed: deque[int] = deque(maxlen=256)  # for those who mapped them

    def number(self, memory: Mapped) -> int:
        """Of this memory."""
        number = self._numbers.get(memory)
        if number is None:
            number = self._numbers[memory] = self._next
            self._next += 1
            weakref.finalize(memory, self.freed.append, number)
        return number


@dataclass(frozen=True, eq=False)
class Finder:
    """What the owner's model is like."""

    manifest: Manifest
    labels: tuple[str, ...]


Bell = queue.SimpleQueue["Loan | None"]


def _nobody() -> None:
    """Rings at nobody's."""


class Newest:
    """changed: guards everything here and the readers; notified when something is new.

    absent: why no frames can come now. model: the owner's, once it found something. readers: called
    with each change, `changed` held. guests: how many there are beside the owner; cascades: how
    many want what the owner's model found. ring: called when it found something. bell: where the
    owner's loop waits for its next loan; None in it: something else is new.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.loan: Loan | None = None
        self.order = -1  # of the last that was posted
        self.counts = Counts()
        self.absent: str | None = None
        self.model: Finder | None = None
        self.buffers = Buffers()
        self.readers: list[Callable[[], None]] = []
        self.bell: Bell | None = None
        self.guests = 0
        self.cascades = 0
        self.ring: Callable[[], None] = _nobody
        self._found: tuple[Loan, Found] | None = None
        self._overtaken: deque[Found] = deque(maxlen=64)
        self._is_looking = False  # the owner, at the frame that it was handed last
        self._homes: deque[Loan] = deque()

    def post(self, frame: Frame, memory: Mapped, losses: Losses) -> None:
        """The newest frame, from the capture thread."""
        with self.changed:
            self.order += 1
            self.count(losses)
            loan = Loan(frame, memory, self.buffers.number(memory), self.order, self.counts, 1)
            self._replace(loan)
            bell, self.bell = self.bell, None
            loan.holders += bell is not None
            self._is_looking = bell is not None
        if bell is not None:  # the owner first, and without a lock that it would wait for
            bell.put(loan)
        with self.changed:
            if self.guests:
                self.changed.wait_for(lambda: not self._is_looking, OWNER_FIRST_S)
            self.tell()

    def count(self, losses: Losses) -> None:
        """`changed` held."""
        self.counts = Counts(
            self.order + 1, losses.skipped, losses.driver, losses.decode, losses.refused
        )

    def say_model(self, model: Finder) -> None:
        """The owner finds things with this one from now on."""
        with self.changed:
            self.model = model
            self.tell()

    def say_missed(self, losses: Losses) -> None:
        """From the capture thread, when no frame came: those who wait learn what was lost."""
        with self.changed:
            before = self.counts
            self.count(losses)
            if self.counts != before:
                self.tell()

    def say_absent(self, why: str | None) -> None:
        """From the capture thread. What came before is old news."""
        with self.changed:
            self.absent = why
            if why is not None:
                self._forget()
            self.tell()

    def take(self, after: int) -> Loan | None:
        """The newest, if it was posted after that one. `changed` held."""
        loan = self.loan
        if loan is None or loan.order <= after:
            return None
        loan.holders += 1
        return loan

    def give(self, loan: Loan | None) -> None:
        """The owner has looked at its frame, and holds this one no more. `changed` not held."""
        with self.changed:
            self._is_looking = False
            if loan is not None:
                self.put_down(loan)
            self.changed.notify_all()  # the capture thread waits for it

    def put_down(self, loan: Loan) -> None:
        """One holder less. `changed` held."""
        loan.holders -= 1
        if not loan.holders:
            self._homes.append(loan)

    def keep_found(self, loan: Loan, found: Found) -> None:
        """What the owner's model found in a frame, whose hold passes on with it. Overtakes what
        nobody took. Any thread, `changed` not held."""
        with self.changed:
            self._drop_found()
            self._found = loan, found
        self.ring()

    def take_found(self) -> tuple[Loan, Found] | None:
        """The newest such, and the hold on its frame. `changed` held."""
        found, self._found = self._found, None
        return found

    def take_overtaken(self) -> list[Found]:
        """What was found and will not be shown to anybody, the oldest first. `changed` held."""
        return [self._overtaken.popleft() for _ in range(len(self._overtaken))]

    def empty(self) -> None:
        """Forget the newest: the camera stops."""
        with self.changed:
            self._forget()

    def _forget(self) -> None:
        self._replace(None)
        self._drop_found()

    def _drop_found(self) -> None:
        if (taken := self.take_found()) is not None:
            self.put_down(taken[0])
            self._overtaken.append(taken[1])

    def has_homes(self) -> bool:
        """Is there something to give back?"""
        return bool(self._homes)

    def send_home(self) -> None:
        """Give back to the camera what nobody has any more. On the capture thread."""
        while self._homes:
            self._homes.popleft().frame.release()

    def _replace(self, loan: Loan | None) -> None:
        before, self.loan = self.loan, loan
        if before is not None:
            self.put_down(before)

    def tell(self) -> None:
        """Something is new. `changed` held."""
        bell, self.bell = self.bell, None
        if bell is not None:
            bell.put(None)
        for reader in self.readers:
            reader()
        self.changed.notify_all()
