"""The camera of another pipeline: frames that are lent by the process that owns it.

The same physical memory as the owner reads, mapped for reading. This process says that it wants a
frame, gets the newest, and says when it is home; it holds two at most. Where the owner is not there
or goes away the camera is absent, until it is there again.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass
from functools import partial

from runtime.cameras import Ended
from runtime.cameras.retry import Retry
from runtime.cameras.shared_line import Hushed, Line
from runtime.cameras.shared_uri import Source, parse
from runtime.frames import Aim, Frame, Layout, Losses, Part
from runtime.sharing.crops import Crop, part_of
from runtime.sharing.memory import Imported
from runtime.sharing.own import Tally
from runtime.sharing.packets import (
    Absent,
    Counts,
    FromOwner,
    Home,
    Lie,
    Missed,
    Nothing,
    Over,
    Picture,
    Want,
    Welcome,
    layout_of,
    sides,
)
from wire.troubles import Refused, Trouble, Unavailable

NOTHING = Layout("GREY", 0, 0, 0)
MOST_LOANS = 2
WELCOME_S = 10.0  # the owner's camera may have to be started
LARGEST = 1 << 40  # bytes of a picture whose memory is not known yet
MOST_BUFFERS = 256  # no camera has so many
ANSWER_S = 0.005  # "now" is answered at once, if the owner is awake

log = logging.getLogger("vedette.cameras")


def make(uri: str) -> SharedCamera:
    """The camera of a `pipeline:` URI, not yet opened. Raises Refused for what cannot be meant."""
    return SharedCamera(parse(uri))


@dataclass
class Lease:
    """A buffer on loan, and how many frames of it are not home."""

    line: Line
    number: int
    buffer: Imported
    frames: int


class SharedCamera:
    """What pipeline `source.pipeline` lends. seq and captured_ns are its owner's."""

    def __init__(self, source: Source) -> None:
        self.layout = NOTHING
        self.losses = Losses()
        self.absent: str | None = None
        self.aim: Aim | None = None
        self._source = source
        self._line: Line | None = None
        self._tally = Tally(self.losses, Counts())
        self._buffers: dict[int, Imported] = {}
        self._lie: Lie | None = None  # of the last picture, and what it means
        self._lies = NOTHING
        self._is_welcome = False
        self._homes: list[int] = []  # buffers that are home, and not said to be
        self._loans = 0  # buffers, those of `_ready` included
        self._asked = False  # and not answered yet
        self._ready: deque[Frame] = deque()  # came after its read had given up, or more boxes
        self._crop = source.crop
        self._choice = None if source.crop is None else source.crop.choice
        self._retry = Retry()
        self._is_started = False

    def start(self) -> None:
        """Raises Unavailable if its owner is not running."""
        self.stop()
        self._line = line = Line(self._source.run, self._source.pipeline, self._choice)
        try:
            if not self._await_welcome(line, time.monotonic() + WELCOME_S):
                raise Unavailable(f"pipeline {self._source.pipeline} gives no frames: is it well?")
        except (Hushed, Refused, Ended) as trouble:
            self.stop()
            raise Unavailable(f"pipeline {self._source.pipeline}: {trouble}") from None
        except BaseException:
            self.stop()
            raise
        self._is_started = True

    def read(self, timeout: float) -> Frame | None:
        """The newest frame. None after `timeout` seconds, and at once when the owner goes away:
        `absent` then says why."""
        if not self._is_started:
            raise RuntimeError("read() of a camera that was not started")
        deadline = time.monotonic() + timeout
        while self._line is None:
            if not self._reconnect(deadline):
                return None
        if self._loans >= MOST_LOANS and not self._ready:
            time.sleep(timeout)  # only the caller can change that
            return None
        try:
            return self._newest(self._line, deadline)
        except (Hushed, Refused) as trouble:
            self._lose(str(trouble))
            return None

    def stop(self) -> None:
        """Let go of the owner. Memory that is still on loan is unmapped when it comes home."""
        self._is_started = False
        line, self._line = self._line, None
        while self._ready:
            self._ready.popleft().release()
        self._asked = self._is_welcome = False
        self._buffers, self._lie, self._homes = {}, None, []
        self._loans = 0
        if line is not None:
            line.close()

    def _newest(self, line: Line, deadline: float) -> Frame | None:
        """Raises Hushed, Refused, Ended."""
        if not self._is_welcome and not self._await_welcome(line, deadline):
            return None
        while (packet := line.receive(0)) is not None:
            if not self._take(line, packet):
                return None
        aim = sides(self.aim) if self._crop is None else None
        if self._ready and (self._asked or self._crop is not None):
            return self._handed_out()
        if self._ready:
            self._ask(line, Want(aim, True, self._sent_home()))
            deadline = max(deadline, time.monotonic() + ANSWER_S)
        elif not self._asked:
            self._ask(line, Want(aim, False, self._sent_home()))
        elif self._homes:
            line.send(Home(self._sent_home()))
        while True:
            packet = line.receive(deadline - time.monotonic())
            if packet is None or isinstance(packet, Nothing):
                self._asked = packet is None
                return self._handed_out()
            if not self._take(line, packet):
                return None
            if isinstance(packet, Picture):
                return self._handed_out()

    def _ask(self, line: Line, want: Want) -> None:
        line.send(want)
        self._asked = True

    def _take(self, line: Line, packet: FromOwner) -> bool:
        """Whether to go on. Raises Refused, Ended."""
        if isinstance(packet, Picture):
            frames = self._frames(line, packet)
            while self._ready and self._crop is None:  # overtaken
                self._ready.popleft().release()
                self.losses.skipped += 1
            self._ready += frames
            self._asked = False
        elif isinstance(packet, Nothing):
            self._asked = False
        elif isinstance(packet, Missed):
            self._count(packet.counts, 0)
        elif isinstance(packet, Absent):
            self._say_absent(packet.why)
            return packet.why is None
        elif isinstance(packet, Over):
            if packet.ended:
                raise Ended(packet.why)
            raise Refused(packet.why)
        else:
            raise Refused("it welcomes twice")
        return True

    def _handed_out(self) -> Frame | None:
        if not self._ready:
            return None
        frame = self._ready.popleft()
        self.layout = frame.layout
        return frame

    def _buffer(self, line: Line, picture: Picture) -> Imported:
        buffers = self._buffers
        for number in picture.gone:
            buffers.pop(number, None)
        if line.descriptor is not None:
            descriptor, line.descriptor = line.descriptor, None
            buffers[picture.buffer] = Imported(descriptor, picture.size)
            if len(buffers) > MOST_BUFFERS:
                raise Refused(f"pictures came in more than {MOST_BUFFERS} buffers")
        buffer = buffers.get(picture.buffer)
        if buffer is None:
            raise Refused("a picture came in memory that is not known")
        return buffer

    def _frames(self, line: Line, picture: Picture) -> list[Frame]:
        """One, or one for each box."""
        buffer = self._buffer(line, picture)
        if picture.lie != self._lie or self._lies.nbytes > len(buffer.memory):
            self._lies = layout_of(picture.lie, len(buffer.memory))
            self._lie = picture.lie
        parts = [None] if self._crop is None else self._parts(self._crop, picture)
        self._count(picture.counts, len(parts))
        self._loans += 1
        buffer.begin()
        lease = Lease(line, picture.buffer, buffer, len(parts))
        home = partial(self._come_home, lease)
        frames = []
        for part in parts:
            frame = Frame(picture.seq, picture.captured_ns, self._lies, buffer.memory, home)
            frame.part = part
            frames.append(frame)
        return frames

    def _count(self, counts: Counts, taken: int) -> None:
        if not self._tally.fits(counts, taken):
            raise Refused("it counts backwards")
        self._tally.add(counts, taken)

    def _parts(self, crop: Crop, picture: Picture) -> list[Part | None]:
        if not picture.spots:
            raise Refused("a picture came without a box")
        return [part_of(spot, crop.margin, self._lies) for spot in picture.spots]

    def _come_home(self, lease: Lease) -> None:
        lease.frames -= 1
        if lease.frames:
            return
        lease.buffer.end()
        if lease.line is self._line:
            self._loans -= 1
            self._homes.append(lease.number)  # said with the next wish: a packet less per frame

    def _sent_home(self) -> tuple[int, ...]:
        homes, self._homes = tuple(self._homes), []
        return homes

    def _await_welcome(self, line: Line, deadline: float) -> bool:
        """Whether it came in time. Raises Hushed, Refused, Ended."""
        packet = line.receive(deadline - time.monotonic())
        if packet is None:
            return False
        if isinstance(packet, Over):
            self._take(line, packet)
        if not isinstance(packet, Welcome):
            raise Refused("it does not begin with a welcome")
        if packet.lie is not None:
            self.layout = layout_of(packet.lie, LARGEST)
        self._tally = Tally(self.losses, packet.counts)
        self._is_welcome = True
        self._say_absent(packet.absent)
        return True

    def _named(self, why: str | None) -> str | None:
        return None if why is None else f"pipeline {self._source.pipeline}: {why}"

    def _lose(self, why: str) -> None:
        self.stop()
        self._is_started = True
        self._say_absent(f"{why}: waiting for it to come back")
        self._retry.postpone()

    def _reconnect(self, deadline: float) -> bool:
        """Try again when it is time. False: that is not before the deadline."""
        if not self._retry.wait(deadline):
            return False
        try:
            self._line = Line(self._source.run, self._source.pipeline, self._choice)
        except Trouble as trouble:
            self._retry.postpone()
            self.absent = str(trouble)
        return True

    def _say_absent(self, why: str | None) -> None:
        if (self.absent is None) != (why is None):
            log.warning("camera: %s", why or f"pipeline {self._source.pipeline} has it again")
        self.absent = self._named(why)
