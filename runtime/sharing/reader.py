"""The owner's end of one connection: what another pipeline asked for, has mapped and holds."""

from __future__ import annotations

import socket
import time
from array import array

from runtime.cameras import Ended
from runtime.frames import Layout
from runtime.sharing.capture import Capture
from runtime.sharing.newest import Loan, Newest
from runtime.sharing.packets import (
    LONGEST_REASON,
    MOST_ASKED_BYTES,
    VERSION,
    Absent,
    FromOwner,
    FromReader,
    Hello,
    Home,
    Nothing,
    Over,
    Picture,
    Want,
    Welcome,
    aim_of,
    encoded,
    from_reader,
    lie_of,
)
from wire.troubles import Refused

MOST_LOANS = 2
MOST_PER_S = 5000  # packets; a reader of a camera with 1,000 frames a second sends 2,000


class Gone(Exception):
    """This reader is no more, or is to be no more."""


class Reader:
    """Serves one connection. All methods with `newest.changed` held.

    layout: of the camera, when it is asked.
    """

    def __init__(self, ours: socket.socket, newest: Newest, capture: Capture) -> None:
        self.is_gone = False
        self._socket = ours
        self._newest = newest
        self._capture = capture
        self._had = -1
        self._wants = False
        self._loans: dict[int, Loan] = {}
        self._known: set[int] = set()
        self._freed: list[int] = []
        self._has_said_hello = False
        self._is_welcome = False
        self._told: str | None = None  # the absence that it knows of
        self._window_s = 0.0
        self._heard = 0

    def hear(self, layout: Layout) -> None:
        """Take one packet from the socket. Raises Gone, Refused."""
        try:
            content = self._socket.recv(MOST_ASKED_BYTES)
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
            self._had, self._told = newest.order, newest.absent
            self.say(Welcome(lie_of(layout), newest.counts, newest.absent))
        if newest.absent != self._told:
            self._told = newest.absent
            self.say(Absent(None if self._told is None else self._told[:LONGEST_REASON]))
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

    def close(self) -> None:
        """Take back all that it has. May be called twice."""
        self.is_gone = True
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
            if packet.version != VERSION or self._has_said_hello:
                raise Refused(f"speaks version {packet.version}, here is {VERSION}: restart both")
            self._has_said_hello = True
            self._capture.join(self, None)
        elif not self._is_welcome:
            raise Refused("says more than it may before it is welcome")
        elif isinstance(packet, Want):
            self._want(packet)
        elif isinstance(packet, Home):
            loan = self._loans.pop(packet.buffer, None)
            if loan is None:
                raise Refused(f"gives back buffer {packet.buffer}, which it has not")
            self._newest.put_down(loan)

    def _want(self, packet: Want) -> None:
        self._capture.join(self, aim_of(packet.aim))
        self._wants = True
        if packet.now:
            if len(self._loans) < MOST_LOANS:
                self._offer()
            if self._wants:
                self._wants = False
                self.say(Nothing())

    def _offer(self) -> None:
        loan = self._newest.take(self._had)
        if loan is None:
            return
        is_new = loan.buffer not in self._known
        frame, freed = loan.frame, tuple(self._freed[:64])
        lie = lie_of(frame.layout)
        assert lie is not None, "a frame without pixels"
        self._loans[loan.buffer] = loan
        self._wants, self._had = False, loan.order
        picture = Picture(
            loan.buffer, len(loan.memory), frame.seq, frame.captured_ns, lie, loan.counts, freed
        )
        self.say(picture, loan.memory.descriptor if is_new else None)
        self._known.add(loan.buffer)
        del self._freed[:64]
