"""H.264 and H.265 by FFmpeg's decoders (PyAV), out of their memory into a slot in one pass.

A picture is handed out as soon as it is decoded: no threads that work on several at once, and no
waiting for pictures that might belong before it. Colours come as NV12, ITU-R limited range, which
is what the rest of the runtime takes from cameras; streams in full range are brought to it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from runtime.ahead import Slot
from runtime.cameras.network_backlog import Stream, Unit
from runtime.frames import Layout, Losses, Pixels, packed
from wire.troubles import Unavailable

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

MISSING = (
    "H.264 and H.265 need PyAV: pip install 'vedette[network]', or on a device "
    "sudo scripts/install --engines litert,onnx,network; or set the camera to MJPEG"
)
LOW_DELAY = 1 << 19  # AV_CODEC_FLAG_LOW_DELAY
FULL_RANGE = 2  # AVCOL_RANGE_JPEG
MOST_THREADS = 4  # they share one picture, where the camera made it of several slices
MOST_PIXELS = 1 << 26
STAMPS = 64  # pictures that a decoder can hold back: H.264 and H.265 allow 16


def need_decoder() -> None:
    """Raises Unavailable where PyAV is not installed."""
    try:
        import av  # noqa: F401
    except ImportError:
        raise Unavailable(MISSING) from None


class VideoDecoder:
    """Decodes one stream, picture by picture. losses: what is broken is counted there."""

    def __init__(self, stream: Stream, losses: Losses) -> None:
        need_decoder()
        import av
        import av.logging

        av.logging.set_libav_level(av.logging.PANIC)  # broken pictures are counted, not told
        self._error = av.FFmpegError
        self._packet: Any = av.Packet
        self._context: Any = av.CodecContext.create(stream.codec, "r")
        self._context.thread_type = "SLICE"
        self._context.thread_count = min(MOST_THREADS, os.cpu_count() or 1)
        self._context.flags |= LOW_DELAY
        if stream.parameters:
            self._context.extradata = stream.parameters
        self._losses = losses
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
        write(newest, slot)
        number = unit.number if newest.pts is None else newest.pts
        return number, self._stamps.pop(number, unit.captured_ns)


def write(frame: VideoFrame, slot: Slot) -> None:
    """A decoded picture into a slot: 4:2:0 as NV12, everything else as RGB3."""
    name, width, height = frame.format.name, frame.width, frame.height
    if name not in ("yuv420p", "yuvj420p") or (width | height) % 2:
        _as_rgb(frame, slot)
        return
    layout = packed("NV12", width, height)
    flat = slot.room(layout)
    luma = flat[: width * height].reshape(height, width)
    chroma = flat[width * height : layout.nbytes].reshape(height // 2, width // 2, 2)
    y, u, v = (_plane(frame, number) for number in range(3))
    cv2.merge((u, v), chroma)
    if name == "yuvj420p" or frame.color_range == FULL_RANGE:
        cv2.LUT(y, LIMITED_LUMA, luma)
        cv2.LUT(chroma, LIMITED_CHROMA, chroma)
    else:
        np.copyto(luma, y)


def _as_rgb(frame: VideoFrame, slot: Slot) -> None:
    plain = frame.reformat(format="rgb24")
    layout: Layout = packed("RGB3", frame.width, frame.height)
    there = layout.shape(slot.room(layout))
    plane: Any = plain.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    there[...] = rows[: frame.height, : 3 * frame.width].reshape(there.shape)


def _plane(frame: VideoFrame, number: int) -> Pixels:
    """FFmpeg's own memory of a plane, without the bytes that pad its rows."""
    plane: Any = frame.planes[number]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    view: Pixels = rows[: plane.height, : plane.width]
    return view


# from full range (0 to 255) to limited, ITU-R BT.601: 219 steps of luma, 224 of chroma
CODES = np.arange(256)
LIMITED_LUMA = np.rint(CODES * 219 / 255 + 16).astype(np.uint8)
LIMITED_CHROMA = np.rint((CODES - 128) * 224 / 255 + 128).astype(np.uint8)
