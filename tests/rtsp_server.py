"""An RTSP camera on loopback, of Debian's GStreamer: each picture shows when it was made.

Run with the system's Python, which has `gi`: `/usr/bin/python3 tests/rtsp_server.py --codec h264`.
Prints the port, then obeys lines of standard input: `size WxH` (in mid-stream), `lose SHARE` (of
packets, from now on), `stop` (no more pictures, the connection stays), `go`.
"""

import argparse
import os
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

BITS = 32  # of the time code: tenths of a millisecond, CLOCK_MONOTONIC
WHITE, BLACK = b"\xeb", b"\x10"
CODECS = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast sliced-threads=false threads=1 "
    "bitrate={kbits} key-int-max={gop} "
    "! video/x-h264,profile={profile} ! rtph264pay pt=96 config-interval=-1",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast bitrate={kbits} key-int-max={gop} "
    "option-string=log-level=none:repeat-headers=1 ! rtph265pay pt=96 config-interval=-1",
    "mjpeg": "jpegenc quality=85 ! rtpjpegpay pt=26",
}


def painted(width: int, height: int, step: int, texture: bytes) -> bytes:
    """An I420 picture: the time in the top rows, below it a texture that moves."""
    block = width // BITS
    code = (time.monotonic_ns() // 100_000) % (1 << BITS)
    row = b"".join((WHITE if code >> bit & 1 else BLACK) * block for bit in range(BITS))
    row += BLACK * (width - len(row))
    tall = 2 * block
    shift = step * 4 % 4096
    return (
        row * tall
        + texture[shift : shift + width * (height - tall)]
        + b"\x80" * (width * height // 2)
    )


class Painter:
    """Pushes pictures into the media that somebody watches, each at its time."""

    def __init__(self, size: str, fps: float) -> None:
        self.size = size
        self.fps = fps
        self.is_going = threading.Event()
        self.is_going.set()
        self.network: Gst.Element | None = None  # of whoever watches now
        self._texture = b""

    def configure(self, _factory: object, media: GstRtspServer.RTSPMedia) -> None:
        source = media.get_element().get_child_by_name("src")
        self.network = media.get_element().get_child_by_name("pay0")
        gone = threading.Event()
        media.connect("unprepared", lambda _: gone.set())
        threading.Thread(target=self.paint, args=(source, gone), daemon=True).start()

    def paint(self, source: Gst.Element, gone: threading.Event) -> None:
        caps, step, due = "", 0, time.monotonic()
        while not gone.is_set():
            width, height = map(int, self.size.split("x"))
            if (now := self.caps()) != caps:
                caps = now
                source.set_property("caps", Gst.Caps.from_string(caps))
                self._texture = texture(width * height + 4096)
            due += 1 / self.fps
            time.sleep(max(0.0, due - time.monotonic()))
            self.is_going.wait()
            picture = painted(width, height, step, self._texture)
            source.emit("push-buffer", Gst.Buffer.new_wrapped(picture))  # or not, if it pauses
            step += 1

    def caps(self) -> str:
        width, height = self.size.split("x")
        return (
            f"video/x-raw,format=I420,width={width},height={height},"
            f"framerate={round(self.fps)}/1,pixel-aspect-ratio=1/1"
        )

    def obey(self) -> None:
        for line in sys.stdin:
            word, _, rest = line.strip().partition(" ")
            if word == "size":
                self.size = rest
            elif word == "lose" and self.network is not None:
                self.network.set_property("drop-probability", float(rest))
            elif word == "stop":
                self.is_going.clear()
            elif word == "go":
                self.is_going.set()
        os._exit(0)


def texture(length: int) -> bytes:
    """Grey values that cost an encoder something, the same every time."""
    period = bytes(96 + (i * i // 64 + i // 7) % 64 for i in range(65_536))
    return (period * (length // len(period) + 1))[:length]


def protect(
    server: GstRtspServer.RTSPServer, factory: object, user: str, password: str, *, basic: bool
) -> None:
    """Nobody gets a picture without this name and password. basic: in place of Digest."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if basic:
        auth.add_basic(auth.make_basic(user, password), token)
    else:
        auth.set_supported_methods(gi.repository.GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codec", choices=CODECS, default="h264")
    parser.add_argument("--profile", default="baseline", help="of H.264")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--fps", type=float, default=30)
    parser.add_argument("--gop", type=int, default=15, help="pictures from key to key")
    parser.add_argument("--kbits", type=int, default=2000)
    parser.add_argument("--port", default="0")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--login", metavar="USER:PASSWORD")
    parser.add_argument("--basic", action="store_true", help="ask for the login by Basic")
    words = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer(service=words.port, address=words.address)
    factory = GstRtspServer.RTSPMediaFactory(shared=True, latency=0)
    encoder = CODECS[words.codec].format(kbits=words.kbits, gop=words.gop, profile=words.profile)
    painter = Painter(words.size, words.fps)
    factory.set_launch(
        "( appsrc name=src is-live=true format=time do-timestamp=true block=false max-bytes=0 "
        f"caps={painter.caps()} ! {encoder} ! identity name=pay0 )"
    )
    factory.connect("media-configure", painter.configure)
    if words.login:
        protect(server, factory, *words.login.split(":", 1), basic=words.basic)
    server.get_mount_points().add_factory("/live", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    threading.Thread(target=painter.obey, daemon=True).start()
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
