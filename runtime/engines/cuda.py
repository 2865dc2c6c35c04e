"""What TensorRT needs of CUDA: memory that both sides see, a stream, and graphs. By ctypes.

CUDA Runtime API, as documented for 11.4 to 13: the calls that are used did not change in between.
On boards whose graphics processor shares the memory (Jetson from Xavier on, compute capability 7.2)
mapped memory is cached on both sides, so what preprocessing writes there needs no copy.
Source: NVIDIA, CUDA for Tegra, application note, section on memory management.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from runtime.engines import Tensor
from runtime.memory import at_address
from wire.troubles import Unavailable

NAMES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", "libcudart.so")
SLEEP_WHILE_WAITING, MAP_HOST = 4, 8  # cudaDeviceScheduleBlockingSync, cudaDeviceMapHost
MAPPED = 2  # cudaHostAllocMapped
NON_BLOCKING = 1  # cudaStreamNonBlocking
THREAD_LOCAL = 1  # cudaStreamCaptureModeThreadLocal
MAJOR, MINOR = 75, 76  # cudaDevAttrComputeCapabilityMajor, Minor


class Mapped:
    """Page-locked memory: a zeroed array for the processor, the pointer that the device uses."""

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], dtype: str) -> None:
        size = max(1, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        host, device = ctypes.c_void_p(), ctypes.c_void_p()
        cuda.call("cudaHostAlloc", ctypes.byref(host), ctypes.c_size_t(size), MAPPED)
        self._cuda, self._host = cuda, host
        try:
            cuda.call("cudaHostGetDevicePointer", ctypes.byref(device), host, 0)
        except Unavailable:
            self.free()
            raise
        self.array: Tensor = at_address(host.value or 0, shape, np.dtype(dtype))
        self.array.fill(0)
        self.pointer: int = device.value or 0

    def free(self) -> None:
        """No view may be touched any more. May be called twice."""
        host, self._host = self._host, ctypes.c_void_p()
        if host:
            self._cuda.give_back("cudaFreeHost", host)


class Graph:
    """Work that was recorded once and is launched as a whole: it costs one call, not hundreds."""

    def __init__(self, cuda: Cuda, handle: ctypes.c_void_p) -> None:
        self._cuda, self._handle = cuda, handle

    def launch(self) -> None:
        self._cuda.call("cudaGraphLaunch", self._handle, self._cuda.handle)

    def free(self) -> None:
        self._cuda.give_back("cudaGraphExecDestroy", self._handle)


class Cuda:
    """The first device, and one stream on it. Calls release the interpreter lock.

    Raises Unavailable if there is no CUDA, or no device, here.
    """

    def __init__(self) -> None:
        self._library = _load()
        self._library.cudaGetErrorString.restype = ctypes.c_char_p
        self.call("cudaSetDeviceFlags", SLEEP_WHILE_WAITING | MAP_HOST)
        self.handle = ctypes.c_void_p()
        self.call("cudaStreamCreateWithFlags", ctypes.byref(self.handle), NON_BLOCKING)

    @property
    def stream(self) -> int:
        """The stream, as TensorRT takes it."""
        return self.handle.value or 0

    @property
    def architecture(self) -> str:
        """The device's compute capability, as "sm_87"."""
        return f"sm_{self._attribute(MAJOR)}{self._attribute(MINOR)}"

    @property
    def free_bytes(self) -> int:
        """Memory that the device could give now."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.call("cudaMemGetInfo", ctypes.byref(free), ctypes.byref(total))
        return free.value

    def synchronize(self) -> None:
        """Wait until all work on the stream is done. Raises Unavailable if it failed."""
        self.call("cudaStreamSynchronize", self.handle)

    def record(self, enqueue: Callable[[], object]) -> Graph:
        """The work that `enqueue` puts on the stream, as a graph. Raises Unavailable if some of it
        cannot be recorded."""
        recorded, ready = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cudaStreamBeginCapture", self.handle, THREAD_LOCAL)
        try:
            enqueue()
        finally:
            self.call("cudaStreamEndCapture", self.handle, ctypes.byref(recorded))
        flags = ctypes.c_ulonglong(0)
        try:
            self.call("cudaGraphInstantiateWithFlags", ctypes.byref(ready), recorded, flags)
        finally:
            self.give_back("cudaGraphDestroy", recorded)
        return Graph(self, ready)

    def close(self) -> None:
        """May be called twice."""
        handle, self.handle = self.handle, ctypes.c_void_p()
        if handle:
            self.give_back("cudaStreamDestroy", handle)

    def call(self, name: str, *words: Any) -> None:
        """One function of the runtime API. Raises Unavailable with what CUDA says is wrong."""
        code = getattr(self._library, name)(*words)
        if code != 0:
            reason = self._library.cudaGetErrorString(code).decode("ascii", "replace")
            raise Unavailable(f"CUDA: {name}: {reason} ({code})")

    def give_back(self, name: str, handle: ctypes.c_void_p) -> None:
        """A call that frees something. One that fails says that the device is lost, which whoever
        runs it learns as well, and must not keep the rest from being freed."""
        getattr(self._library, name)(handle)

    def _attribute(self, which: int) -> int:
        value = ctypes.c_int()
        self.call("cudaDeviceGetAttribute", ctypes.byref(value), which, 0)
        return value.value


def _load() -> ctypes.CDLL:
    for name in _places():
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise Unavailable(
        "CUDA is missing: on a Jetson it comes with JetPack (apt-get install cuda-cudart-12-6), "
        "elsewhere: pip install nvidia-cuda-runtime-cu12"
    )


def _places() -> Iterator[str]:
    """The system's libraries, then those of NVIDIA's packages beside numpy."""
    yield from NAMES
    for root in Path(np.__file__).parents[1].glob("nvidia*"):
        yield from map(str, sorted(root.glob("*/lib/libcudart.so.*")))
