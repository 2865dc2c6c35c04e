"""The memory of cameras that give rows: a few buffers that are filled and lent in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from runtime.frames import Frame, Layout, row_layout
from runtime.rows import Floats

BUFFERS = 4


class RowBuffers:
    """Room for a few rows of one length, made anew where the length changes."""

    def __init__(self) -> None:
        self.layout = row_layout(0)
        self._free: deque[Floats] = deque()

    def shape(self, count: int, columns: tuple[str, ...]) -> None:
        """From now on rows have so many numbers, called so."""
        layout = row_layout(count, columns)
        if layout == self.layout:
            return
        self.layout = layout
        self._free = deque(np.zeros(count, np.float32) for _ in range(BUFFERS))

    @property
    def has_room(self) -> bool:
        """False: all are on loan."""
        return bool(self._free)

    def lend(self, seq: int, captured_ns: int, fill: Callable[[Floats], None]) -> Frame:
        """A row that `fill` writes. There must be room. Raises what `fill` does."""
        free, layout = self._free, self.layout
        memory = free.popleft()
        try:
            fill(memory)
        except BaseException:
            free.appendleft(memory)
            raise
        return _frame(seq, captured_ns, layout, memory, free)


def _frame(
    seq: int, captured_ns: int, layout: Layout, memory: Floats, free: deque[Floats]
) -> Frame:
    return Frame(seq, captured_ns, layout, memory.view(np.uint8), lambda: free.append(memory))
