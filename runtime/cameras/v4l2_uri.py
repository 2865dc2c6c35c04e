"""`v4l2:///dev/video0?size=1280x720&fps=30&format=YUYV&buffers=4`: what it asks for, and of whom.

The path may be any name of the node: one under /dev/v4l/by-id or /dev/v4l/by-path stays with the
camera when it comes back under another number. `v4l2://?bus=usb-0000:01:00.0-1` names a socket.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from runtime.cameras.v4l2_choice import FORMATS, Wish
from runtime.cameras.v4l2_device import identify, nodes, open_node
from runtime.cameras.v4l2_stream import KEPT
from wire.troubles import Refused, Trouble, Unavailable

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
    buffers: int = 4
    copy: str = "auto"


def parse(uri: str) -> Request:
    """Raises Refused for a URI that cannot be meant, saying what to write."""
    parts = urlsplit(uri)
    if parts.netloc:
        raise Refused(f"{uri!r} names no device: after v4l2: come three slashes, {EXAMPLE}")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(pairs)
    for key, value in pairs:
        if key not in KEYS:
            raise Refused(f"{uri!r}: there is no option {key!r}: use {', '.join(KEYS)}")
        if options[key] != value:
            raise Refused(f"{uri!r} says {key} twice")
    path, bus = unquote(parts.path).rstrip("/") or None, options.get("bus") or None
    if (path is None) == (bus is None):
        raise Refused(f"{uri!r} must name one device, by path or by ?bus=: for example {EXAMPLE}")
    return Request(
        path=path,
        bus=bus,
        wish=Wish(_size(uri, options), _fps(uri, options), _format(uri, options)),
        buffers=_buffers(uri, options),
        copy=_copy(uri, options),
    )


def _size(uri: str, options: dict[str, str]) -> tuple[int, int] | None:
    if "size" not in options:
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", options["size"], re.ASCII)
    if match is None:
        raise Refused(f"{uri!r}: size={options['size']} is no size: write size=640x480")
    return int(match[1]), int(match[2])


def _fps(uri: str, options: dict[str, str]) -> float | None:
    if "fps" not in options:
        return None
    match = re.fullmatch(r"\d{1,4}(\.\d{1,6})?", options["fps"], re.ASCII)
    if match is None or float(match[0]) <= 0:
        raise Refused(f"{uri!r}: fps={options['fps']} is no rate: write fps=30")
    return float(match[0])


def _format(uri: str, options: dict[str, str]) -> str | None:
    if "format" not in options:
        return None
    name = options["format"].upper()
    name = SAME_FORMAT.get(name, name)
    if name not in FORMATS:
        raise Refused(f"{uri!r}: format {name} is not known here: use {', '.join(FORMATS)}")
    return name


def _buffers(uri: str, options: dict[str, str]) -> int:
    text = options.get("buffers", "4")
    if not re.fullmatch(r"\d{1,2}", text, re.ASCII) or not KEPT < int(text) <= MOST_BUFFERS:
        raise Refused(f"{uri!r}: buffers={text}: use {KEPT + 1} to {MOST_BUFFERS}")
    return int(text)


def _copy(uri: str, options: dict[str, str]) -> str:
    text = options.get("copy", "auto")
    if text not in COPY:
        raise Refused(f"{uri!r}: copy={text}: use {', '.join(COPY)}")
    return text


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
