"""A camera that plays a recording: a video file, a folder of pictures, or one picture.

`file://PATH?pace=fast|real|FPS&loop=yes|no`. `fast`: every picture in order, as soon as it is
wanted. `real` or a number of pictures per second: like a live camera, late readers get the newest.
Decoding runs on a thread of its own, beside inference.
"""

from __future__ import annotations

import threading
from pathlib import Path

from runtime.ahead import NOTHING, Ahead, in_order, newest_wins
from runtime.cameras.options import Address, parse
from runtime.cameras.recording_pace import Fast, Paced, as_filmed, at_rate
from runtime.cameras.recording_play import Play, again_and_again, first_layout, once
from runtime.frames import Aim, Frame, Layout, Losses

PACES = ("fast", "real")
FPS = (0.01, 1000.0)
ROUNDS = {"no": once, "yes": again_and_again}


class Recording:
    """Lends pictures of a file. seq: the number of the picture, broken ones counted too.

    captured_ns: when the picture was due (pace real or a number), or when its decoding began.
    """

    def __init__(self, address: Address) -> None:
        self._path = path_of(address)
        self._pace = address.given.get("pace", "fast")
        if self._pace not in PACES and not self._pace[:1].isdecimal():
            raise address.refused(f"pace={self._pace!r} must be fast, real or pictures per second")
        self._fps = None if self._pace in PACES else address.number("pace", *FPS)
        self._rounds = ROUNDS[address.choice("loop", tuple(ROUNDS), "no")]
        self._address = address
        self.layout: Layout = NOTHING
        self.losses = Losses()
        self.absent: str | None = None
        self.aim: Aim | None = None
        self.spare = 0
        self._play: Play | None = None
        self._ahead: Ahead | None = None
        self._leave: threading.Event | None = None

    def start(self) -> None:
        self._play = play = Play(str(self._path), self._rounds(self._path, self.aim), self.losses)
        self.layout = first_layout(self._path, self.aim)
        if self._pace == "fast":
            fill = Fast(play, self._wanted).fill
            self._ahead = Ahead(fill, in_order, self.losses, self.spare)
        else:
            paced = self._paced(play)
            self._leave = paced.leave
            self._ahead = Ahead(paced.fill, newest_wins, self.losses, self.spare)
        self._ahead.start()

    def read(self, timeout: float) -> Frame | None:
        if self._ahead is None:
            raise RuntimeError("the recording was not started")
        frame = self._ahead.read(timeout)
        if frame is not None:
            self.layout = frame.layout
        return frame

    def stop(self) -> None:
        ahead, self._ahead = self._ahead, None
        play, self._play = self._play, None
        if self._leave is not None:
            self._leave.set()
        if ahead is not None:
            ahead.stop()
        if play is not None:
            play.close()

    def _wanted(self) -> Aim | None:
        return self.aim

    def _paced(self, play: Play) -> Paced:
        """Raises Refused for pictures that know no times."""
        if self._fps is not None:
            times, period_s = at_rate(self._fps), 1 / self._fps
        elif play.source.fps is not None:
            times, period_s = as_filmed, 1 / play.source.fps
        else:
            raise self._address.refused(
                "pictures have no pace of their own: give a number per second, such as pace=5"
            )
        return Paced(play, self._wanted, times, period_s, self.losses)


def path_of(address: Address) -> Path:
    """Where the recording is: absolute, relative to here, or under somebody's home (`~`)."""
    if not address.place or "\0" in address.place:
        raise address.refused("names no file: write file://PATH, file:///PATH or file://~/PATH")
    try:
        return Path(address.place).expanduser()
    except RuntimeError:
        raise address.refused("there is no such home folder") from None


def make(uri: str) -> Recording:
    """The camera that a `file://` URI asks for. Raises Refused with what is allowed."""
    return Recording(parse(uri, ("pace", "loop")))
