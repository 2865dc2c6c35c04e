"""H.264 and H.265 by FFmpeg's decoders (PyAV), out of their memory into a slot in one pass.

A picture is handed out as soon as it is decoded: no threads that work on several at once, and no
waiting for pictures that might belong before it.
"""

from __future__ import annotations

import ctypes
import functools
import os
from typing import TYPE_CHECKING, Any

from runtime.ahead import Slot
from runtime.cameras.network_backlog import Stream, Unit
from runtime.cameras.video_colours import Colours, plane
from runtime.frames import Layout, Losses, packed
from wire.troubles import Unavailable

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

MISSING = (
    "rtsp:// needs PyAV: pip install 'vedette[network]', or on a device "
    "sudo scripts/install --engines litert,onnx,network"
)
LOW_DELAY = 1 << 19  # AV_CODEC_FLAG_LOW_DELAY
MOST_THREADS = 4  # they share one picture, where the camera made it of several slices
MOST_PIXELS = 1 << 26
MOST_BYTES = 1 << 26  # in one piece
STAMPS = 64  # pictures that a decoder can hold back: H.264 and H.265 allow 16


@functools.cache
def ffmpeg() -> Any:
    """PyAV, quiet, and with a limit to what a camera can make it take. Raises Unavailable where it
    is not installed."""
    try:
        import av
        import av.logging
    except ImportError:
        raise Unavailable(MISSING) from None
    av.logging.set_libav_level(av.logging.PANIC)  # broken pictures are counted, not told
    # a camera's words and pictures are as large as they say, 2 GiB and more
    try:
        ctypes.CDLL(av.logging.__file__).av_max_alloc(ctypes.c_size_t(MOST_BYTES))
    except (OSError, AttributeError) as error:
        raise Unavailable(f"this PyAV ({av.__version__}) cannot be limited: {error}") from None
    return av


class VideoDecoder:
    """Decodes one stream, picture by picture. losses: what is broken is counted there."""

    def __init__(self, stream: Stream, losses: Losses) -> None:
        av = ffmpeg()
        self._error = av.FFmpegError
        self._packet: Any = av.Packet
        self._context: Any = av.CodecContext.create(stream.codec, "r")
        self._context.thread_type = "SLICE"
        self._context.thread_count = min(MOST_THREADS, os.cpu_count() or 1)
        self._context.flags |= LOW_DELAY
        if stream.parameters:
            self._context.extradata = stream.parameters
        self._losses = losses
        self._colours = Colours()
        self._stamps: dict[int, int] = {}

    def decode(self, unit: Unit, slot: Slot) -> tuple[int, int] | None:
        """Write what comes out to the slot: its number and stamp, or None if nothing does."""
        packet = self._packet(unit.content)
        packet.pts = packet.dts = unit.number  # they come out again with the picture
        self._stamps[unit.number] = unit.captured_ns
        if len(self._stamps) > STAMPS:
            del self._stamps[next(iter(self._stamps))]
        try:
            frames: list[VideoFrame] = self._context.decode(packet)
        except self._error:
            self._losses.decode += 1
            return None
        whole = [frame for frame in frames if not frame.is_corrupt]
        self._losses.decode += len(frames) - len(whole)
        if not whole:
            return None
        self._losses.skipped += len(whole) - 1
        newest = whole[-1]
        if newest.width * newest.height > MOST_PIXELS:
            self._losses.refused += 1
            return None
        self._write(newest, slot)
        number = unit.number if newest.pts is None else newest.pts
        return number, self._stamps.pop(number, unit.captured_ns)

    def _write(self, frame: VideoFrame, slot: Slot) -> None:
        """4:2:0 as NV12, everything else as RGB3."""
        is_even = not (frame.width | frame.height) % 2
        if frame.format.name in ("yuv420p", "yuvj420p") and is_even:
            self._colours.write(frame, slot)
        else:
            _as_rgb(frame, slot)


def _as_rgb(frame: VideoFrame, slot: Slot) -> None:
    plain = frame.reformat(format="rgb24")
    layout: Layout = packed("RGB3", frame.width, frame.height)
    there = layout.shape(slot.room(layout))
    rows = plane(plain, 0, 3)
    there[...] = rows.reshape(there.shape)
