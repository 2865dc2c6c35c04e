"""What an RTSP camera says that it has (SDP, RFC 8866): the video stream that can be used here."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from runtime.cameras.network_backlog import Stream

START = b"\0\0\0\1"
CODECS = {"H264": "h264", "H265": "hevc", "HEVC": "hevc", "JPEG": "mjpeg"}
STATIC = {26: "JPEG"}  # payload types that need no rtpmap
PARAMETERS = ("sprop-vps", "sprop-sps", "sprop-pps", "sprop-parameter-sets")


@dataclass(frozen=True)
class Video:
    """One video stream. control: the URI that sets it up."""

    stream: Stream
    payload_type: int
    control: str


def videos(sdp: str, base: str) -> tuple[list[Video], list[str]]:
    """(the streams that can be used, the names of video codecs that cannot). base: the URI that
    controls are relative to."""
    found, unknown = [], []
    parts = re.split(r"(?m)^(?=m=)", sdp.replace("\r\n", "\n"))
    base = (
        _attribute(parts[0], "control", base) if "://" in _attribute(parts[0], "control") else base
    )
    for part in parts[1:]:
        words = part.partition("\n")[0].split()
        if words[0] != "m=video":
            continue
        for number in (int(word) for word in words[3:] if word.isdecimal()):
            name = _codec_name(part, number)
            if name not in CODECS:
                unknown.append(name or f"payload type {number}")
                continue
            formats = _attribute(part, f"fmtp:{number}", separator=" ")
            control = _joined(base, _attribute(part, "control", "*"))
            stream = Stream(CODECS[name], b"".join(_parameters(formats)))
            found.append(Video(stream, number, control))
    return found, unknown


def _codec_name(part: str, number: int) -> str:
    mapped = _attribute(part, f"rtpmap:{number}", separator=" ")
    return mapped.partition("/")[0].strip().upper() or STATIC.get(number, "")


def _attribute(part: str, name: str, default: str = "", separator: str = ":") -> str:
    found = re.search(rf"(?m)^a={re.escape(name)}{separator}[ \t]*(.*?)[ \t]*$", part)
    return default if found is None else found[1]


def _joined(base: str, control: str) -> str:
    """A control that is relative is appended, as cameras expect it, not resolved as links are."""
    if control == "*":
        return base
    if urlsplit(control).scheme:
        return control
    return base + ("" if base.endswith("/") else "/") + control


def _parameters(formats: str) -> Iterator[bytes]:
    fields = {}
    for word in formats.split(";"):
        key, _, value = word.strip().partition("=")
        fields[key.lower()] = value
    for key in PARAMETERS:
        for text in filter(None, fields.get(key, "").split(",")):
            try:
                yield START + base64.b64decode(text + "=" * (-len(text) % 4))
            except (binascii.Error, ValueError):
                continue  # the stream itself has them, too
