"""Memory that engines and cameras work in: aligned, made once, seen as numpy arrays."""

from __future__ import annotations

import ctypes
import resource
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
    """The most memory that this process has had resident, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
