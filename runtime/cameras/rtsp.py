"""Cameras that speak RTSP: `rtsp://USER@HOST:554/PATH#password_file=PATH&transport=tcp|udp`.

FFmpeg speaks it (PyAV). Its reader sees that a picture is whole when the next one begins, so that
all come one frame period late.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from runtime.cameras.network import NetworkCamera
from runtime.cameras.network_backlog import JPEG, Backlog, Stream
from runtime.cameras.network_clock import SenderClock
from runtime.cameras.network_decoder import AnyDecoder
from runtime.cameras.network_uri import Target, read
from runtime.cameras.network_wire import Wire
from runtime.cameras.video_decoder import ffmpeg
from wire.troubles import Refused, Trouble, Unavailable

TRANSPORTS = ("tcp", "udp")
CODECS = ("h264", "hevc", "mjpeg")
UNKNOWN = "a codec that FFmpeg does not know"
PROTOCOLS = {"rtsp": "tcp,udp,rtp", "rtsps": "tcp,tls"}  # no rtsp: to where we are sent on
QUICK = {  # what the camera describes is enough, the rest comes with its first key frame
    "allowed_media_types": "video",
    "max_streams": "8",
    "analyzeduration": "1",
    "probesize": "32",
    "buffer_size": str(1 << 21),  # of UDP: a key frame comes at once
}
LONGEST_LOGIN = 127  # FFmpeg cuts it there
MOST_HELD_NS = 200_000_000
REFUSALS = {
    "HTTPBadRequestError": "does not understand the request: is the path right?",
    "HTTPUnauthorizedError": "does not accept this name and password",
    "HTTPForbiddenError": "does not let this user see it",
    "HTTPNotFoundError": "has no stream of that path: see the camera's own pages for it",
}


class RtspConnection:
    """One session. leave: set when it shall end; looked at between two pictures."""

    def __init__(self, target: Target, leave: threading.Event) -> None:
        self._target = target
        self._leave = leave
        self._container: Any = None
        self._packets: Iterator[Any] = iter(())
        self._stream = JPEG
        self._clock = SenderClock()
        self._came_ns = 0  # when the picture before was handed out
        self._sent_ns = 0  # its stamp, by the camera's clock

    def open(self) -> None:
        target, av = self._target, ffmpeg()
        url = _url(target)
        wire = Wire(target.shown, self._leave, target.timeout_s)
        wire.connect(target.host, target.port, target.tls())  # what goes wrong, it says in words
        wire.close()
        began_s = time.monotonic()
        try:
            self._container = av.open(
                url, format="rtsp", options=_options(target),
                timeout=(target.timeout_s, target.timeout_s),
                **_any_letters(av.__version__),
            )  # fmt: skip
        except av.FFmpegError as error:  # its text has the password
            told = _why(target, error, time.monotonic() - began_s)
        else:
            self._choose()
            return
        raise told

    def receive(self, backlog: Backlog) -> None:
        av = ffmpeg()
        try:
            packet = next(self._packets, None)
        except av.error.ExitError:
            told = f"sends no pictures for {self._target.timeout_s:g} s"
            raise Unavailable(f"{self._target.shown}: {told}") from None
        except av.FFmpegError as error:
            raise Unavailable(f"{self._target.shown}: {error.strerror}") from None
        if packet is None or not packet.size:
            raise Unavailable(f"{self._target.shown}: has closed the connection")
        unit = backlog.fresh()
        unit.stream, unit.is_key = self._stream, packet.is_keyframe or self._stream is JPEG
        unit.captured_ns = self._captured_ns(packet)
        if packet.is_corrupt or not unit.add(memoryview(packet)):
            backlog.give_back(unit)
            backlog.lost()
            return
        backlog.put(unit)

    def close(self) -> None:
        self._packets = iter(())
        container, self._container = self._container, None
        if container is not None:
            container.close()

    def _choose(self) -> None:
        """The first stream that can be decoded here."""
        contexts = [(one, one.codec_context) for one in self._container.streams.video]
        names = [UNKNOWN if context is None else context.name for _, context in contexts]
        usable = [(*one, name) for one, name in zip(contexts, names, strict=True) if name in CODECS]
        if not usable:
            codecs = f"only {', '.join(names)[:200]}" if names else "no video"
            raise Refused(
                f"{self._target.shown}: has {codecs}: set the camera to H.264, H.265 or MJPEG"
            )
        stream, context, name = usable[0]
        if name != "mjpeg":
            self._stream = Stream(name, bytes(context.extradata or b""))
        self._packets = iter(self._container.demux(stream))

    def _captured_ns(self, packet: Any) -> int:
        """When it began to come, which was when the one before was handed out. What a slow
        camera's pictures wait for the next one makes them no older than MOST_HELD_NS."""
        now_ns = time.monotonic_ns()
        if packet.pts is None or packet.time_base is None:
            return now_ns
        sent_ns = int(packet.pts * packet.time_base * 1_000_000_000)
        came_ns, self._came_ns = self._came_ns or now_ns, now_ns
        before_ns, self._sent_ns = self._sent_ns or sent_ns, sent_ns
        held_ns = min(now_ns - came_ns, sent_ns - before_ns)
        return self._clock.captured_ns(sent_ns, came_ns) + max(0, held_ns - MOST_HELD_NS)


def _url(target: Target) -> str:
    login = target.login()
    if login is None:
        return target.bare
    who = ":".join(quote(word, safe="") for word in login)
    if len(who) > LONGEST_LOGIN:
        raise Refused(
            f"{target.shown}: its name and password are longer than {LONGEST_LOGIN} characters, "
            "%XX counted as three: choose shorter ones"
        )
    scheme, _, rest = target.bare.partition("://")
    return f"{scheme}://{who}@{rest}"


def _options(target: Target) -> dict[str, str]:
    given = target.address.given
    options = {
        **QUICK,
        "rtsp_transport": given.get("transport", "tcp"),
        "protocol_whitelist": PROTOCOLS[target.scheme],
    }
    if target.scheme == "rtsps":
        options |= {"tls_verify": "1"}
        if (authorities := target.authorities()) is not None:
            options |= {"ca_file": authorities}
    return options


def _any_letters(version: str) -> dict[str, str]:
    """Cameras have names in whatever letters: PyAV takes them, but before 19 it must be told to."""
    return {} if int(version.partition(".")[0]) >= 19 else {"metadata_errors": "replace"}


def _why(target: Target, error: Any, took_s: float) -> Trouble:
    """What FFmpeg's error means. It has one for what is no RTSP and for what says nothing."""
    errors, name = ffmpeg().error, type(error).__name__
    if name == "HTTPUnauthorizedError" and target.user is None:
        why = f"asks for a name and a password: {target.scheme}://USER@HOST/... "
        return Refused(f"{target.shown}: {why}#password_file=PATH")
    if name in REFUSALS:
        return Refused(f"{target.shown}: {REFUSALS[name]}")
    if took_s >= target.timeout_s:
        return Unavailable(f"{target.shown}: has been silent for {target.timeout_s:g} s")
    if isinstance(error, errors.ProtocolNotFoundError | errors.ArgumentError):
        return Refused(f"{target.shown}: sends us to another address: write that")
    if isinstance(error, errors.InvalidDataError):  # what closes the door is not told from it
        why = "does not answer as an RTSP camera does: is it up, and is the port right?"
        return Unavailable(f"{target.shown}: {why}")
    return Unavailable(f"{target.shown}: {error.strerror}")


def make(uri: str) -> NetworkCamera:
    """The camera of an `rtsp:` or `rtsps:` URI, not yet connected. Raises Refused."""
    target = read(uri, ("transport",))
    transport = target.address.choice("transport", TRANSPORTS, "tcp")
    if target.scheme == "rtsps" and transport == "udp":
        raise Refused(f"{target.shown}: rtsps goes over tcp only: leave out transport=udp")
    return NetworkCamera(target, lambda leave: RtspConnection(target, leave), AnyDecoder)
