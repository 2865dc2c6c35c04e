"""What cameras on the network need: PyAV, which decodes what those of rtsp:// send."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable

from runtime.cameras.network_backlog import Stream
from runtime.cameras.video_decoder import VideoDecoder, ffmpeg
from runtime.doctor.engines import into_this
from runtime.frames import Losses
from wire.finding import Finding
from wire.troubles import Unavailable

PACKAGE = "'av>=17'"  # as pyproject.toml has it
CODECS = {"h264": "H.264", "hevc": "H.265"}
RTSP = ("rtsp:", "rtsps:")


def look_at_network(cameras: Iterable[str]) -> Finding:
    """cameras: the addresses that pipelines name. Nothing is sent."""
    about = "rtsp, http"
    try:
        av = ffmpeg()
        for codec in CODECS:
            VideoDecoder(Stream(codec), Losses())
    except (Unavailable, ValueError) as error:  # missing, or built without a codec
        if any(uri.startswith(RTSP) for uri in cameras):
            return Finding("cameras", "bad", about, str(error), _install())
        says = f"http:// works; {error}; no pipeline here needs it"
        return Finding("cameras", "ok", about, says)
    says = f"PyAV {av.__version__} decodes {' and '.join(CODECS.values())}; http:// needs nothing"
    return Finding("cameras", "ok", about, says)


def _install() -> str | None:
    """None where no wheel of it is to be had."""
    is_small = sys.maxsize < 2**32 or platform.machine() == "armv7l"
    return None if is_small else into_this(PACKAGE)
