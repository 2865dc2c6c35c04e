"""What a camera on the network would meet on this machine: its files, its password, its decoder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

from runtime.cameras import make_camera
from runtime.cameras.network import NetworkCamera
from runtime.cameras.network_uri import Target, options_of
from runtime.cameras.video_decoder import ffmpeg
from runtime.secret_files import complaint_about
from wire.troubles import Unavailable

SECRET = ("password_file", "key_file")
PUBLIC = ("ca_file", "certificate_file")


def about(target: Target) -> Iterator[str]:
    """What is amiss, without a connection: a line each."""
    given = target.address.given
    if target.password:
        yield (
            "the password stands in this file: write USER@HOST without it, and "
            "#password_file=/etc/vedette/NAME.password at the end"
        )
    for key in SECRET:
        if key in given and (what := complaint_about(given[key])):
            yield f"{key} {given[key]}: {what}"
    for key in PUBLIC:
        if key in given and not os.path.isfile(given[key]):
            yield f"{key} {given[key]}: there is no such file"
    yield from misplaced(target)
    if target.scheme.startswith("rtsp"):
        try:
            ffmpeg()
        except Unavailable as trouble:
            yield str(trouble)


def files(target: Target) -> list[str]:
    """The files that the service has to see."""
    given = target.address.given
    return [given[key] for key in (*SECRET, *PUBLIC) if key in given]


def by_hand(uri: str) -> Iterator[str]:
    """What is amiss with an address on a command line, a line each. Raises Refused."""
    camera = make_camera(uri)
    if not isinstance(camera, NetworkCamera):
        return
    target = camera.target
    if target.password:
        yield (
            "the password stands in the command line, which every user of this machine can read: "
            "write USER@HOST without it, and #password_file=PATH at the end"
        )
    yield from misplaced(target)


def misplaced(target: Target) -> Iterator[str]:
    """Options of ours that the camera gets instead. Not fps: many cameras have one, too."""
    given = options_of(urlsplit(target.path).query)
    for key in sorted(given & {"timeout", "transport"}):
        yield f"{key} stands behind ? and goes to the camera: write it behind # if it is for us"
