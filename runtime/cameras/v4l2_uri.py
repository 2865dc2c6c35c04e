"""`v4l2:///dev/video0?size=1280x720&fps=30&format=YUYV&buffers=4`: what it asks for, and of whom.

The path may be any name of the node: one under /dev/v4l/by-id or /dev/v4l/by-path stays with the
camera when it comes back under another number. `v4l2://?bus=usb-0000:01:00.0-1` names a socket.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from runtime.cameras.options import Address
from runtime.cameras.options import parse as parse_uri
from runtime.cameras.v4l2_choice import FORMATS, Wish
from runtime.cameras.v4l2_device import identify, nodes, open_node
from runtime.cameras.v4l2_stream import KEPT
from wire.troubles import Trouble, Unavailable

EXAMPLE = "v4l2:///dev/video0?size=640x480&fps=30&format=YUYV"
KEYS = ("size", "fps", "format", "buffers", "copy", "bus")
COPY = ("auto", "always", "never")
SAME_FORMAT = {"MJPEG": "MJPG", "JPEG": "MJPG", "RGB": "RGB3", "BGR": "BGR3", "GRAY": "GREY"}
MOST_BUFFERS = 32


@dataclass(frozen=True)
class Request:
    """A parsed URI. One of path and bus is set. copy: when to copy frames out of the driver's
    memory; "auto" measures whether it is slow to read."""

    path: str | None
    bus: str | None
    wish: Wish
    buffers: int
    copy: str


def parse(uri: str) -> Request:
    """Raises Refused for a URI that cannot be meant, saying what to write."""
    given = parse_uri(uri, KEYS)
    path, bus = given.place.rstrip("/") or None, given.given.get("bus") or None
    if path is not None and not path.startswith("/"):
        raise given.refused(f"after v4l2: come three slashes, {EXAMPLE}")
    if (path is None) == (bus is None):
        raise given.refused(f"name one device, by its path or by ?bus=: for example {EXAMPLE}")
    return Request(
        path=path,
        bus=bus,
        wish=Wish(given.size("size"), given.number("fps", 0.1, 1000), _format(given)),
        buffers=_buffers(given),
        copy=given.choice("copy", COPY, "auto"),
    )


def _format(given: Address) -> str | None:
    if "format" not in given.given:
        return None
    name = given.given["format"].upper()
    name = SAME_FORMAT.get(name, name)
    if name not in FORMATS:
        raise given.refused(f"format {name} is not known here: use {', '.join(FORMATS)}")
    return name


def _buffers(given: Address) -> int:
    count = given.number("buffers", KEPT + 1, MOST_BUFFERS) or 4.0
    if not count.is_integer():
        raise given.refused(f"buffers={count:g} is no whole number")
    return int(count)


def find(request: Request) -> str:
    """The device node that the request names now. Raises Unavailable if there is none."""
    if request.path is not None:
        return request.path
    for node in nodes():
        with contextlib.suppress(Trouble, OSError):
            fd = open_node(node)
            try:
                if identify(fd, node).bus == request.bus:
                    return node
            finally:
                os.close(fd)
    raise Unavailable(f"there is no camera at {request.bus}: plug it in, or see `vedette cameras`")
