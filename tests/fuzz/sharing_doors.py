"""Doors of a shared camera: what its readers say to its owner, and what an owner says to them."""

from __future__ import annotations

import os
import socket
from array import array
from contextlib import ExitStack
from dataclasses import astuple
from pathlib import Path
from typing import Any

import msgspec

from runtime.cameras import Ended
from runtime.cameras.shared import SharedCamera, make
from runtime.cameras.shared_line import Line
from runtime.frames import Frame, Losses, packed
from runtime.sharing.capture import Capture
from runtime.sharing.memory import shared_memory
from runtime.sharing.newest import Newest
from runtime.sharing.packets import (
    VERSION,
    Absent,
    Choice,
    Counts,
    FromOwner,
    FromReader,
    Hello,
    Home,
    Lie,
    Missed,
    Nothing,
    Over,
    Picture,
    Spot,
    Want,
    Welcome,
    encoded,
    socket_path,
)
from runtime.sharing.reader import Gone, Reader
from runtime.tasks import Box, Found
from tests.by_hand import HandCamera, HandClock
from tests.fuzz.door import Door, Opened
from wire.troubles import Unavailable

NBYTES = 4096
LIE = Lie("GREY", 64, 48, 64, (128, 96))
FOUND: Found = (Box(0, "car", 0.9, 1.0, 2.0, 30.0, 20.0), Box(1, "dog", 0.4, 9.0, 9.0, 5.0, 5.0))
SPOT = Spot(0, "car", 0.9, 1.0, 2.0, 30.0, 20.0)


def packets_of(content: bytes) -> tuple[int, list[bytes]]:
    """An input is a list: a number that says how, then packets. What is none is a packet."""
    try:
        whole = msgspec.msgpack.decode(content)
        assert isinstance(whole, list) and isinstance(whole[0], int)
        return whole[0], [msgspec.msgpack.encode(packet) for packet in whole[1:]]
    except (msgspec.MsgspecError, ValueError, RecursionError, AssertionError, LookupError):
        return 0, [content[:8192]]


def seed(how: int, *packets: FromReader | FromOwner) -> bytes:
    whole: list[Any] = [how]
    return msgspec.msgpack.encode(whole + [msgspec.msgpack.decode(encoded(p)) for p in packets])


def open_reader(folder: Path, last: ExitStack) -> Opened:
    """Whatever one says, what was lent to it comes home, and it is nobody's guest any more."""
    newest = Newest()
    capture = Capture(HandCamera(HandClock()), newest)
    capture.is_running = True
    layout, memory, losses = packed("GREY", 64, 48), shared_memory(NBYTES), Losses()
    newest.post(Frame(7, 1, layout, memory, lambda: None), memory, losses)

    def attempt(content: bytes) -> None:
        _, packets = packets_of(content)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            ours.setblocking(False)
            theirs.setblocking(False)
            reader = Reader(ours, newest, capture)
            try:
                for packet in packets[:50]:
                    with newest.changed:
                        theirs.send(packet[:8192])
                        reader.hear(layout)
                        loan = newest.take(-1)
                        assert loan is not None
                        reader.hear_found(loan, FOUND)
                        newest.put_down(loan)
            except (Gone, BlockingIOError) as gone:
                raise Unavailable(f"gone: {gone}") from None
            finally:
                with newest.changed:
                    reader.close()
        assert newest.guests == newest.cascades == 0 and not capture.users
        assert newest.loan is not None and newest.loan.holders == 1 and not newest.has_homes()

    hello, choice = Hello(VERSION), Hello(VERSION, Choice(("car", "dog"), 0.3, 4))
    want = Want((32, 32, True), True)
    seeds = (
        seed(0, hello, want, Home((0,)), want),
        seed(0, hello, Want(None), Want(None, False, (0,))),
        seed(0, choice, Want(None), Home((0,)), Want(None)),
    )
    return Opened(attempt, seeds)


def open_owner(folder: Path, last: ExitStack) -> Opened:
    """What a camera of another pipeline takes for a frame lies in memory that is there, and what it
    counts only grows. how: bit 0: for boxes; 1: no welcome before; 2: without memory."""
    listening = last.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
    listening.bind(os.fspath(socket_path(folder, "door")))
    listening.listen()
    memory = shared_memory(NBYTES)
    assert memory.descriptor is not None
    last.callback(memory.close)  # it is kept until then
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [memory.descriptor]))]

    def attempt(content: bytes) -> None:
        how, packets = packets_of(content)
        camera = make(f"pipeline://door?run={folder}{'&crop=car' if how & 1 else ''}")
        descriptors = len(os.listdir("/proc/self/fd"))
        camera._line = Line(folder, "door", camera._choice)
        camera._is_started = True
        ours, _ = listening.accept()
        with ours:
            ours.setblocking(False)
            if not how & 2:
                ours.send(encoded(Welcome(LIE, Counts(), None)))
            try:
                for packet in packets[:20]:
                    ours.sendmsg([packet[:8192]], [] if how & 4 else rights)
                    looked_at(camera)
            except (Ended, BlockingIOError, BrokenPipeError) as gone:
                raise Unavailable(f"gone: {gone}") from None
            finally:
                camera.stop()
        assert len(os.listdir("/proc/self/fd")) == descriptors
        if camera.absent is not None:
            raise Unavailable(camera.absent)

    picture = Picture(0, NBYTES, 7, 1, LIE, Counts(1))
    again = Picture(0, NBYTES, 8, 2, LIE, Counts(5, 1, 1, 1, 1), gone=(9,))
    boxes = Picture(0, NBYTES, 7, 1, LIE, Counts(2), spots=(SPOT, SPOT))
    seeds = (
        seed(0, picture, again, Nothing(), Missed(Counts(6, 1, 1, 1, 1)), Absent(None)),
        seed(4, Absent("was unplugged"), Over("its owner ends")),
        seed(4, Over("the film is over", ended=True)),
        seed(2, Welcome(LIE, Counts(), None), picture),
        seed(1, boxes),
    )
    return Opened(attempt, seeds)


def looked_at(camera: SharedCamera) -> None:
    """Reads what is there, as a pipeline does."""
    for _ in range(3):
        before = astuple(camera.losses)
        frame = camera.read(0)
        after = astuple(camera.losses)
        assert all(one <= other for one, other in zip(before, after, strict=True))
        if frame is None:
            continue
        with frame:
            int(frame.pixels.sum())
            if frame.part is not None:
                region, layout = frame.part.region, frame.layout
                assert region.x >= 0 and region.x + region.width <= layout.width
                assert region.y >= 0 and region.y + region.height <= layout.height
                assert region.width > 0 and region.height > 0


WHO = "a process of this device"
DOORS: tuple[Door, ...] = (
    Door("sharing.from_reader", WHO, open_reader, form="msgpack"),
    Door("sharing.from_owner", WHO, open_owner, form="msgpack"),
)
