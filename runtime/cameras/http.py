"""Cameras that speak HTTP: a stream of JPEG pictures (multipart), or one picture asked for again.

`http://USER@HOST:80/PATH?QUERY#password_file=PATH&fps=5`. What comes back says which of the two it
is. fps: how often a single picture is asked for.
"""

from __future__ import annotations

import re
import threading
import time

from runtime.cameras.http_parts import Parts
from runtime.cameras.http_talk import Response, Talk
from runtime.cameras.network import NetworkCamera
from runtime.cameras.network_backlog import JPEG, Backlog, Unit
from runtime.cameras.network_decoder import AnyDecoder
from runtime.cameras.network_uri import Target, read
from runtime.cameras.network_wire import Leaving, Wire
from wire.troubles import Refused, Unavailable

FPS = 5.0
FPS_LIMITS = (0.01, 100)
PICTURES = ("image/jpeg", "image/jpg", "image/pjpeg")
STREAM = "multipart/"


class HttpConnection:
    """One stream, or one picture after another. leave: set when it shall end."""

    def __init__(self, target: Target, fps: float, leave: threading.Event) -> None:
        self._target = target
        self._period_s = 1 / fps
        self._leave = leave
        self._wire = Wire(target.shown, leave, target.timeout_s)
        self._talk = Talk(self._wire, target)
        self._parts: Parts | None = None
        self._response: Response | None = None
        self._due_s = 0.0
        self._last = b""

    def open(self) -> None:
        self._talk.begin()
        response = self._talk.get()
        kind = response.kind
        if kind.startswith(STREAM):
            self._parts = Parts(self._wire, self._target.shown, boundary(response.content_type))
        elif kind in PICTURES:
            self._response = response
            self._due_s = time.monotonic() + self._period_s
        else:
            raise Refused(
                f"{self._target.shown}: sends {kind[:60] or 'nothing that has a name'}: "
                "an address of JPEG pictures is needed (MJPEG or a snapshot), or rtsp://"
            )

    def receive(self, backlog: Backlog) -> None:
        unit = backlog.fresh()
        unit.stream, unit.is_key = JPEG, True
        if self._parts is not None:
            self._parts.read(unit)
        else:
            self._ask(unit)
            if unit.content == self._last:
                backlog.give_back(unit)  # the camera has no newer one: that is no frame
                return
            self._last = bytes(unit.content)
        backlog.put(unit)

    def close(self) -> None:
        self._wire.close()

    def _ask(self, unit: Unit) -> None:
        """The next single picture, when it is due."""
        response, self._response = self._response, None
        if response is None:
            if self._leave.wait(max(0.0, self._due_s - time.monotonic())):
                raise Leaving
            self._due_s = max(self._due_s + self._period_s, time.monotonic())
            response = self._talk.get()
            if response.kind not in PICTURES:
                raise Unavailable(f"{self._target.shown}: sends a picture no more")
        unit.captured_ns = response.arrived_ns
        self._talk.read_body(response, unit)


def boundary(content_type: str) -> bytes:
    """What stands between parts, with its two dashes; empty if the header does not say it."""
    found = re.search(r'boundary\s*=\s*(?:"([^"]+)"|([^\s;,]+))', content_type, re.IGNORECASE)
    if found is None:
        return b""
    word = (found[1] or found[2]).encode("latin-1", "replace")
    return word if word.startswith(b"--") else b"--" + word


def make(uri: str) -> NetworkCamera:
    """The camera of an `http:` or `https:` URI, not yet connected. Raises Refused."""
    target = read(uri, ("fps",))
    fps = target.address.number("fps", *FPS_LIMITS) or FPS
    return NetworkCamera(target, lambda leave: HttpConnection(target, fps, leave), AnyDecoder)
