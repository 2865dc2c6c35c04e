"""One device while it streams: its mapped buffers, who holds them, and the newest picture.

A stream lives from one STREAMON to the next trouble and is never started again: a frame of an
earlier life goes home to the stream that lent it, and cannot be queued into a newer one.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import math
import mmap
import os
import select
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from runtime.cameras import v4l2_ioctl as v4l2
from runtime.cameras.v4l2_device import Card, Setting, busy
from runtime.frames import Losses
from runtime.sharing.memory import Mapped
from wire.troubles import Unavailable

KEPT = 2  # buffers that stay with the driver: one being filled, one to go on with
STALE_PERIODS = 3.0  # a webcam's own frames are one to two periods old when they come


class Sequence:
    """Frame numbers that only grow, from a driver's 32-bit counter that wraps and starts anew."""

    def __init__(self) -> None:
        self.seq = -1
        self._last: int | None = None

    def restart(self) -> None:
        """The driver counts from the beginning again: what it says next is no gap."""
        self._last = None

    def advance(self, counter: int) -> int:
        """Move `seq` on to the frame with this counter. Returns how many came between."""
        if self._last is None:
            step = max(1, counter - self.seq) if self.seq < 0 else 1
            lost = 0
        else:
            step = (counter - self._last) & 0xFFFFFFFF
            if not 0 < step < 1 << 31:  # a driver that does not count, or that began anew
                step = 1
            lost = step - 1
        self._last = counter
        self.seq += step
        return lost


class Taken(NamedTuple):
    """A full buffer that is out of the driver's hands until `Stream.put`."""

    buffer: int
    size: int
    seq: int
    captured_ns: int


class Stream:
    """Streams from `fd`, which it takes over and closes. Belongs to one thread at a time."""

    def __init__(self, fd: int, card: Card, setting: Setting, sequence: Sequence) -> None:
        self.memory: list[Mapped | None] = []
        self.lent = 0
        self._fd = fd
        self._card = card
        self._setting = setting
        self._sequence = sequence
        self._kind = ctypes.c_int32(card.kind)
        self._planes = (v4l2.Plane * v4l2.VIDEO_MAX_PLANES)()
        self._got = self._record(0)
        self._puts: list[v4l2.Buffer] = []
        self._homes: list[Callable[[], None]] = []
        self._drained = 0  # by the last look into the driver's queue
        self._oldest = Taken(0, 0, 0, 0)  # the first good one of them
        self._broken: OSError | None = None
        self._ended = False
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def map(self, count: int) -> None:
        """Have the driver make `count` buffers, and map them for reading."""
        request = v4l2.RequestBuffers(count=count, type=self._card.kind, memory=v4l2.MMAP)
        self._ask_for_use(v4l2.REQBUFS, request)
        if request.count <= KEPT:
            raise Unavailable(
                f"{self._card.node} has memory for {request.count} frames only, "
                f"{KEPT + 1} are needed: choose a smaller size"
            )
        for index in range(request.count):
            place = self._record(index)
            v4l2.ask(self._fd, v4l2.QUERYBUF, place)
            length, offset = place.length, place.m.offset
            if self._card.kind == v4l2.VIDEO_CAPTURE_MPLANE:
                length, offset = self._planes[0].length, self._planes[0].m.mem_offset
            self.memory.append(
                Mapped(self._fd, length, mmap.MAP_SHARED, mmap.PROT_READ, offset=offset)
            )
            self._puts.append(self._record(index))
            self._homes.append(partial(self._come_home, index))

    def export(self) -> None:
        """Let other processes map the buffers, where the driver can (drivers need not)."""
        for index, memory in enumerate(self.memory):
            wish = v4l2.ExportBuffer(self._card.kind, index, 0, os.O_RDONLY | os.O_CLOEXEC)
            try:
                v4l2.ask(self._fd, v4l2.EXPBUF, wish)
            except OSError:
                return
            if memory is not None:
                memory.export(wish.fd)

    def begin(self) -> None:
        """Hand every buffer to the driver and let it run."""
        self._sequence.restart()
        for index in range(len(self.memory)):
            v4l2.ask(self._fd, v4l2.QBUF, self._fresh(self._puts[index]))
        self._ask_for_use(v4l2.STREAMON, self._kind)

    def room(self) -> bool:
        """May one more frame be lent, so that the driver still has enough?"""
        return self.lent < len(self.memory) - KEPT

    def newest(self, timeout: float, losses: Losses) -> Taken | None:
        """The newest full buffer; older ones go back and are counted. None if nothing good came
        within `timeout` seconds. Raises OSError when the device has failed or is gone."""
        deadline = time.monotonic() + timeout
        while True:
            left = max(0.0, deadline - time.monotonic())
            events = self._poll.poll(math.ceil(left * 1000))
            taken = self._drain(losses) if events else None
            if taken is not None and self._may_be_fresher(taken, deadline):
                losses.skipped += 1
                self.put(taken.buffer)
            elif taken is not None:
                return taken
            elif events and events[0][1] & (select.POLLERR | select.POLLHUP):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            elif left <= 0:
                return None

    def _may_be_fresher(self, taken: Taken, deadline: float) -> bool:
        """When every buffer was full the driver had none to go on with, and what was newest then
        is old by now. The next picture is worth its wait if it saves more than it costs."""
        steps = taken.seq - self._oldest.seq
        if not steps or self._drained < len(self.memory) - self.lent:
            return False
        period_ns = (taken.captured_ns - self._oldest.captured_ns) // steps
        now_ns = time.monotonic_ns()
        in_time = now_ns + 2 * period_ns < deadline * 1e9
        return in_time and now_ns - taken.captured_ns > STALE_PERIODS * period_ns

    def put(self, index: int) -> None:
        """Give a buffer back to the driver. What goes wrong is raised by the next `newest`."""
        try:
            v4l2.ask(self._fd, v4l2.QBUF, self._fresh(self._puts[index]))
        except OSError as error:
            self._broken = error

    def lend(self, taken: Taken) -> tuple[mmap.mmap, Callable[[], None]]:
        """The driver's own memory, and how to give it back (once)."""
        memory = self.memory[taken.buffer]
        if memory is None:
            raise RuntimeError("the stream has ended")
        self.lent += 1
        return memory, self._homes[taken.buffer]

    def end(self) -> None:
        """Stop the driver and free the memory: what is on loan, when it comes home. May be called
        twice, and for a device that is gone."""
        if self._ended:
            return
        self._ended = True
        with contextlib.suppress(OSError):
            v4l2.ask(self._fd, v4l2.STREAMOFF, self._kind)
        if not self.lent:
            self._unmap()
        # with loans still out this leaves them their memory, and the device is free for others
        with contextlib.suppress(OSError):
            none = v4l2.RequestBuffers(count=0, type=self._card.kind, memory=v4l2.MMAP)
            v4l2.ask(self._fd, v4l2.REQBUFS, none)
        os.close(self._fd)

    def _drain(self, losses: Losses) -> Taken | None:
        taken: Taken | None = None
        self._drained = 0
        while self._dequeue(taken):
            self._drained += 1
            got, size = self._got, self._size()
            losses.driver += self._sequence.advance(got.sequence)
            if got.flags & v4l2.BUF_FLAG_ERROR or size < self._setting.least_bytes:
                losses.refused += 1
                self.put(got.index)
                continue
            before = taken
            taken = Taken(got.index, size, self._sequence.seq, _captured_ns(got))
            if before is None:
                self._oldest = taken
            else:
                losses.skipped += 1
                self.put(before.buffer)
        return taken

    def _dequeue(self, taken: Taken | None) -> bool:
        """Fills `_got`. False if there is nothing more, or trouble that can wait until the good
        frame that was taken before it has been used."""
        try:
            if self._broken is not None:
                raise self._broken
            v4l2.ask(self._fd, v4l2.DQBUF, self._fresh(self._got))
            return True
        except BlockingIOError:
            return False
        except OSError as error:
            self._broken = error
            if taken is None:
                raise
            return False

    def _size(self) -> int:
        if self._card.kind == v4l2.VIDEO_CAPTURE_MPLANE:
            return int(self._planes[0].bytesused)
        return int(self._got.bytesused)

    def _come_home(self, index: int) -> None:
        self.lent -= 1
        if not self._ended:
            self.put(index)
        elif not self.lent:
            self._unmap()

    def _unmap(self) -> None:
        for index, memory in enumerate(self.memory):
            self.memory[index] = None
            # somebody's view outlives its loan (Frame.release says so): then the last view unmaps
            with contextlib.suppress(BufferError):
                if memory is not None:
                    memory.close()

    def _record(self, index: int) -> v4l2.Buffer:
        record = v4l2.Buffer(index=index, type=self._card.kind, memory=v4l2.MMAP)
        return self._fresh(record)

    def _fresh(self, record: v4l2.Buffer) -> v4l2.Buffer:
        """The kernel has written over what a request needs when it is made again."""
        if self._card.kind == v4l2.VIDEO_CAPTURE_MPLANE:
            record.m.planes = self._planes
            record.length = v4l2.VIDEO_MAX_PLANES
        return record

    def _ask_for_use(self, request: int, record: ctypes.Structure | ctypes.c_int32) -> None:
        try:
            v4l2.ask(self._fd, request, record)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise Unavailable(busy(self._card.node)) from None
            raise


def _captured_ns(got: v4l2.Buffer) -> int:
    """CLOCK_MONOTONIC: the driver's stamp, or now where its clock is another one. Never later than
    now: some drivers stamp the end that they expect of a frame that they have already delivered."""
    now = time.monotonic_ns()
    if got.flags & v4l2.BUF_FLAG_TIMESTAMP_MASK == v4l2.BUF_FLAG_TIMESTAMP_MONOTONIC:
        return min(now, int(got.seconds * 1_000_000_000 + got.microseconds * 1000))
    return now
