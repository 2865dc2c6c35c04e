"""Cameras on the ribbon cable, for tests: a Raspberry Pi's on a twin of picamera2 (`pi://0`), and a
Jetson's with GStreamer's own test picture in place of nvarguscamerasrc (`jetson://0`)."""

from __future__ import annotations

import sys
from unittest.mock import patch

from runtime.cameras.argus import Elements, open_argus
from runtime.cameras.csi import CsiCamera
from runtime.cameras.csi_source import Count, Source
from runtime.cameras.csi_uri import Wish, read
from runtime.cameras.picamera import open_picamera
from runtime.frames import Losses
from tests import twin_libcamera, twin_picamera2

PATTERN = Elements(
    "videotestsrc name=source is-live=true pattern=ball", "videoscale ! videoconvert", ""
)

KINDS = dict.fromkeys(("pi", "jetson"), __name__)  # for `runtime.cameras.KINDS` of one test


def make(uri: str) -> CsiCamera:
    """The camera of a `pi:` or `jetson:` URI, which is read as one of `csi:`."""
    kind, _, rest = uri.partition(":")
    return CsiCamera(read(f"csi:{rest}"), on_pattern if kind == "jetson" else on_twin)


def on_twin(wish: Wish, size: tuple[int, int], spare: int, count: Count, losses: Losses) -> Source:
    with patch.dict(sys.modules, picamera2=twin_picamera2, libcamera=twin_libcamera):
        return open_picamera(wish, size, spare, count, losses)


def on_pattern(
    wish: Wish, size: tuple[int, int], spare: int, count: Count, losses: Losses,
    elements: Elements = PATTERN,
) -> Source:  # fmt: skip
    return open_argus(wish, size, spare, count, losses, elements)
