"""Memory that other processes can map: made here, or imported by its descriptor.

What is imported was sent by another process, so it is believed only as far as it is checked: memory
that could shrink under a reader would end it with SIGBUS.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import weakref

from wire.troubles import Refused

SEAL_FUTURE_WRITE = 0x0010  # Linux 5.1: who maps it from now on can only read
NOEXEC_SEAL = 0x0008  # Linux 6.3: it never becomes a program, and the kernel need not warn of it
KEPT_SIZE = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
DMA_BUF, OLD_DMA_BUF = "/dmabuf:", "anon_inode:dmabuf"  # its name; before Linux 5.3
DMA_BUF_SYNC = 0x40086200  # linux/dma-buf.h: DMA_BUF_IOCTL_SYNC, its flags as one u64
BEGIN_READING, END_READING = struct.pack("=Q", 1), struct.pack("=Q", 1 | 4)


class Mapped(mmap.mmap):
    """Mapped memory. descriptor: by which other processes can map it; None: they cannot."""

    descriptor: int | None = None

    def export(self, descriptor: int) -> None:
        """Others can map it by `descriptor`, which is closed when this memory is freed."""
        self.descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)


def shared_memory(nbytes: int) -> Mapped:
    """Zeroed memory of which others can map the same pages, but not write them."""
    descriptor = _memory_file()
    try:
        os.ftruncate(descriptor, nbytes)
        memory = Mapped(descriptor, nbytes, mmap.MAP_SHARED)
    except BaseException:
        os.close(descriptor)
        raise
    memory.export(descriptor)
    with contextlib.suppress(OSError):  # an older kernel: its readers map it for reading, too
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEAL_FUTURE_WRITE)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, KEPT_SIZE)
    return memory


def _memory_file() -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    with contextlib.suppress(OSError):
        return os.memfd_create("vedette-picture", flags | NOEXEC_SEAL)
    return os.memfd_create("vedette-picture", flags)


class Imported:
    """Another process's memory, mapped for reading. Takes over the descriptor.

    Raises Refused if it is smaller than `nbytes`, or of a kind that could become smaller.
    """

    def __init__(self, descriptor: int, nbytes: int) -> None:
        self._descriptor: int | None = None
        try:
            is_device = _is_dma_buf(descriptor)
            if not is_device and not _keeps_its_size(descriptor):
                raise Refused("memory for pictures came that may shrink")
            if not 0 < nbytes <= os.lseek(descriptor, 0, os.SEEK_END):
                raise Refused("memory for pictures came that is smaller than the pictures")
            self.memory = mmap.mmap(descriptor, nbytes, mmap.MAP_SHARED, mmap.PROT_READ)
        except (OSError, ValueError) as error:
            os.close(descriptor)
            raise Refused(f"memory for pictures came that cannot be mapped: {error}") from None
        except BaseException:
            os.close(descriptor)
            raise
        if is_device:
            self._descriptor = descriptor
            weakref.finalize(self, os.close, descriptor)
        else:
            os.close(descriptor)

    def begin(self) -> None:
        """Call before a picture in it is read: a device may have written past the caches."""
        self._sync(BEGIN_READING)

    def end(self) -> None:
        """Call when a picture has been read."""
        self._sync(END_READING)

    def _sync(self, flags: bytes) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # its device is gone
                fcntl.ioctl(self._descriptor, DMA_BUF_SYNC, flags)


def _is_dma_buf(descriptor: int) -> bool:
    name = os.readlink(f"/proc/self/fd/{descriptor}")
    if not name.startswith(DMA_BUF):
        return name.startswith(OLD_DMA_BUF)
    # a file of a file system that was unmounted since can be called so, too
    with open(f"/proc/self/fdinfo/{descriptor}") as told:
        return any(line.startswith("exp_name:") for line in told)


def _keeps_its_size(descriptor: int) -> bool:
    try:
        return bool(fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK)
    except OSError:  # no such thing: a file
        return False
