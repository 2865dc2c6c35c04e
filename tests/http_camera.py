"""A camera on loopback that speaks HTTP: `python tests/http_camera.py --fps 60`.

Prints its port. /stream: MJPEG parts with lengths. /bare: without lengths. /snapshot: one picture.
/same: always the same one. /moved, /page: what is no camera. Every picture shows its number
(tests/recordings.py). With --login everything asks for that name and password, by Digest.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import secrets
import ssl
import sys
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.recordings import BITS, numbered

REALM = "camera"
NONCE = secrets.token_hex(8)
MADE = 64  # pictures, in a circle


@cache
def pictures(width: int, height: int) -> tuple[bytes, ...]:
    encoded = (cv2.imencode(".jpg", numbered(number, width, height))[1] for number in range(MADE))
    return tuple(one.tobytes() for one in encoded)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fps = 30.0
    size = (320, 240)
    login: str | None = None
    began = time.monotonic()

    def do_GET(self) -> None:
        if self.login is not None and not self.is_known():
            self.send_response(401)
            self.send_header(
                "WWW-Authenticate",
                f'Digest realm="{REALM}", nonce="{NONCE}", qop="auth", algorithm=MD5',
            )
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        serve = getattr(self, f"serve_{self.path.partition('?')[0].strip('/')}", None)
        if serve is None:
            self.send_error(404)
            return
        try:
            serve()
        except OSError:
            self.close_connection = True

    def is_known(self) -> bool:
        """Digest with MD5 and qop=auth (RFC 7616), made apart from the code that is tested."""
        said = dict(re.findall(r'(\w+)="?([^",]+)', self.headers.get("Authorization", "")))
        user, _, password = str(self.login).partition(":")
        first = hashlib.md5(f"{user}:{REALM}:{password}".encode()).hexdigest()  # noqa: S324
        second = hashlib.md5(f"GET:{self.path}".encode()).hexdigest()  # noqa: S324
        middle = ":".join(said.get(key, "") for key in ("nonce", "nc", "cnonce", "qop"))
        wanted = hashlib.md5(f"{first}:{middle}:{second}".encode()).hexdigest()  # noqa: S324
        return said.get("response") == wanted and said.get("nonce") == NONCE

    def number(self) -> int:
        return int((time.monotonic() - self.began) * self.fps)

    def serve_stream(self) -> None:
        self.parts("frame", "\r\n--frame\r\n", with_length=True)

    def serve_bare(self) -> None:
        self.parts("--frame", "--frame\r\n", with_length=False)

    def parts(self, named: str, between: str, *, with_length: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f'multipart/x-mixed-replace; boundary="{named}"')
        self.end_headers()
        shown = self.number()
        while True:
            shown += 1
            time.sleep(max(0.0, self.began + shown / self.fps - time.monotonic()))
            picture = pictures(*self.size)[shown % MADE]
            length = f"Content-Length: {len(picture)}\r\n" if with_length else ""
            head = f"{between}Content-Type: image/jpeg\r\n{length}\r\n"
            self.wfile.write(head.encode() + picture + (b"" if with_length else b"\r\n"))

    def serve_snapshot(self) -> None:
        self.whole(pictures(*self.size)[self.number() % MADE], "image/jpeg")

    def serve_same(self) -> None:
        self.whole(pictures(*self.size)[0], "image/jpeg")

    def serve_page(self) -> None:
        self.whole(b"<html>welcome</html>", "text/html")

    def serve_moved(self) -> None:
        self.send_response(302)
        self.send_header("Location", "/stream")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def whole(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "keep-alive")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: tests read what the camera's user is told."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fps", type=float, default=30)
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--login", metavar="USER:PASSWORD")
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    words = parser.parse_args()
    width, _, height = words.size.partition("x")
    Handler.fps, Handler.size, Handler.login = words.fps, (int(width), int(height)), words.login
    pictures(*Handler.size)
    assert MADE <= 1 << BITS
    server = ThreadingHTTPServer(("127.0.0.1", words.port), Handler)
    server.daemon_threads = True
    if words.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*words.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()  # until whoever started us is gone


if __name__ == "__main__":
    main()
