"""A reader's end of the socket on which another pipeline lends its camera's frames."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from array import array
from pathlib import Path

from runtime.sharing.packets import (
    MOST_BYTES,
    VERSION,
    Choice,
    FromOwner,
    FromReader,
    Hello,
    encoded,
    from_owner,
    socket_path,
)
from wire.local import LONGEST_PATH
from wire.troubles import Refused, Unavailable

ROOM = socket.CMSG_SPACE(array("i").itemsize)


class Hushed(Exception):
    """The other end is gone, or does not keep to the rules."""


class Line:
    """One connection to the owner of a pipeline's camera. descriptor: that came with the packet
    that was received last; who takes it sets it to None."""

    def __init__(self, run_folder: Path, pipeline: str, choice: Choice | None) -> None:
        """Connect. Raises Unavailable if nobody shares the camera, Refused for a path too long."""
        path = socket_path(run_folder, pipeline)
        if len(os.fsencode(path)) > LONGEST_PATH:
            raise Refused(f"{path}: longer than {LONGEST_PATH} bytes: choose a shorter run folder")
        self.descriptor: int | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._room = memoryview(bytearray(MOST_BYTES))
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        try:
            self._socket.setblocking(False)  # a connection in this family never waits
            self._socket.connect(os.fspath(path))
        except OSError as error:
            self._socket.close()
            raise Unavailable(
                f"pipeline {pipeline} does not share its camera now "
                f"({os.strerror(error.errno or 0)} at {path}): start its service, or restart it "
                "if this pipeline was added since"
            ) from None
        with contextlib.suppress(Hushed):  # it may have said why already
            self.send(Hello(VERSION, choice))

    def send(self, packet: FromReader) -> None:
        """Raises Hushed."""
        try:
            self._socket.send(encoded(packet))
        except OSError as error:
            raise Hushed(f"its owner is gone ({error.strerror})") from None

    def receive(self, timeout_s: float) -> FromOwner | None:
        """The next packet; None if none came in time. Raises Hushed, Refused for garbage."""
        content = self._next()
        if content is None and timeout_s > 0:
            self._wait(timeout_s)
            content = self._next()
        return None if content is None else from_owner(content)

    def close(self) -> None:
        """May be called twice."""
        self._drop()
        self._socket.close()

    def _wait(self, timeout_s: float) -> None:
        until_s = time.monotonic() + timeout_s
        while not self._poll.poll(max(0.0, timeout_s) * 1000):  # it may be a little early
            timeout_s = until_s - time.monotonic()
            if timeout_s <= 0:
                return

    def _next(self) -> memoryview | None:
        self._drop()
        try:
            size, rights, flags, _ = self._socket.recvmsg_into(
                [self._room], ROOM, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return None
        except OSError as error:
            raise Hushed(f"its owner is gone ({error.strerror})") from None
        got = array("i")
        for _, _, numbers in rights:
            got.frombytes(numbers[: len(numbers) - len(numbers) % got.itemsize])
        for number in got:
            self._drop()
            self.descriptor = number
        if len(got) > 1:  # there is room for two
            raise Refused("a packet came with more than one descriptor")
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise Refused("a packet came that is larger than any")
        if not size:
            raise Hushed("its owner is gone")
        return self._room[:size]

    def _drop(self) -> None:
        descriptor, self.descriptor = self.descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)
