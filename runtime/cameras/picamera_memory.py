"""A buffer of the image processor, mapped for reading; other processes can map it, too."""

from __future__ import annotations

import contextlib
import fcntl
import mmap

from runtime.frames import Memory
from runtime.sharing.memory import BEGIN_READING, DMA_BUF_SYNC, END_READING, Mapped


class Buffer:
    """Takes over a descriptor of memory whose picture begins at `offset` and has `nbytes`.

    memory: what to lend. It stays mapped as long as somebody looks at it, whatever became of the
    camera.
    """

    def __init__(self, descriptor: int, offset: int, nbytes: int) -> None:
        self._mapped = Mapped(descriptor, offset + nbytes, mmap.MAP_SHARED, mmap.PROT_READ)
        self._mapped.export(descriptor)
        self._descriptor = descriptor
        self.memory: Memory = memoryview(self._mapped)[offset:] if offset else self._mapped

    def begin(self) -> None:
        """Call before its picture is read: the image processor wrote past the caches."""
        self._sync(BEGIN_READING)

    def end(self) -> None:
        """Call when its picture has been read."""
        self._sync(END_READING)

    def _sync(self, flags: bytes) -> None:
        with contextlib.suppress(OSError):  # memory that no device writes has no need of it
            fcntl.ioctl(self._descriptor, DMA_BUF_SYNC, flags)
