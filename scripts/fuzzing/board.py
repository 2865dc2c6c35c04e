"""What a child is at, in memory that outlives it: the parent reads it when the child is gone."""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path
from types import TracebackType

MOST = 1 << 20  # bytes of an input
_HEAD = struct.Struct("<6Q")  # begun_ns, size, inputs, taken, refused, peak_kib


class Board:
    """One writes, others read. begun_ns: when the input was begun, on CLOCK_MONOTONIC; 0: none is.

    inputs: that were tried to their end.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_HEAD.size + MOST))
        with open(path, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _HEAD.size + MOST)
        values = _HEAD.unpack_from(self._memory)
        self.begun_ns, self._size, self.inputs, self.taken, self.refused, self.peak_kib = values

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._memory.close()

    def begin(self, content: bytes) -> None:
        """This input is tried from now on."""
        self._size = min(len(content), MOST)
        self._memory[_HEAD.size : _HEAD.size + self._size] = content[:MOST]
        self.begun_ns = time.monotonic_ns()
        self._write()

    def end(self, outcome: str) -> None:
        """The input was tried. outcome: "taken", "refused", or what went wrong."""
        self.begun_ns = 0
        self.inputs += 1
        self.taken += outcome == "taken"
        self.refused += outcome == "refused"
        self._write()

    def read(self) -> bytes | None:
        """See what is written. Returns the input that is being tried, None if none is."""
        values = _HEAD.unpack_from(self._memory)
        self.begun_ns, self._size, self.inputs, self.taken, self.refused, self.peak_kib = values
        if not self.begun_ns:
            return None
        return bytes(self._memory[_HEAD.size : _HEAD.size + self._size])

    def clear_input(self) -> None:
        """Nobody tries anything any more."""
        self.begun_ns = 0
        self._write()

    def _write(self) -> None:
        state = (self.begun_ns, self._size, self.inputs, self.taken, self.refused, self.peak_kib)
        _HEAD.pack_into(self._memory, 0, *state)
