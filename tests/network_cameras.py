"""Cameras on loopback as processes of their own, that can be killed, frozen and started again."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import pytest

from runtime.frames import Frame

HERE = Path(__file__).parent
SYSTEM_PYTHON = "/usr/bin/python3"  # Debian's packages are for this one
BITS = 32  # of the time code: tests/rtsp_server.py
LOADS = (
    "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0'); "
    "from gi.repository import Gst, GstRtspServer; Gst.init(None); "
    "raise SystemExit(not all(map(Gst.ElementFactory.find, {elements})))"
)
ELEMENTS = ("appsrc", "jpegenc", "x264enc", "x265enc", "rtph264pay")
PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad "
    "gstreamer1.0-plugins-ugly"
)


class CameraProcess:
    """A camera in a process. Use it in a `with`; port: where it listens, also after start()."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def __enter__(self) -> CameraProcess:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self, *words: str) -> None:
        """Start, at the same port as before. words: more options, which win."""
        self._process = subprocess.Popen(
            [*self._command, "--port", str(self.port), *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.port = int(self._pipe(self._process.stdout).readline())

    def kill(self) -> None:
        """As by a power cut."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                self._pipe(pipe).close()

    def freeze(self) -> None:
        """It runs no more, and its connections stay."""
        self._living.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._living.send_signal(signal.SIGCONT)

    def tell(self, line: str) -> None:
        """A line of the RTSP camera's commands."""
        pipe = self._pipe(self._living.stdin)
        pipe.write(line + "\n")
        pipe.flush()

    @property
    def _living(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


def rtsp_camera(*words: str) -> CameraProcess:
    """`tests/rtsp_server.py` with these options; skips the test where GStreamer is missing."""
    if not can_serve_rtsp():
        pytest.skip(f"no RTSP server here: run scripts/setup, or apt-get install {PACKAGES}")
    return CameraProcess([SYSTEM_PYTHON, str(HERE / "rtsp_server.py"), *words])


def http_camera(*words: str) -> CameraProcess:
    """`tests/http_camera.py` with these options."""
    return CameraProcess([sys.executable, str(HERE / "http_camera.py"), *words])


@functools.cache
def can_serve_rtsp() -> bool:
    code = LOADS.format(elements=ELEMENTS)
    try:
        done = subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True, timeout=60)
    except FileNotFoundError:
        return False
    return done.returncode == 0


def age_ms(frame: Frame) -> float:
    """How long ago the picture was painted, by the time that tests/rtsp_server.py drew in it."""
    pixels, width = frame.pixels, frame.layout.width
    block = width // BITS
    row = pixels[block] if pixels.ndim == 2 else pixels[block, :, 1]
    code = sum(int(row[block * bit + block // 2] > 127) << bit for bit in range(BITS))
    return ((time.monotonic_ns() // 100_000) % (1 << BITS) - code) / 10


def smear(frame: Frame) -> float:
    """How far the worst block of 16 x 16 pixels is from what tests/rtsp_server.py painted, in grey
    values. For NV12."""
    width, height = frame.layout.width, frame.layout.height
    top = 2 * (width // BITS)
    rows = (height - top) // 16 * 16
    shown = frame.pixels[top : top + rows, :width].astype(int)
    number = np.arange(65_536)
    painted = np.tile(96 + (number * number // 64 + number // 7) % 64, 2 + width * height // 65_536)
    shift = min(range(0, 4096, 4), key=lambda at: np.abs(shown[0] - painted[at : at + width]).sum())
    wanted = painted[shift : shift + width * rows].reshape(rows, width)
    blocks = np.abs(shown - wanted).reshape(rows // 16, 16, width // 16, 16).mean((1, 3))
    return float(blocks.max())
