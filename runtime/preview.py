"""The preview: shows the newest picture and its numbers to a browser, at no cost to the loop.

The loop calls two hooks. While nobody waits for a picture they cost two attribute reads and two
writes; while somebody does, one copy of at most every sixteenth second's frame into memory that
is kept. Converting, drawing and encoding happen on the preview's own thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any, Literal, Protocol

import numpy as np

from runtime.canvas import Canvas, canvas_of
from runtime.frames import Frame
from runtime.panel import Panel, printable
from runtime.row_canvas import RowCanvas
from runtime.tasks import (
    Box,
    Class,
    Entry,
    Found,
    Instance,
    Mask,
    Pose,
    Region,
    Value,
    Vector,
    score_of,
)
from runtime.tracking.overlay import overlay_of
from runtime.web import Server, serve

GAP_NS = 60_000_000  # between two copies: every second frame of a camera that gives 30 a second
MOST_NAMED = 8
SHARED_S = 0.1  # who asks is shown nothing that is older: it would be taken for live
REPORT_S = 0.25  # numbers are not worked out more often, however many look
NO_MASK = Mask((0, 0), ())

Kind = Literal["nothing", "classes", "boxes", "regions", "vectors", "values", "stats"]


class Shown(Protocol):
    """What the preview needs of a result."""

    @property
    def seq(self) -> int: ...
    @property
    def found(self) -> Found: ...


@dataclass(frozen=True)
class Picture:
    """One encoded picture. number: counts from 1 in this process. seen_s: its frame, monotonic."""

    number: int
    seq: int
    found: Found
    seen_s: float
    jpeg: bytes


@dataclass(frozen=True)
class Report:
    """What `/stats.json` says. seq: of the frame that `found` belongs to, None before the first."""

    title: str
    panel: Panel
    kind: Kind
    found: Found
    seq: int | None


@dataclass(frozen=True)
class Sight:
    """What a picture shows, in its own answer: the list beside it must not be of another frame."""

    kind: Kind
    found: Found  # the best MOST_NAMED, without what is drawn and not written
    more: int


def sight(found: Found) -> Sight:
    best: Any = tuple(map(plain, sorted(found, key=standing)[:MOST_NAMED]))
    return Sight(kind_of(found), best, max(0, len(found) - MOST_NAMED))


def standing(entry: Entry) -> float:
    """What is sorted by, the best first."""
    return -entry.share if isinstance(entry, Region) else -(score_of(entry) or 0.0)


def plain(entry: Entry) -> Entry:
    """Without masks, points and values: a picture's answer has them in its head, where little
    room is."""
    if isinstance(entry, Vector):
        return replace(entry, values=())
    if isinstance(entry, Region):
        return replace(entry, mask=NO_MASK)
    if not isinstance(entry, Instance | Pose):
        return entry
    sides = entry.x, entry.y, entry.width, entry.height
    return Box(entry.index, entry.label, entry.score, *sides)


def kind_of(found: Found) -> Kind:
    if not found:
        return "nothing"
    first = found[0]
    if isinstance(first, Box):
        return "boxes"
    if isinstance(first, Region):
        return "regions"
    if isinstance(first, Vector):
        return "vectors"
    if isinstance(first, Value):
        return "values"
    return "classes" if isinstance(first, Class) else "stats"


def sayable(panel: Panel) -> Panel:
    """Paths and drivers' words may hold bytes that are no text: JSON has no room for them."""
    absent = None if panel.absent is None else printable(panel.absent, 300)
    return replace(panel, camera=printable(panel.camera, 300), absent=absent)


class Preview:
    """A page on 127.0.0.1. `glance` and `show` are for the loop's thread alone."""

    def __init__(self, port: int, title: str, look: Callable[[], Panel]) -> None:
        """Serve at once. port: 0 takes any free one; `address` says which.

        look: gives the numbers; called from the preview's threads, at most every REPORT_S.
        Raises Unavailable if the port is taken, Refused if it cannot be one.
        """
        self._title = printable(title, 200)
        self._look = look
        self._canvas: Canvas | RowCanvas | None = None  # the loop's; the encoder's while _encoding
        self._encoding = False
        self._held: int | None = None  # the seq that was copied and waits for its result
        self._held_s = 0.0  # when it was copied
        self._next_ns = 0
        self._newest: Shown | None = None
        self._inbox: SimpleQueue[Shown | None] = SimpleQueue()
        self._fault: BaseException | None = None
        self._ready = threading.Condition()  # guards the three below
        self._waiting = 0
        self._picture: Picture | None = None
        self._closed = False
        self._reporting = threading.Lock()  # guards the two below
        self._report: Report | None = None
        self._report_s = 0.0
        self._server: Server = serve(port, self)
        self.address = f"http://127.0.0.1:{self._server.server_port}/"
        self._encoder = threading.Thread(target=self._encode, name="preview", daemon=True)
        self._encoder.start()

    def glance(self, frame: Frame) -> None:
        """Call while the frame is on loan: copies its pixels if somebody waits for a picture."""
        self._held = None  # a frame that was copied and got no result
        if not self._waiting or self._encoding:
            return
        now = time.monotonic_ns()
        if now < self._next_ns:
            return
        self._next_ns = now + GAP_NS
        if self._canvas is None or self._canvas.layout != frame.layout:
            self._canvas = canvas_of(frame.layout)
        np.copyto(self._canvas.raw, frame.pixels)
        self._held, self._held_s = frame.seq, now / 1e9

    def show(self, result: Shown) -> None:
        """Call with the result of each frame. Never blocks. Raises what the encoder died of."""
        self._newest = result
        if self._held is None or self._held != result.seq:
            return
        if self._fault is not None:
            raise self._fault
        self._held = None
        self._encoding = True
        self._inbox.put(result)

    def _encode(self) -> None:
        number = 0
        try:
            while (result := self._inbox.get()) is not None:
                assert self._canvas is not None
                jpeg = self._canvas.jpeg(result.found, overlay=overlay_of(result))
                seen_s = self._held_s
                self._encoding = False
                number += 1
                with self._ready:
                    self._picture = Picture(number, result.seq, result.found, seen_s, jpeg)
                    self._ready.notify_all()
        except BaseException as error:
            self._fault = error  # a bug: the loop's thread raises it
            self._encoding = False

    def picture(self, after: int, timeout_s: float) -> Picture | None:
        """The newest picture that is not number `after`, as soon as there is one of about now.

        None after `timeout_s` seconds, or when the preview closes. For any thread.
        """
        oldest_s = time.monotonic() - SHARED_S
        with self._ready:
            self._waiting += 1
            try:
                self._ready.wait_for(
                    lambda: self._closed or self._fresh(after, oldest_s), timeout_s
                )
                return self._picture if self._fresh(after, oldest_s) else None
            finally:
                self._waiting -= 1

    def sight(self, picture: Picture) -> Sight:
        """What is named beside a picture. For any thread."""
        return sight(picture.found)

    def _fresh(self, after: int, oldest_s: float) -> bool:
        picture = self._picture
        return picture is not None and picture.number != after and picture.seen_s >= oldest_s

    def report(self) -> Report:
        """The numbers of this moment, and what was found last. For any thread."""
        with self._reporting:
            now = time.monotonic()
            if self._report is None or now - self._report_s >= REPORT_S:
                newest = self._newest
                found = newest.found if newest else ()
                seq = newest.seq if newest else None
                panel = sayable(self._look())
                self._report = Report(self._title, panel, kind_of(found), found, seq)
                self._report_s = now
            return self._report

    def close(self) -> None:
        """Stop serving and drop every viewer. May be called twice."""
        with self._ready:
            if self._closed:
                return
            self._closed = True
            self._ready.notify_all()
        self._server.end()
        self._inbox.put(None)
        self._encoder.join()

    def __enter__(self) -> Preview:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
