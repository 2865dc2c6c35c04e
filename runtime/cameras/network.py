"""Cameras on the network: a thread receives and connects again, another decodes the newest.

Nothing waits without a limit: the receiver drains the connection as fast as it comes, what waits
for the decoder is bounded by time (`Backlog`), and decoded pictures overtake each other.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Protocol

from runtime.ahead import NOTHING, Ahead, Slot, newest_wins
from runtime.cameras.network_backlog import JPEG, Backlog, Stream, Unit
from runtime.cameras.network_uri import Target
from runtime.cameras.network_wire import Leaving
from runtime.frames import Aim, Frame, Layout, Losses
from runtime.stopping import is_asked_for
from wire.troubles import Refused, Trouble, Unavailable

FILL_S = 0.2  # how long the decoding thread waits before it looks whether it should stop
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 10.0
REFUSED_RETRY_S = 60.0  # cameras lock who comes with a wrong password again and again
START_S = 20.0  # the watchdog of a service waits for 30; most have a key frame every few seconds
LEAVE_S = 0.3
MOST_BROKEN = 10  # pictures, before the first whole one
STALE_NS = 500_000_000  # older than that when it came: decoded, since others build on it

log = logging.getLogger("vedette.cameras")


class Connection(Protocol):
    """One connection to a camera, of the receiving thread alone."""

    def open(self) -> None:
        """Connect. Raises Refused (the camera says no), Unavailable, or Leaving."""

    def receive(self, backlog: Backlog) -> None:
        """Wait for what comes next and put it there. Raises as open() does."""

    def close(self) -> None:
        """May be called twice, and without open()."""


class Decoder(Protocol):
    """Makes pixels of compressed pictures. Of the decoding thread alone."""

    def decode(self, unit: Unit, slot: Slot, aim: Aim | None) -> bool:
        """Write a picture (layout, memory, seq, captured_ns). False: none came out, or a broken
        one, which is counted."""


Connect = Callable[[threading.Event], Connection]
"""Makes a connection, not yet open; the event is set when it shall end."""


class NetworkCamera:
    """A camera that is reached by `connect`. target: where it is, and what it is called.

    make_decoder: gets the counters of lost pictures.
    """

    def __init__(
        self, target: Target, connect: Connect, make_decoder: Callable[[Losses], Decoder]
    ) -> None:
        self.target = target
        self.layout: Layout = NOTHING
        self.losses = Losses()
        self.absent: str | None = None
        self.aim: Aim | None = None
        self.spare = 0
        self._where = target.shown
        self._connect = connect
        self._make_decoder = make_decoder
        self._ahead: Ahead | None = None
        self._life: _Life | None = None
        self._seq = 0
        self._no: Refused | None = None
        self._no_until_s = 0.0

    def start(self) -> None:
        """Connect, and wait for a first picture: only that says what its pictures are like."""
        self.stop()
        if self._no is not None and time.monotonic() < self._no_until_s:
            raise self._no
        self._life = life = _Life(self, self._connect, self._seq)
        decoder = self._make_decoder(self.losses)
        self._ahead = Ahead(
            lambda slot: self._fill(life, decoder, slot), newest_wins, self.losses, self.spare
        )
        self._ahead.start()
        life.thread.start()
        end_s = time.monotonic() + START_S
        while not life.changed.wait(FILL_S) and time.monotonic() < end_s and not is_asked_for():
            pass
        if life.first is not None and life.ended is None:
            self.layout, self.absent = life.first, None
            return
        trouble = life.ended or self._why_nothing()
        if isinstance(trouble, Refused):
            self._no, self._no_until_s = trouble, time.monotonic() + REFUSED_RETRY_S
        self.stop()
        raise trouble

    def read(self, timeout: float) -> Frame | None:
        """The newest frame. None after `timeout` seconds; `absent` then says whether it is away."""
        if self._ahead is None:
            raise RuntimeError("read() of a camera that was not started")
        frame = self._ahead.read(timeout)
        if frame is not None:
            self.layout = frame.layout
        elif self._life is not None and self._life.ended is not None:
            raise self._life.ended  # nobody receives any more: no picture would ever come
        return frame

    def stop(self) -> None:
        """End both threads. One that waits for a network that hangs is left to its own timeout."""
        life, self._life = self._life, None
        ahead, self._ahead = self._ahead, None
        self.absent = None
        if life is None:
            return
        life.leave.set()
        life.backlog.close()
        if ahead is not None:
            ahead.stop()
        if life.thread.ident is not None:
            life.thread.join(LEAVE_S)
        self._seq = life.backlog.number

    def _why_nothing(self) -> Unavailable:
        if is_asked_for():
            return Unavailable(f"{self._where}: had sent no picture yet when the end was asked for")
        mend = "look at that address with a browser"
        if self.target.scheme.startswith("rtsp"):
            mend = "set its time from key frame to key frame to 2 s"
        told = f"sends no picture within {START_S:g} s that can be decoded"
        return Unavailable(f"{self._where}: {told}: {mend}")

    def _fill(self, life: _Life, decoder: Decoder, slot: Slot) -> bool:
        try:
            return self._show(life, decoder, slot)
        except Exception as error:  # read() raises it, and start() must not wait for a picture
            life.end(error)
            raise

    def _show(self, life: _Life, decoder: Decoder, slot: Slot) -> bool:
        unit = life.backlog.take(FILL_S)
        if unit is None:
            return False
        broken, number, stream = self.losses.decode, unit.number, unit.stream
        try:
            came = decoder.decode(unit, slot, self.aim)
        finally:
            life.backlog.give_back(unit)
        if self.losses.decode != broken:
            life.backlog.interrupt()  # what builds on it would be smeared
            self._judge(life, stream)
        if not came:
            return False
        if time.monotonic_ns() - slot.captured_ns > STALE_NS and life.first is not None:
            self.losses.skipped += 1  # it stood behind a network that stood still
            return False
        if life.first is None:
            life.first = slot.layout
            life.changed.set()
        if self.absent is not None and number > life.lost_at:
            self.absent = None
            log.warning("camera: %s: is back", self._where)
        return True

    def _judge(self, life: _Life, stream: Stream) -> None:
        """A picture was broken. Each of JPEG stands for itself: where none of many is whole, the
        next will not be either."""
        life.broken += 1
        if life.first is None and stream is JPEG and life.broken >= MOST_BROKEN:
            told = f"sends pictures that cannot be decoded: the first {life.broken} are damaged"
            life.end(
                Unavailable(f"{self._where}: {told}; restart the camera, or see its own pages")
            )


class _Life:
    """What lives from start() to stop(): an old thread that still hangs knows only its own."""

    def __init__(self, camera: NetworkCamera, connect: Connect, number: int) -> None:
        self.leave = threading.Event()
        self.changed = threading.Event()  # there is a first picture, or trouble before it
        self.first: Layout | None = None
        self.ended: Exception | None = None  # what ended one of the threads: trouble, or a bug
        self.broken = 0  # pictures
        self.backlog = Backlog(camera.losses, number)
        self.lost_at = number  # the last picture of a connection that has ended
        self._camera = camera
        self._connect = connect
        self.thread = threading.Thread(target=self._receive, name="receive", daemon=True)

    def _receive(self) -> None:
        """Whatever ends it, somebody gets to know: start(), read(), or the decoding thread."""
        try:
            self._stay_connected()
        except Leaving:
            return
        except Exception as error:  # a bug
            self.end(error)
            self.backlog.fail(error)
            raise

    def end(self, error: Exception) -> None:
        """Let start() and read() know why no pictures will come."""
        self.ended = self.ended or error
        self.changed.set()

    def _stay_connected(self) -> None:
        pause_s = FIRST_RETRY_S
        while not self.leave.is_set():
            try:
                with closing(self._connect(self.leave)) as connection:
                    connection.open()
                    while not self.leave.is_set():
                        connection.receive(self.backlog)
                        pause_s = FIRST_RETRY_S
            except Trouble as trouble:
                if self._lose(trouble):
                    return
                self.leave.wait(REFUSED_RETRY_S if isinstance(trouble, Refused) else pause_s)
                pause_s = min(2 * pause_s, LAST_RETRY_S)

    def _lose(self, trouble: Trouble) -> bool:
        """Say that the camera is away. True: it never was there, which start() tells."""
        self.backlog.interrupt()
        self.lost_at = self.backlog.number
        if self.first is None:
            self.end(trouble)
            return True
        if not self.leave.is_set():
            if self._camera.absent is None:
                log.warning("camera: %s", trouble)
            self._camera.absent = str(trouble)
        return False
