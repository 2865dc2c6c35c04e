"""The v4l2loopback driver: a camera that shows what this process writes into it."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from runtime.cameras import v4l2_ioctl as v4l2

NODE = "/dev/video9"
VIDEO_OUTPUT = 2


def can_be() -> bool:
    """Is the driver installed, and may we load it?"""
    program = shutil.which("modinfo", path="/usr/sbin:/sbin:/usr/bin")
    if program is None or os.geteuid() != 0:
        return False
    return subprocess.run([program, "v4l2loopback"], capture_output=True).returncode == 0


@contextmanager
def loaded() -> Iterator[None]:
    options = ["video_nr=9", "card_label=loop", "exclusive_caps=0", "max_buffers=8"]
    subprocess.run(["modprobe", "v4l2loopback", *options], check=True)
    try:
        yield
    finally:
        subprocess.run(["modprobe", "-r", "v4l2loopback"], check=True)


class Source:
    """Writes compressed pictures into the device, over and over, one per period."""

    def __init__(self, pictures: Sequence[bytes], size: tuple[int, int], fps: int) -> None:
        self.pictures = pictures
        self._fps = fps
        self._fd = os.open(NODE, os.O_RDWR)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write)
        wanted = v4l2.Format(type=VIDEO_OUTPUT)
        wanted.fmt.pix.width, wanted.fmt.pix.height = size
        wanted.fmt.pix.pixelformat = v4l2.fourcc("MJPG")
        wanted.fmt.pix.field = v4l2.FIELD_NONE
        wanted.fmt.pix.sizeimage = size[0] * size[1] * 2
        v4l2.ask(self._fd, v4l2.S_FMT, wanted)

    def _write(self) -> None:
        turn = 0
        while not self._stopping.wait(1 / self._fps):
            os.write(self._fd, self.pictures[turn % len(self.pictures)])
            turn += 1

    def __enter__(self) -> Source:
        os.write(self._fd, self.pictures[0])  # the device is no camera before that
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        os.close(self._fd)
