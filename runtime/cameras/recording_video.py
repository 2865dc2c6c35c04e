"""Video files, picture by picture: FFmpeg finds them, and they are decoded into given memory.

Pictures that are JPEGs in a row (MJPEG) are taken out undecoded and decoded by runtime/jpeg.py at
the size that the model needs, in any container that FFmpeg opens: 1.4 to 2 times as fast as
FFmpeg's own decoder and its colour conversion.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from runtime import jpeg
from runtime.ahead import Slot
from runtime.frames import Aim, Layout, packed
from wire.troubles import Refused

# FFmpeg asks its environment when the first file is opened. A broken picture is our one line.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# OpenCV 4, the last that goes with numpy 1, and OpenCV 5 have this in different places.
(getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel)(0)

MJPEG = (b"MJPG", b"mjpg", b"jpeg", b"JPEG")
TEXT = b"ansi"  # FFmpeg takes any text file for a film of a terminal
MOST_BROKEN = 300  # in a row: more than a group of pictures has, so this is the end
LIKELY_FPS = 25.0


class Reel:
    """Goes from picture to picture of an open video, and knows when each is due."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self.capture = capture
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0.01 <= fps <= 1000 else LIKELY_FPS
        self._first: float | None = None
        self._last = 0.0

    def step(self) -> tuple[float, int] | None:
        """(seconds since the first picture, broken pictures before this one); None at the end."""
        for broken in range(MOST_BROKEN):
            if self.capture.grab():
                return self._seconds(broken), broken
        return None

    def _seconds(self, broken: int) -> float:
        """What the file says, if it can be: files exist whose times stand still or run back."""
        told = self.capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if self._first is None:
            self._first = told
            return 0.0
        likely = self._last + (1 + broken) / self.fps
        self._last = told - self._first if told - self._first > self._last else likely
        return self._last


class Film:
    """A video that FFmpeg decodes, to BGR3, upright, in its full size."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._reel = Reel(capture)
        self.fps: float | None = self._reel.fps
        self.layout = packed("BGR3", *shown(capture))

    def step(self) -> tuple[float, int] | None:
        return self._reel.step()

    def decode(self, slot: Slot, aim: Aim | None) -> None:
        """Write the picture that was stepped to. Raises jpeg.BrokenPicture."""
        there = self.layout.shape(slot.room(self.layout))
        good, got = self._reel.capture.retrieve(there)
        if not good:
            raise jpeg.BrokenPicture("a picture of the video could not be decoded")
        if got is not there:  # the video has changed its size
            self.layout = packed("BGR3", got.shape[1], got.shape[0])
            self.layout.shape(slot.room(self.layout))[...] = got

    def close(self) -> None:
        self._reel.capture.release()


class JpegFilm:
    """A video of JPEG pictures, which we decode ourselves to RGB3 at the size that is needed."""

    def __init__(self, capture: cv2.VideoCapture, layout: Layout) -> None:
        self._reel = Reel(capture)
        self.fps: float | None = self._reel.fps
        self.layout = layout

    def step(self) -> tuple[float, int] | None:
        return self._reel.step()

    def decode(self, slot: Slot, aim: Aim | None) -> None:
        """Write the picture that was stepped to. Raises jpeg.BrokenPicture."""
        good, packet = self._reel.capture.retrieve()
        if not good:
            raise jpeg.BrokenPicture("a picture of the video could not be read")
        picture = packet.view(np.uint8).reshape(-1)
        layout = jpeg.plan(picture, aim)
        jpeg.decode(picture, layout, slot.room(layout))

    def close(self) -> None:
        self._reel.capture.release()


def open_video(path: Path, aim: Aim | None) -> Film | JpegFilm:
    """Raises Refused for a file that is no video, or one in a format that is unknown here."""
    capture = opened(path)
    code = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
    upright = capture.get(cv2.CAP_PROP_ORIENTATION_META) == 0
    if code in MJPEG and upright:
        layout = whole_jpeg(capture, aim)
        capture.release()
        capture = opened(path)
        if layout is not None:
            capture.set(cv2.CAP_PROP_FORMAT, -1)  # packets as they are
            return JpegFilm(capture, layout)
    return Film(capture)


def opened(path: Path) -> cv2.VideoCapture:
    """An open video file. Raises Refused."""
    try:
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    except cv2.error as error:
        raise Refused(f"{path}: cannot be opened as a video: {error.err}") from None
    code = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
    if not capture.isOpened() or code == TEXT or min(shown(capture)) < 1:
        raise Refused(
            f"{path}: is no video that can be read here: "
            "convert it, for example `ffmpeg -i FILE -c:v mjpeg -q:v 3 out.avi`"
        )
    return capture


def shown(capture: cv2.VideoCapture) -> tuple[int, int]:
    """(width, height) as it is to be seen, turned upright."""
    width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    return int(width), int(height)


def whole_jpeg(capture: cv2.VideoCapture, aim: Aim | None) -> Layout | None:
    """How the first picture will lie in memory; None if its packet is not one whole picture
    (interlaced video has two halves in a packet)."""
    size = shown(capture)
    capture.set(cv2.CAP_PROP_FORMAT, -1)
    good, packet = capture.read()
    try:
        layout = jpeg.plan(packet.view(np.uint8).reshape(-1), aim) if good else None
    except jpeg.BrokenPicture:
        return None
    return layout if layout is not None and layout.source == size else None
