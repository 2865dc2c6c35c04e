"""Cameras of the Linux kernel, `v4l2:///dev/video0`: frames are loans of the driver's own memory.

Requests, records and the life of a buffer: "Streaming I/O (Memory Mapping)" in the kernel's
userspace-api/media documentation. A camera that is pulled out is reported absent and reopened.
"""

from __future__ import annotations

import errno
import logging
import os
import time

import numpy as np

from runtime import jpeg
from runtime.ahead import Ahead, Slot, newest_wins, own_memory
from runtime.cameras.retry import Retry
from runtime.cameras.v4l2_choice import check_rate, choose
from runtime.cameras.v4l2_device import Card, Setting, configure, identify, open_node, read_offers
from runtime.cameras.v4l2_memory import SLOW, Copies, slowness
from runtime.cameras.v4l2_stream import Sequence, Stream
from runtime.cameras.v4l2_uri import MOST_BUFFERS, Request, find, parse
from runtime.frames import Aim, Frame, Layout, Losses
from runtime.sharing.memory import shared_memory
from wire.troubles import Trouble, Unavailable

FILL_S = 0.2  # how long the decoding thread waits before it looks whether it should stop

log = logging.getLogger("vedette.cameras")


def make(uri: str) -> V4l2Camera:
    """The camera of a `v4l2:` URI, not yet opened. Raises Refused for what cannot be meant."""
    return V4l2Camera(parse(uri))


class V4l2Camera:
    """A device of the kernel's video subsystem.

    card: who the device is; fps: its own word for its rate; memory: how its frames are lent.
    All three are known after start().
    """

    def __init__(self, request: Request) -> None:
        self.layout = Layout("YUYV", 0, 0, 0)
        self.losses = Losses()
        self.absent: str | None = None
        self.aim: Aim | None = None
        self.spare = 0
        self.card: Card | None = None
        self.fps: float | None = None
        self.memory = "not open"
        self._request = request
        self._sequence = Sequence()
        self._stream: Stream | None = None
        self._ahead: Ahead | None = None
        self._lender: Stream | Copies | None = None
        self._retry = Retry()
        self._started = False

    def start(self) -> None:
        """Open the device and let it run. Raises Unavailable, or Refused with what it offers."""
        self.stop()
        self._open()
        self._started = True
        self.absent = None
        log.info("camera: %s", self.describe())

    def read(self, timeout: float) -> Frame | None:
        """The newest frame. None after `timeout` seconds, and at once when the camera goes away:
        `absent` then says why."""
        if not self._started:
            raise RuntimeError("read() of a camera that was not started")
        deadline = time.monotonic() + timeout
        while self._stream is None:
            if not self._reopen(deadline):
                return None
        left = max(0.0, deadline - time.monotonic())
        try:
            if self._ahead is not None:
                frame = self._ahead.read(left)
                self.layout = frame.layout if frame is not None else self.layout
                return frame
            return self._newest(left)
        except OSError as error:
            self._lose(error)
            return None

    def stop(self) -> None:
        """Free the device. Memory that is still on loan is freed when it comes home."""
        self._started = False
        self._close()

    def describe(self) -> str:
        """One line for people: which device, in what setting."""
        who = f"{self.card.card} at {self.card.node}" if self.card else "no device"
        rate = f"{self.fps:.4g} fps" if self.fps else "a rate of its own"
        layout = self.layout
        return f"{who}: {layout.format} {layout.width}x{layout.height}, {rate}, {self.memory}"

    def _close(self) -> None:
        ahead, self._ahead = self._ahead, None
        stream, self._stream = self._stream, None
        self._lender = None
        try:
            if ahead is not None:
                ahead.stop()
        finally:
            if stream is not None:
                stream.end()

    def _newest(self, timeout: float) -> Frame | None:
        if self._stream is None or self._lender is None:
            return None
        if not self._lender.room():
            time.sleep(timeout)  # all is on loan: only the caller can change that
            return None
        taken = self._stream.newest(timeout, self.losses)
        if taken is None:
            return None
        memory, give_back = self._lender.lend(taken)
        return Frame(taken.seq, taken.captured_ns, self.layout, memory, give_back)

    def _open(self) -> None:
        node = find(self._request)
        fd = open_node(node)
        try:
            card = identify(fd, node)
            setting = self._negotiate(fd, card)
            stream = Stream(fd, card, setting, self._sequence)
        except OSError as error:
            os.close(fd)
            raise _unavailable(node, error) from None
        except BaseException:
            os.close(fd)
            raise
        try:
            stream.map(min(MOST_BUFFERS, self._request.buffers + self.spare))
            if self.spare:
                stream.export()
            self._lender = self._choose_memory(stream, setting)
            stream.begin()
        except OSError as error:
            stream.end()
            raise _unavailable(node, error) from None
        except BaseException:
            stream.end()
            raise
        self._use(stream, card, setting)

    def _negotiate(self, fd: int, card: Card) -> Setting:
        wish = self._request.wish
        choice = choose(card.node, read_offers(fd, card.kind, wish.size), wish)
        setting = configure(fd, card, choice)
        check_rate(card.node, wish, setting.choice)
        return setting

    def _choose_memory(self, stream: Stream, setting: Setting) -> Stream | Copies:
        first = stream.memory[0]
        ratio = slowness(first) if self._request.copy == "auto" and first is not None else 0.0
        if self._request.copy == "never" or (self._request.copy == "auto" and ratio < SLOW):
            self.memory = f"{len(stream.memory)} buffers in place"
            return stream
        why = f"it reads {ratio:.1f} times slower" if ratio else "as asked"
        self.memory = f"copied once out of the driver's memory ({why})"
        return Copies(stream, setting.sizeimage, shared_memory if self.spare else own_memory)

    def _use(self, stream: Stream, card: Card, setting: Setting) -> None:
        self._stream, self.card, self.fps = stream, card, setting.choice.fps
        if setting.choice.format != "MJPG":
            self.layout = setting.layout
            return
        self.layout = Layout(
            "RGB3", setting.choice.width, setting.choice.height, setting.choice.width * 3
        )
        self._ahead = Ahead(self._decode, newest_wins, self.losses, self.spare)
        self._ahead.start()

    def _decode(self, slot: Slot) -> bool:
        """On the decoding thread: the newest picture, out of the driver's memory into ours."""
        stream, lender = self._stream, self._lender  # stop() takes them away meanwhile
        if stream is None or lender is None:
            return False
        taken = stream.newest(FILL_S, self.losses)
        if taken is None:
            return False
        memory, give_back = lender.lend(taken)
        try:
            picture = np.frombuffer(memory, np.uint8)[: taken.size]
            layout = jpeg.plan(picture, self.aim)
            jpeg.decode(picture, layout, slot.room(layout))
        except jpeg.BrokenPicture:
            self.losses.decode += 1
            return False
        finally:
            del picture
            give_back()
        slot.seq, slot.captured_ns = taken.seq, taken.captured_ns
        return True

    def _lose(self, error: OSError) -> None:
        gone = error.errno in (errno.ENODEV, errno.ENXIO)
        node = self.card.node if self.card else "the camera"
        what = "was unplugged" if gone else f"failed ({error.strerror})"
        self._close()
        self._say_absent(f"{node} {what}: waiting for it to come back")
        self._retry.postpone()

    def _reopen(self, deadline: float) -> bool:
        """Try again when it is time. False: that is not before the deadline."""
        if not self._retry.wait(deadline):
            return False
        try:
            self._open()
        except Trouble as trouble:
            self._retry.postpone()
            self._say_absent(str(trouble))
            return True
        self.absent = None
        log.warning("camera: back: %s", self.describe())
        return True

    def _say_absent(self, why: str) -> None:
        if self.absent is None:
            log.warning("camera: %s", why)
        self.absent = why


def _unavailable(node: str, error: OSError) -> Unavailable:
    if error.errno == errno.ENODEV:
        return Unavailable(f"{node} was unplugged just now")
    if error.errno == errno.ENOMEM:
        return Unavailable(f"{node} has no memory for its frames: choose a smaller size")
    return Unavailable(f"{node} does not start: {error.strerror}: plug it in again")
