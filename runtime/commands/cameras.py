"""`vedette cameras`: the cameras of this machine, what they offer, and what to type for them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from runtime.cameras.v4l2_choice import FORMATS, Offer, Span
from runtime.cameras.v4l2_list import Listed, survey
from wire.command_line import Parser

BUILT_IN = (
    ("synthetic://640x480@30", "a moving scene of real handwritten digits, with known answers"),
    ("file://PATH", "a video file, or a folder of pictures"),
    ("csi://0", "on the ribbon cable of a Raspberry Pi (by picamera2) or a Jetson"),
    ("rtsp://USER@HOST/PATH", "a network camera: H.264, H.265 or MJPEG (#password_file=PATH)"),
    ("http://USER@HOST/PATH", "a network camera: an MJPEG stream, or a picture asked for again"),
    ("rows://FILE.csv?rate=10", "rows of numbers, for models that take no pictures"),
    ("rows+mqtt://HOST/TOPIC", "rows of numbers that somebody publishes: JSON or CSV"),
    ("pipeline://NAME", "the camera of another pipeline, or of vedette run --share NAME"),
)


def main(argv: Sequence[str]) -> int:
    """List the cameras. 0 also when there is none: that is an answer."""
    parser = Parser(prog="vedette cameras", description="List the cameras of this machine.")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args(argv)
    cameras = survey()
    if options.json:
        print(json.dumps(as_tables(cameras)))
        return 0
    for camera in cameras:
        print("\n".join(lines(camera)))
    if not cameras:
        print("no camera at /dev/video*")
    for uri, what in BUILT_IN:
        print(f"{uri:<28}{what}")
    return 0


def lines(camera: Listed) -> Iterator[str]:
    """One camera as text."""
    who = f"{camera.card} ({camera.driver}, {camera.bus})" if camera.card else ""
    yield f"{camera.uri:<28}{who}".rstrip()
    if camera.trouble is not None:
        yield f"    cannot be used: {camera.trouble}"
    if camera.offers and not camera.known:
        yield "    raw values of a sensor: on a Raspberry Pi or a Jetson, try csi://0"
    for code, offers in groupby(camera.known, key=lambda offer: offer.format):
        yield f"    {code}  " + ", ".join(map(_size_and_rate, offers))
    others = {offer.format for offer in camera.offers} - set(FORMATS)
    if camera.known and others:
        yield f"    and {len(others)} formats that are not used here"
    for name in camera.names:
        yield f"    also v4l2://{name}"


def _size_and_rate(offer: Offer) -> str:
    fastest = max((span.most for span in offer.rates), default=None)
    return offer.size if fastest is None else f"{offer.size}@{fastest:.4g}"


def as_tables(cameras: Sequence[Listed]) -> dict[str, Any]:
    """The list as plain values. A value that is a range is an array [least, most, step]."""
    return {
        "cameras": [
            {
                "uri": camera.uri,
                "card": camera.card,
                "driver": camera.driver,
                "bus": camera.bus,
                "names": camera.names,
                "works": camera.trouble is None,
                "reason": camera.trouble,
                "offers": [
                    {
                        "format": offer.format,
                        "known": offer.format in FORMATS,
                        "width": _plain(offer.width),
                        "height": _plain(offer.height),
                        "fps": [_plain(span) for span in offer.rates],
                    }
                    for offer in camera.offers
                ],
            }
            for camera in cameras
        ],
        "built_in": [{"uri": uri, "what": what} for uri, what in BUILT_IN],
    }


def _plain(span: Span) -> float | list[float]:
    return span.least if span.least == span.most else [span.least, span.most, span.step]
