"""A pipeline's stand-in for the preview's stories: frames by hand, and a thread that feeds them."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from runtime.frames import Frame, Layout, Losses, packed
from runtime.panel import Panel, Spread, Stages
from runtime.preview import Preview
from runtime.tasks import Box, Found

BOX = Box(7, "seven", 0.97, 200, 120, 160, 200)
VGA = packed("RGB3", 640, 480)


@dataclass(frozen=True)
class Result:
    seq: int
    found: Found


@dataclass
class Pipeline:
    """What the stories change while it runs."""

    absent: str | None = None
    found: Found = (BOX,)
    frames: int = 0
    looked: int = 0
    layout: Layout = VGA
    fault: list[BaseException] = field(default_factory=list)

    def look(self) -> Panel:
        self.looked += 1
        spread = Spread(100.0, 200.0, 300.0)
        return Panel(
            model="digits",
            version="1.0.0",
            digest="ab" * 32,
            engine="null",
            camera="synthetic://640x480@30",
            absent=self.absent,
            fps=30.0,
            stages=Stages(spread, spread, spread, spread, spread),
            frames=self.frames,
            losses=Losses(skipped=3),
        )


def frame_of(seq: int, layout: Layout, value: int = 128) -> Frame:
    """A frame of one grey. It is an error to hold it after its `with`."""
    return Frame(seq, time.monotonic_ns(), layout, np.full(layout.nbytes, value, np.uint8), none)


def none() -> None:
    pass


def feed_one(preview: Preview, seq: int, found: Found = (BOX,), layout: Layout = VGA) -> None:
    with frame_of(seq, layout) as frame:
        preview.glance(frame)
    preview.show(Result(seq, found))


@contextmanager
def feeding(preview: Preview, pipeline: Pipeline) -> Iterator[None]:
    """Frames at about a hundred a second from a thread, as a loop would give them."""
    stop = threading.Event()

    def run() -> None:
        try:
            while not stop.wait(0.01):
                if pipeline.absent is None:
                    pipeline.frames += 1
                    feed_one(preview, pipeline.frames, pipeline.found, pipeline.layout)
        except BaseException as error:
            pipeline.fault.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not pipeline.fault


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


def ask(
    preview: Preview, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> Reply:
    """One request on a connection of its own."""
    port = port_of(preview)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        given = {"Host": f"127.0.0.1:{port}"} | (headers or {})
        connection.putrequest(method, path, skip_host=True)
        for name, value in given.items():
            if value:
                connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return Reply(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def port_of(preview: Preview) -> int:
    return int(preview.address.rsplit(":", 1)[1].strip("/"))
