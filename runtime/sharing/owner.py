"""Share a camera: its owner's loop and other processes read it, and none waits for another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.cameras import Camera, Shareable
from runtime.sharing.capture import Capture
from runtime.sharing.listening import Listening
from runtime.sharing.newest import Newest
from runtime.sharing.own import OwnCamera
from runtime.sharing.packets import socket_path

MORE = 3  # buffers: one in the mailbox, one that replaces it, one for a reader that holds two
CASCADING = 2  # more: one whose result is awaited, one whose result waits for its reader


def make_shareable(camera: object, readers: int, cascades: int) -> None:
    """Have a camera that is not started make memory for so many readers, if it can. cascades: how
    many of them want what the owner's model finds."""
    if isinstance(camera, Shareable):
        camera.spare = readers + MORE + CASCADING * cascades


@contextmanager
def shared(
    camera: Camera, name: str, run_folder: Path, readers: int, insist: bool = False
) -> Iterator[OwnCamera]:
    """Lend the frames of `camera` also to at most `readers` processes that ask for pipeline
    `name`. Gives what the owner's loop reads in its place.

    Where nobody can come in it is tried again and again; with `insist` that raises Unavailable or
    Refused.
    """
    newest = Newest()
    capture = Capture(camera, newest)
    listening = Listening(socket_path(run_folder, name), readers, camera, newest, capture)
    own = OwnCamera(camera, newest, capture)
    listening.open(insist)
    capture.open()
    try:
        yield own
    finally:
        listening.close()
        capture.close()
