"""A stream of pictures in one answer: multipart/x-mixed-replace, as cameras really send it."""

from __future__ import annotations

import time

from runtime.cameras.http_talk import WHOLE_S, impossible, size_of
from runtime.cameras.network_backlog import Unit
from runtime.cameras.network_wire import Wire
from wire.troubles import Unavailable

MOST_LINES = 64  # empty lines and a word of greeting come before the first part


class Parts:
    """Reads part after part. boundary: with its dashes; empty: the first line that has some."""

    def __init__(self, wire: Wire, shown: str, boundary: bytes) -> None:
        self._wire = wire
        self._shown = shown
        self._boundary = boundary

    def read(self, unit: Unit) -> None:
        """The next part, to the end of the unit; captured_ns is when it began to come. Raises
        Unavailable at the end of the stream."""
        self._wire.allow(2 * self._wire.timeout_s)  # the pause before a picture, and its headers
        self._to_boundary()
        length = dict(reversed(self._wire.headers())).get("content-length")
        self._wire.peek(1)
        unit.captured_ns = time.monotonic_ns()
        self._wire.allow(WHOLE_S)
        if length is None:
            self._to_next(unit)
            return
        there = unit.room(size_of(length))
        if there is None:
            raise Unavailable(f"{self._shown}: {impossible(length)}")
        self._wire.read_into(there)

    def _to_boundary(self) -> None:
        for _ in range(MOST_LINES):
            line = self._wire.line().rstrip()
            if not self._boundary and line.startswith(b"--"):
                self._boundary = line
            if self._boundary and line == self._boundary:
                return
            if self._boundary and line == self._boundary + b"--":
                raise Unavailable(f"{self._shown}: has ended its stream")
        raise Unavailable(f"{self._shown}: sends something else between its pictures")

    def _to_next(self, unit: Unit) -> None:
        """A part without a length: it ends before the next boundary, which stays on the wire."""
        end = b"\n" + self._boundary
        while True:
            self._wire.peek(len(end))
            view = self._wire.peek(self._wire.waiting())
            found = bytes(view).find(end)
            whole = found if found >= 0 else len(view) - len(end) + 1
            if not unit.add(view[:whole]):
                raise Unavailable(f"{self._shown}: sends a picture without end")
            self._wire.skip(whole)
            if found >= 0:
                self._wire.skip(1)
                if bytes(unit.content[-1:]) == b"\r":
                    unit.size -= 1
                return
