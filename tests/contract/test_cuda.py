"""Memory that processor and device both see, a stream, and graphs: where there is such a device."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from ctypes import c_size_t, c_void_p

import numpy as np
import pytest

from runtime.engines.cuda import Cuda, Mapped
from wire.troubles import Unavailable

DEFAULT = 4  # cudaMemcpyDefault: the pointers say what they are
SHAPE = (3, 512, 640)


@pytest.fixture
def cuda() -> Iterator[Cuda]:
    try:
        cuda = Cuda()
    except Unavailable as reason:
        pytest.skip(str(reason))
    yield cuda
    cuda.close()
    cuda.close()


@pytest.fixture
def pair(cuda: Cuda) -> Iterator[tuple[Mapped, Mapped]]:
    pair = Mapped(cuda, SHAPE, "uint8"), Mapped(cuda, SHAPE, "uint8")
    yield pair
    for one in pair:
        one.free()
        one.free()


def copy(cuda: Cuda, pair: tuple[Mapped, Mapped]) -> None:
    source, target = pair
    cuda.call(
        "cudaMemcpyAsync", c_void_p(target.pointer), c_void_p(source.pointer),
        c_size_t(source.array.nbytes), DEFAULT, cuda.handle,
    )  # fmt: skip


def test_what_is_written_here_is_read_there(cuda: Cuda, pair: tuple[Mapped, Mapped]) -> None:
    source, target = pair
    assert not source.array.any() and source.array.ctypes.data % 64 == 0
    for seed in range(3):
        source.array[...] = np.random.default_rng(seed).integers(0, 256, SHAPE, np.uint8)
        copy(cuda, pair)
        cuda.synchronize()
        assert np.array_equal(source.array, target.array)


def test_a_graph_does_again_what_was_recorded(cuda: Cuda, pair: tuple[Mapped, Mapped]) -> None:
    source, target = pair
    graph = cuda.record(lambda: copy(cuda, pair))
    assert not target.array.any(), "recorded, not done"
    for value in (3, 200):
        source.array.fill(value)
        graph.launch()
        cuda.synchronize()
        assert (target.array == value).all()
    graph.free()


def test_waiting_lets_others_run(cuda: Cuda, pair: tuple[Mapped, Mapped]) -> None:
    turns, stop = [0], threading.Event()

    def turn() -> None:
        while not stop.is_set():
            turns[0] += 1
            time.sleep(0)

    thread = threading.Thread(target=turn)
    thread.start()
    for _ in range(2000):
        copy(cuda, pair)
    before = turns[0]
    cuda.synchronize()
    after = turns[0]
    stop.set()
    thread.join()
    assert after > before


def test_what_fails_is_said_in_its_words(cuda: Cuda) -> None:
    with pytest.raises(Unavailable, match=r"cudaHostAlloc: out of memory \(2\)"):
        Mapped(cuda, (1 << 60,), "uint8")


def test_it_tells_what_it_is(cuda: Cuda) -> None:
    assert cuda.architecture.startswith("sm_") and cuda.free_bytes > 0
