"""Memory that engines and cameras work in: aligned, made once, seen as numpy arrays."""

from __future__ import annotations

import ctypes
import os
import resource
import time
from typing import Any

import numpy as np
import numpy.typing as npt

ALIGNMENT = 64  # bytes; LiteRT and ONNX Runtime copy what is aligned less


def aligned_zeros(shape: tuple[int, ...], dtype: str) -> npt.NDArray[Any]:
    """A zeroed C-contiguous array whose first byte lies on a 64 byte boundary."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    block = np.zeros(size + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    array: npt.NDArray[Any] = block[start : start + size].view(dtype)
    return array.reshape(shape)


def at_address(address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Memory that somebody else owns, as a writable array. The owner must outlive it."""
    size = max(1, int(np.prod(shape)) * dtype.itemsize)
    block: Any = (ctypes.c_uint8 * size).from_address(address)
    array: npt.NDArray[Any] = np.frombuffer(block, dtype, int(np.prod(shape)))
    return array.reshape(shape)


def peak_rss_bytes() -> int:
    """The most memory that this program has had resident, in bytes.

    Not getrusage's figure: that one starts with what the parent had when it started us.
    """
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # no such line: gVisor


def process_started_ns() -> int:
    """When the kernel started this process, CLOCK_MONOTONIC in nanoseconds (to 10 ms)."""
    with open("/proc/self/stat", "rb") as file:
        ticks = int(file.read().rpartition(b")")[2].split()[19])
    since_boot_ns = ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    asleep_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
    return since_boot_ns - asleep_ns
