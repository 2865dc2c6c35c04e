"""Cameras: things that lend frames. One file per kind, imported only when its URI is opened."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from runtime.cameras.options import either
from runtime.frames import Aim, Frame, Layout, Losses
from runtime.tasks import Box
from wire.masking import masked
from wire.troubles import Refused

KINDS = {
    "synthetic": "runtime.cameras.synthetic",
    "file": "runtime.cameras.recording",
    "v4l2": "runtime.cameras.v4l2",
    "csi": "runtime.cameras.csi",
    "rtsp": "runtime.cameras.rtsp",
    "rtsps": "runtime.cameras.rtsp",
    "http": "runtime.cameras.http",
    "https": "runtime.cameras.http",
    "pipeline": "runtime.cameras.shared",
    "rows": "runtime.cameras.rows",
    "rows+synthetic": "runtime.cameras.rows",
    "rows+mqtt": "runtime.cameras.rows_topic",
    "rows+mqtts": "runtime.cameras.rows_topic",
}
NETWORK = ("rtsp:", "rtsps:", "http:", "https:", "rows+mqtt:", "rows+mqtts:")
ROWS = ("rows:", "rows+")  # cameras that give rows of numbers


class Ended(Exception):
    """A recording has no more frames. A live camera never says this."""


class Camera(Protocol):
    """Lends the newest frame. All methods are called from one thread."""

    layout: Layout  # of the next frame as far as is known; a frame's own layout is what counts
    losses: Losses
    absent: str | None  # why no frames can come now (unplugged), or None; read() keeps reopening
    aim: Aim | None  # set by the loop before start() and at each swap; a hint for decoders

    def start(self) -> None:
        """Begin to capture. Raises Unavailable if the camera is not there or busy, Refused if it
        cannot do what the URI asks."""

    def read(self, timeout: float) -> Frame | None:
        """The newest frame, or None if none came within `timeout` seconds. Older ones are given
        back and counted in `losses.skipped`. Raises Ended at the end of a recording."""

    def stop(self) -> None:
        """End capture and free all memory. Every frame must be home. May be called twice."""


@runtime_checkable
class Truthful(Protocol):
    """A camera that knows what it shows: tests and accuracy figures use this."""

    def truth(self, seq: int) -> tuple[Box, ...]:
        """What frame `seq` really showed, in source pixels. Kept for the newest 1,024 frames."""


@runtime_checkable
class Sparse(Protocol):
    """A camera whose frames come when somebody sends them, so that none for a while is right."""

    is_waiting: bool  # all is well, and none has come


@runtime_checkable
class Shareable(Protocol):
    """A camera that can make its memory so that other processes map it. Any other's frames are
    copied once where it is shared."""

    spare: int  # set before start(): 0, or so many buffers more, of memory that can be mapped


@contextmanager
def open_camera(uri: str, aim: Aim | None = None) -> Iterator[Camera]:
    """A started camera, stopped at the end of the `with`.

    `synthetic://640x480@30?digits=1`, `file://PATH?pace=&loop=`,
    `v4l2:///dev/video0?size=1280x720&fps=30&format=YUYV`, `csi://0`, `pipeline://NAME`,
    `rtsp://USER@HOST/PATH#password_file=PATH`, `http://HOST/PATH#fps=5`; for models that take rows
    `rows://PATH.csv?rate=10`, `rows+mqtt://HOST/TOPIC#columns=a,b`, `rows+synthetic://4@10`.
    Raises Refused for a URI that cannot be meant, Unavailable for a camera that is not there.
    """
    camera = make_camera(uri)
    camera.aim = aim
    try:
        camera.start()
        yield camera
    finally:
        camera.stop()


def make_camera(uri: str) -> Camera:
    """The camera that a URI names, not yet started."""
    kind, _, _ = uri.partition(":")  # urlsplit refuses file names with brackets
    if kind not in KINDS:
        near = difflib.get_close_matches(kind.lower(), KINDS, n=2) if "://" in uri else []
        hint = f"did you mean {either(sorted(f'{one}://' for one in near))}? " if near else ""
        raise Refused(
            f"{masked(uri)!r} names no camera: {hint}use one of synthetic://640x480@30, "
            "file://PATH, v4l2:///dev/video0, csi://0, rtsp://USER@HOST/PATH, http://HOST/PATH, "
            "pipeline://NAME, or for rows of numbers rows://FILE.csv, rows+mqtt://HOST/TOPIC"
        )
    camera: Camera = importlib.import_module(KINDS[kind]).make(uri)
    return camera
