"""Cameras that are shared, for tests: an owner in this process, and cameras made for it.

`own:URI` is what the owner's loop reads of a camera that it shares; `opaque:URI` is a camera that
cannot make its memory so that others map it.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from runtime import cameras
from runtime.cameras import Camera, make_camera
from runtime.frames import Aim, Frame, Layout, Losses
from runtime.sharing.own import OwnCamera
from runtime.sharing.owner import make_shareable, shared
from runtime.tasks import Box
from tests.by_hand import result_at

READERS = 2

KINDS = dict.fromkeys(("own", "opaque"), __name__)  # for `runtime.cameras.KINDS` of one test


@contextmanager
def lending(uri: str, run_folder: Path, readers: int = READERS) -> Iterator[OwnCamera]:
    """The camera, shared as every pipeline's that is asked for in these tests. Gives what its
    owner's loop would read; nobody does."""
    with ExitStack() as stack:
        yield enter(stack, uri, run_folder, readers)


def enter(stack: ExitStack, uri: str, run_folder: Path, readers: int) -> OwnCamera:
    with patch.dict(cameras.KINDS, KINDS):
        camera = make_camera(uri)
    make_shareable(camera, readers, 1)
    names = ("rgb", "yuyv", "copied", "film", "crops", "door")
    own = stack.enter_context(shared(camera, names[-1], run_folder, readers))
    for name in names[:-1]:
        link = run_folder / f"camera-{name}.sock"
        link.unlink(missing_ok=True)
        link.symlink_to(run_folder / f"camera-{names[-1]}.sock")
    return own


@contextmanager
def finding(uri: str, run_folder: Path) -> Iterator[OwnCamera]:
    """The camera, shared, whose owner's loop finds the same thing in each frame."""
    found, stop = (Box(0, "thing", 0.9, 10.0, 10.0, 30.0, 20.0),), threading.Event()
    with lending(uri, run_folder) as own:

        def loop() -> None:
            own.start()
            while not stop.is_set():
                frame = own.read(0.1)
                if frame is not None:
                    frame.release()
                    own.offer(result_at(time.monotonic_ns(), found, frame.seq))
            own.stop()

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield own
        finally:
            stop.set()
            thread.join()


class Wrapped:
    """All of a camera but what this one adds or hides."""

    def __init__(self, inner: Camera) -> None:
        self.inner = inner
        self.losses: Losses = inner.losses

    @property
    def layout(self) -> Layout:
        return self.inner.layout

    @property
    def absent(self) -> str | None:
        return self.inner.absent

    @property
    def aim(self) -> Aim | None:
        return self.inner.aim

    @aim.setter
    def aim(self, aim: Aim | None) -> None:
        self.inner.aim = aim

    def start(self) -> None:
        self.inner.start()

    def read(self, timeout: float) -> Frame | None:
        return self.inner.read(timeout)

    def stop(self) -> None:
        self.inner.stop()


class Own(Wrapped):
    """Shares its camera from its start to its stop."""

    def __init__(self, uri: str) -> None:
        super().__init__(make_camera(uri))
        self._uri = uri
        self._stack = ExitStack()

    def start(self) -> None:
        aim = self.aim
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.inner = enter(self._stack, self._uri, folder, READERS)
        self.losses = self.inner.losses
        self.inner.aim = aim
        self.inner.start()

    def stop(self) -> None:
        self.inner.stop()
        self._stack.close()


def make(uri: str) -> Wrapped:
    kind, _, rest = uri.partition(":")
    return Own(rest) if kind == "own" else Wrapped(make_camera(rest))
