"""Pixels of whatever a network camera sends: JPEG at the size that is needed, video by FFmpeg."""

from __future__ import annotations

from runtime import jpeg
from runtime.ahead import Slot
from runtime.cameras.network_backlog import Stream, Unit
from runtime.cameras.video_decoder import VideoDecoder
from runtime.frames import Aim, Losses


class AnyDecoder:
    """Follows the camera from one compression to another. Counts what is broken in `losses`."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._video: VideoDecoder | None = None
        self._stream: Stream | None = None
        self._last = (0, 0)  # number and stamp of the picture before: both only rise

    def decode(self, unit: Unit, slot: Slot, aim: Aim | None) -> bool:
        """Write the picture; False if none came out."""
        found = (
            self._jpeg(unit, slot, aim) if unit.stream.codec == "mjpeg" else self._film(unit, slot)
        )
        if found is None:
            return False
        number, captured_ns = found
        self._last = max(number, self._last[0] + 1), max(captured_ns, self._last[1] + 1)
        slot.seq, slot.captured_ns = self._last
        return True

    def _jpeg(self, unit: Unit, slot: Slot, aim: Aim | None) -> tuple[int, int] | None:
        try:
            layout = jpeg.plan(unit.content, aim)
            jpeg.decode(unit.content, layout, slot.room(layout))
        except jpeg.BrokenPicture:
            self._losses.decode += 1
            return None
        return unit.number, unit.captured_ns

    def _film(self, unit: Unit, slot: Slot) -> tuple[int, int] | None:
        if self._video is None or unit.stream != self._stream:
            self._video, self._stream = VideoDecoder(unit.stream, self._losses), unit.stream
        return self._video.decode(unit, slot)
