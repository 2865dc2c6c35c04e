"""Cameras that speak RTSP: `rtsp://USER@HOST:554/PATH#password_file=PATH&transport=tcp|udp`.

A connection of our own, since what counts here is when a picture is whole: the packet that ends
one is marked, which FFmpeg's reader does not pass on, so that it waits for the next picture.
"""

from __future__ import annotations

import threading
import time

from runtime.cameras.network import NetworkCamera
from runtime.cameras.network_backlog import Backlog
from runtime.cameras.network_decoder import AnyDecoder
from runtime.cameras.network_uri import Target, read
from runtime.cameras.network_wire import Leaving, Wire
from runtime.cameras.rtp import Depacketizer, Receiver
from runtime.cameras.rtp_jpeg import JpegDepacketizer
from runtime.cameras.rtp_video import H264, H265, VideoDepacketizer
from runtime.cameras.rtsp_sdp import Video, videos
from runtime.cameras.rtsp_talk import DOLLAR, Talk
from runtime.cameras.rtsp_udp import UdpPorts
from runtime.cameras.video_decoder import need_decoder
from wire.troubles import Refused, Trouble, Unavailable

TRANSPORTS = ("tcp", "udp")


class RtspConnection:
    """One session. leave: set when it shall end."""

    def __init__(self, target: Target, leave: threading.Event) -> None:
        self._target = target
        self._wire = Wire(target.shown, leave, target.timeout_s)
        self._talk: Talk | None = None
        self._ports: UdpPorts | None = None
        self._video: Video | None = None
        self._receiver: Receiver | None = None
        self._channel = 0
        self._heard_s = 0.0

    def open(self) -> None:
        target = self._target
        self._wire.connect(target.host, target.port, target.tls())
        self._talk = talk = Talk(self._wire, target)
        talk.greet()
        described = talk.ask("DESCRIBE", target.bare, Accept="application/sdp")
        base = described.headers.get("content-base") or described.headers.get("content-location")
        self._video = self._chosen(described.body, base or target.bare)
        self._set_up(talk, self._video)
        session_uri = base or target.bare
        talk.begin(session_uri)
        talk.ask("PLAY", session_uri, Range="npt=0.000-")
        self._heard_s = time.monotonic()

    def receive(self, backlog: Backlog) -> None:
        if self._talk is None or self._video is None:
            raise RuntimeError("the connection is not open")
        if self._receiver is None:
            video = self._video
            self._receiver = Receiver(
                _depacketizer(video), video.payload_type, video.stream, backlog
            )
        self._talk.keep_alive()
        if self._ports is None:
            self._from_wire(self._talk, self._receiver)
        else:
            self._from_ports(self._talk, self._receiver, self._ports)
        if time.monotonic() - self._heard_s > self._target.timeout_s:
            raise Unavailable(
                f"{self._target.shown}: sends no pictures for {self._target.timeout_s:g} s"
            )

    def close(self) -> None:
        try:
            if self._talk is not None:
                self._talk.leave()
        except (Trouble, Leaving):
            pass  # it is gone already
        finally:
            self._wire.close()
            if self._ports is not None:
                self._ports.close()

    def _from_wire(self, talk: Talk, receiver: Receiver) -> None:
        """The next packet or message of the one connection."""
        head = self._wire.peek(4)
        if head[0] != DOLLAR:
            talk.hear()
            return
        channel, size = head[1], 4 + int.from_bytes(head[2:4], "big")
        packet = self._wire.peek(size)
        if channel == self._channel:
            self._heard_s = time.monotonic()
            receiver.take(packet[4:])
        self._wire.skip(size)

    def _from_ports(self, talk: Talk, receiver: Receiver, ports: UdpPorts) -> None:
        """Packets that wait, then messages."""
        for packet in ports.packets():
            self._heard_s = time.monotonic()
            receiver.take(packet)
        if self._wire.has_something():
            talk.hear()

    def _chosen(self, sdp: str, base: str) -> Video:
        found, unknown = videos(sdp, base)
        if not found:
            codecs = f"only {', '.join(unknown)[:200]}" if unknown else "no video"
            raise Refused(
                f"{self._target.shown}: has {codecs}: set the camera to H.264, H.265 or MJPEG"
            )
        if found[0].stream.codec != "mjpeg":
            need_decoder()
        return found[0]

    def _set_up(self, talk: Talk, video: Video) -> None:
        if self._target.address.given.get("transport") == "udp":
            self._ports = ports = UdpPorts(self._wire.host_of_peer(), self._wire.host_of_ours())
            told = talk.ask("SETUP", video.control, Transport=ports.wish)
            ports.expect(told.headers.get("transport", ""))
            return
        wish = "RTP/AVP/TCP;unicast;interleaved=0-1"
        told = talk.ask("SETUP", video.control, Transport=wish)
        _, _, channel = told.headers.get("transport", "").partition("interleaved=")
        digits = channel.partition("-")[0].partition(";")[0]
        self._channel = int(digits) if digits.isdecimal() else 0


def _depacketizer(video: Video) -> Depacketizer:
    if video.stream.codec == "mjpeg":
        return JpegDepacketizer()
    return VideoDepacketizer(H264() if video.stream.codec == "h264" else H265())


def make(uri: str) -> NetworkCamera:
    """The camera of an `rtsp:` or `rtsps:` URI, not yet connected. Raises Refused."""
    target = read(uri, ("transport",))
    transport = target.address.choice("transport", TRANSPORTS, "tcp")
    if target.scheme == "rtsps" and transport == "udp":
        raise Refused(f"{target.shown}: rtsps goes over tcp only: leave out transport=udp")
    return NetworkCamera(target, lambda leave: RtspConnection(target, leave), AnyDecoder)
