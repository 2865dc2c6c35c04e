"""The owner's end of one connection: what another pipeline asked for, has mapped and holds."""

from __future__ import annotations

import socket
import time
from array import array
from collections.abc import Sequence
from typing import NamedTuple

from runtime.cameras import Ended
from runtime.frames import Layout
from runtime.sharing.capture import Capture
from runtime.sharing.crops import chosen
from runtime.sharing.fruitless import idle_crops
from runtime.sharing.newest import Finder, Loan, Newest
from runtime.sharing.packets import (
    LONGEST_REASON,
    MOST_ASKED_BYTES,
    MOST_BYTES,
    VERSION,
    Absent,
    Choice,
    Counts,
    FromOwner,
    FromReader,
    Hello,
    Home,
    Missed,
    Nothing,
    Over,
    Picture,
    Spot,
    Want,
    Welcome,
    aim_of,
    encoded,
    from_reader,
    lie_of,
)
from runtime.tasks import Found
from wire.troubles import Refused

MOST_LOANS = 2
STALE_S = 1.0  # a result for which its reader had no time for so long is not shown to it
SILENT_S = 5.0  # until the first word: whoever has none takes the place of another
MOST_PER_S = 5000  # packets; a reader of a camera with 1,000 frames a second sends 2,000


class Gone(Exception):
    """This reader is no more, or is to be no more."""


class Kept(NamedTuple):
    """A result that waits for this reader. came_s: monotonic."""

    loan: Loan
    spots: tuple[Spot, ...]
    came_s: float


class Reader:
    """Serves one connection. All methods with `newest.changed` held.

    layout: of the camera, when it is asked. refusal: why it is not served, if it is not.
    """

    def __init__(self, ours: socket.socket, newest: Newest, capture: Capture) -> None:
        self.is_gone = False
        self.refusal = ""
        self._socket = ours
        self._newest = newest
        self._capture = capture
        self._had = -1
        self._wants = False
        self._loans: dict[int, Loan] = {}
        self._choice: Choice | None = None
        self._chosen = 0  # boxes so far
        self._counted = Counts()  # as it was told last
        self._kept: Kept | None = None
        self._known: set[int] = set()
        self._freed: list[int] = []
        self._has_said_hello = False
        self._came_s = time.monotonic()
        self._is_welcome = False
        self._judged: Finder | None = None
        self._idle: str | None = None  # why that model finds nothing of its choice
        self._told: str | None = None  # the absence that it knows of
        self._window_s = 0.0
        self._heard = 0

    def hear(self, layout: Layout) -> None:
        """Take one packet from the socket. Raises Gone, Refused."""
        try:
            content = self._socket.recv(MOST_ASKED_BYTES if self._has_said_hello else MOST_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise Gone(str(error)) from None
        if not content:
            raise Gone("closed")
        self._limit()
        self._obey(from_reader(content))
        self.look(layout)

    def look(self, layout: Layout) -> None:
        """Something is new: say it, if it was waited for. Raises Gone."""
        if not self._has_said_hello:
            return
        capture, newest = self._capture, self._newest
        if self not in capture.users:
            ended = isinstance(capture.trouble, Ended)
            self.say(Over(str(capture.trouble)[:LONGEST_REASON], ended))
            raise Gone("the camera ended")
        if not capture.is_running:
            return
        if not self._is_welcome:
            self._is_welcome = True
            self._had, self._told = newest.order, self._absent()
            self._counted = self._counts()
            self.say(Welcome(lie_of(layout), self._counted, self._told))
        if self._absent() != self._told:
            self._told = self._absent()
            if self._told is not None:  # a device that is gone keeps its name while its memory is
                self._keep(None)  # held
            self.say(Absent(None if self._told is None else self._told[:LONGEST_REASON]))
        if self._wants and len(self._loans) < MOST_LOANS:
            self._offer()
            if self._wants and self._counted != self._counts():
                self._counted = self._counts()
                self.say(Missed(self._counted))

    def _absent(self) -> str | None:
        """Why no picture can come to this reader now."""
        newest, choice = self._newest, self._choice
        if newest.absent is not None or choice is None or newest.model is None:
            return newest.absent
        if newest.model is not self._judged:
            self._judged, labels = newest.model, newest.model.labels
            lines = list(idle_crops(choice, "its model", newest.model.manifest, labels))
            is_idle = lines and not set(choice.labels).intersection(labels)
            self._idle = "; ".join(lines)[:LONGEST_REASON] if is_idle else None
        return self._idle

    def miss_found(self, overtaken: Sequence[Found]) -> None:
        """The owner's model found this, and more before it could be shown."""
        if self._choice is not None and self._is_welcome:
            self._chosen += sum(len(chosen(found, self._choice)) for found in overtaken)

    def hear_found(self, loan: Loan, found: Found) -> None:
        """The owner's model has found this in that frame. Raises Gone."""
        spots = chosen(found, self._choice) if self._choice is not None else ()
        if not spots or not self._is_welcome:
            return
        self._chosen += len(spots)
        loan.holders += 1
        self._keep(Kept(loan, spots, time.monotonic()))
        if self._wants and len(self._loans) < MOST_LOANS:
            self._offer()

    def say(self, packet: FromOwner, descriptor: int | None = None) -> None:
        """Raises Gone, also for one that does not read what it is told."""
        rights = []
        if descriptor is not None:
            rights.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [descriptor])))
        try:
            self._socket.sendmsg([encoded(packet)], rights, socket.MSG_DONTWAIT)
        except OSError as error:
            raise Gone(str(error)) from None

    def is_dumb(self) -> bool:
        """Whether it has come for no purpose."""
        return not self._has_said_hello and time.monotonic() - self._came_s > SILENT_S

    def close(self) -> None:
        """Take back all that it has. May be called twice."""
        if self._has_said_hello and not self.is_gone:
            self._newest.guests -= 1
            self._newest.cascades -= self._choice is not None
        self.is_gone = True
        self._keep(None)
        self._capture.leave(self)
        for loan in self._loans.values():
            self._newest.put_down(loan)
        self._loans.clear()
        self._newest.changed.notify_all()

    def forget(self, buffers: list[int]) -> None:
        """These do not come again."""
        gone = self._known.intersection(buffers)
        self._known -= gone
        self._freed += gone

    def _limit(self) -> None:
        now_s = time.monotonic()
        if now_s - self._window_s >= 1.0:
            self._window_s, self._heard = now_s, 0
        self._heard += 1
        if self._heard > MOST_PER_S:
            raise Refused(f"more than {MOST_PER_S} packets a second")

    def _obey(self, packet: FromReader) -> None:
        if isinstance(packet, Hello):
            if self.refusal:  # said now: who closes before it has heard all resets the connection
                raise Refused(self.refusal)
            if packet.version != VERSION or self._has_said_hello:
                raise Refused(f"speaks version {packet.version}, here is {VERSION}: restart both")
            self._has_said_hello = True
            self._choice = packet.choice
            self._newest.guests += 1
            self._newest.cascades += packet.choice is not None
            self._capture.join(self, None)
        elif not self._is_welcome:
            raise Refused("says more than it may before it is welcome")
        elif isinstance(packet, Want):
            self._want(packet)
        elif isinstance(packet, Home):
            self._take_back(packet.buffers)

    def _take_back(self, buffers: Sequence[int]) -> None:
        for buffer in buffers:
            loan = self._loans.pop(buffer, None)
            if loan is None:
                raise Refused(f"gives back buffer {buffer}, which it has not")
            self._newest.put_down(loan)

    def _want(self, packet: Want) -> None:
        self._take_back(packet.homes)
        self._capture.join(self, aim_of(packet.aim))
        self._wants = True
        if packet.now:
            if len(self._loans) < MOST_LOANS:
                self._offer()
            if self._wants:
                self._wants = False
                self.say(Nothing())

    def _counts(self) -> Counts:
        return self._newest.counts if self._choice is None else Counts(self._chosen)

    def _keep(self, kept: Kept | None) -> None:
        before, self._kept = self._kept, kept
        if before is not None:
            self._newest.put_down(before.loan)

    def _offer(self) -> None:
        if self._choice is None:
            loan = self._newest.take(self._had)
            if loan is not None:
                self._lend(loan, loan.counts)
            return
        kept, self._kept = self._kept, None
        if kept is not None and (
            time.monotonic() - kept.came_s > STALE_S or kept.loan.buffer in self._loans
        ):
            self._newest.put_down(kept.loan)
        elif kept is not None:
            self._lend(kept.loan, self._counts(), kept.spots)

    def _lend(self, loan: Loan, counts: Counts, spots: tuple[Spot, ...] = ()) -> None:
        is_new = loan.buffer not in self._known
        frame, freed = loan.frame, tuple(self._freed[:64])
        lie = lie_of(frame.layout)
        assert lie is not None, "a frame without pixels"
        self._loans[loan.buffer] = loan
        self._wants, self._had, self._counted = False, loan.order, counts
        picture = Picture(
            loan.buffer, len(loan.memory), frame.seq, frame.captured_ns, lie, counts, freed, spots
        )
        self.say(picture, loan.memory.descriptor if is_new else None)
        self._known.add(loan.buffer)
        del self._freed[:64]
