"""A thread that fills camera memory beside the consumer, and lends it out frame by frame."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial

import numpy as np

from runtime.frames import Frame, Layout, Losses, Memory, Pixels
from runtime.sharing.memory import shared_memory
from wire.troubles import Unavailable

NOTHING = Layout("GREY", 0, 0, 0)
SLOTS = 4  # one being filled, one ready, two lent
PATIENCE_S = 5.0


def own_memory(nbytes: int) -> Memory:
    """Memory for one picture that this process alone sees."""
    return np.empty(nbytes, np.uint8)


class Slot:
    """Memory for one picture, and what was written to it. allot: makes memory of so many bytes."""

    __slots__ = ("_allot", "captured_ns", "layout", "memory", "pixels", "seq")

    def __init__(self, allot: Callable[[int], Memory] = own_memory) -> None:
        self._allot = allot
        self.memory: Memory = bytearray()
        self.pixels: Pixels = np.empty(0, np.uint8)
        self.layout = NOTHING
        self.seq = 0
        self.captured_ns = 0

    def room(self, layout: Layout) -> Pixels:
        """Take on a layout. Returns flat memory of at least `layout.nbytes` bytes, which is
        allocated only if this slot has never held a picture as large."""
        if self.pixels.size < layout.nbytes:
            self.memory = self._allot(layout.nbytes)
            self.pixels = np.frombuffer(self.memory, np.uint8)
        self.layout = layout
        return self.pixels


Fill = Callable[[Slot], bool]
"""Writes the next picture (layout, memory, seq, captured_ns) and returns True; returns False if
nothing came within a fraction of a second, so that stop() is obeyed. What it raises ends the
thread and is raised to the reader, after every picture that is ready."""

Ready = queue.SimpleQueue["Slot | Exception"]
Free = queue.SimpleQueue["Slot | None"]
Deliver = Callable[[Slot, Ready, Free, Losses], None]


def in_order(slot: Slot, ready: Ready, free: Free, losses: Losses) -> None:
    """For recordings: nothing is lost, the thread waits until a slot comes home."""
    ready.put(slot)


def newest_wins(slot: Slot, ready: Ready, free: Free, losses: Losses) -> None:
    """For live cameras: a picture that nobody has read is overtaken, and counted as skipped."""
    try:
        free.put(ready.get_nowait())  # type: ignore[arg-type]  # errors come last, so it is a slot
        losses.skipped += 1
    except queue.Empty:
        pass
    ready.put(slot)


class Ahead:
    """Pictures made by `fill` on a thread of its own. start, read and stop belong to one thread.

    spare: as a camera's: 0, or so many slots more, of memory that other processes can map.
    """

    def __init__(self, fill: Fill, deliver: Deliver, losses: Losses, spare: int = 0) -> None:
        self._fill = fill
        self._deliver = deliver
        self._losses = losses
        self._spare = spare
        self._stopping = threading.Event()
        self._over: Exception | None = None
        self._ready: Ready = queue.SimpleQueue()
        self._free: Free = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to fill, with fresh slots: frames of an earlier life go home to that one."""
        self._stopping = threading.Event()
        self._over = None
        self._ready, self._free = queue.SimpleQueue(), queue.SimpleQueue()
        for _ in range(SLOTS + self._spare):
            self._free.put(Slot(shared_memory if self._spare else own_memory))
        self._thread = threading.Thread(
            target=self._work, args=(self._stopping, self._ready, self._free), name="ahead"
        )
        self._thread.daemon = True
        self._thread.start()

    def read(self, timeout: float) -> Frame | None:
        """The next picture on loan, or None after `timeout` seconds. Raises what `fill` raised."""
        if self._over is not None:
            raise self._over
        try:
            # Python 3.10's may wait for ever for a timeout of next to nothing
            slot = self._ready.get(timeout=timeout) if timeout > 0 else self._ready.get_nowait()
        except queue.Empty:
            return None
        if isinstance(slot, Exception):
            self._over = slot
            raise slot
        return Frame(
            slot.seq, slot.captured_ns, slot.layout, slot.memory, partial(self._free.put, slot)
        )

    def stop(self) -> None:
        """End the thread and forget the slots. Raises Unavailable if `fill` hangs. May be called
        twice."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping.set()
        self._free.put(None)
        thread.join(PATIENCE_S)
        self._ready, self._free = queue.SimpleQueue(), queue.SimpleQueue()
        if thread.is_alive():
            raise Unavailable(
                f"decoding has hung for {PATIENCE_S:.0f} s (a dead network drive?): end the process"
            )

    def _work(self, stopping: threading.Event, ready: Ready, free: Free) -> None:
        try:
            while (slot := free.get()) is not None:
                while not self._fill(slot):
                    if stopping.is_set():
                        return
                if stopping.is_set():
                    return
                self._deliver(slot, ready, free, self._losses)
        except Exception as error:
            ready.put(error)
