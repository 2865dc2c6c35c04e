"""Stands for TensorRT and CUDA where there is no device: a module `tensorrt` and a libcudart.

Written after the interfaces of TensorRT 10.3 and CUDA 12. "Device" memory is the processor's, and
the one thing that a plan can compute is a copy of its input.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from runtime.engines import cuda
from tests.laws.sources import ROOT

HERE = Path(__file__).parent


class Device:
    """The device that a test has, in this process and in those that it starts."""

    def __init__(self, library: Path) -> None:
        self._cudart = ctypes.CDLL(str(library))

    @property
    def live(self) -> int:
        """Memory, streams and graphs that nobody has given back."""
        return ctypes.c_int.in_dll(self._cudart, "live").value

    def set(self, switch: str, value: int) -> None:
        """lost: every call fails, as after a fault of the device. left: allocations until the
        memory is used up, -1: never. no_graphs: nothing can be recorded."""
        ctypes.c_int.in_dll(self._cudart, switch).value = value


@functools.cache
def _cudart() -> bytes:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: apt-get install gcc libc6-dev")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "libcudart.so"
        command = [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library)]
        subprocess.run([*command, str(HERE / "cudart.c")], check=True, timeout=60)
        return library.read_bytes()


def device(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    """A device for one test. The test is skipped where there is no C compiler."""
    library = folder / cuda.NAMES[0]
    library.write_bytes(_cudart())  # a file of its own for each test, so its counts begin anew
    shutil.copy(HERE / "module.py", folder / "tensorrt.py")
    monkeypatch.setenv("TWIN_CUDART", str(library))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
    monkeypatch.setattr(cuda, "NAMES", (str(library),))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.syspath_prepend(str(ROOT))
    spec = importlib.util.spec_from_file_location("tensorrt", folder / "tensorrt.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    return Device(library)
