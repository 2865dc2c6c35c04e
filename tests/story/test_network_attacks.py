"""Cameras on the network that mean harm, or that somebody else answers for."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from runtime import stopping
from runtime.cameras import make_camera, open_camera
from tests.certificates import Authority
from tests.hostile_rtsp import HARMS, STREAM, hostile
from tests.network_cameras import rtsp_camera
from tests.tls_gate import TlsGate
from wire.troubles import Refused, Trouble, Unavailable

MOST_MIB = 192  # more than FFmpeg itself; what is sent meanwhile is a GiB and more
TRY = """
import resource, sys
from runtime.cameras import open_camera, rtsp, video_decoder
from wire.troubles import Trouble
video_decoder.ffmpeg()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    with open_camera(sys.argv[1]):
        print("0 it has opened")
except Trouble as trouble:
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(grown // 1024, trouble)
"""


@pytest.mark.parametrize("harm", HARMS)
def test_a_hostile_server_costs_no_memory_and_is_left(harm: str) -> None:
    with hostile(harm) as port:
        uri = f"rtsp://joe:s3cret@127.0.0.1:{port}/live#timeout=1"
        done = subprocess.run(
            [sys.executable, "-c", TRY, uri],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    grown, _, told = done.stdout.partition(" ")
    assert told.startswith(f"rtsp://[hidden]@127.0.0.1:{port}/live: ") and "\n" not in told.strip()
    assert "s3cret" not in done.stdout + done.stderr
    assert int(grown) < MOST_MIB, done.stdout
    if harm in ("loop", "file", "http"):
        assert "sends us to another address" in told


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        (b"m=audio 0 RTP/AVP 0\r\na=control:s\r\n", "has no video"),
        (b"", "has no video"),
        (b"m=video 0 RTP/AVP 97\r\na=rtpmap:97 VP8/90000\r\na=control:s\r\n", "has only vp8"),
        (b"m=video 0 RTP/AVP 97\r\na=rtpmap:97 FOO/90000\r\na=control:s\r\n", "does not know"),
        (b"i=\xff\xfe\r\n" + STREAM, "sends no pictures"),
    ],
)
def test_what_a_camera_has_is_said(stream: bytes, told: str) -> None:
    with (
        hostile("none", stream) as port,
        pytest.raises(Trouble, match=told),
        open_camera(f"rtsp://127.0.0.1:{port}/live#timeout=1"),
    ):
        pass


def test_a_camera_with_tls_is_believed_by_its_certificate(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path / "other", "other")
    words = ("--size", "320x240", "--gop", "5", "--login", "joe:pass")
    with (
        rtsp_camera(*words) as server,
        TlsGate(server.port, authority.issue("127.0.0.1")) as gate,
        TlsGate(server.port, authority.issue("camera.example")) as elsewhere,
    ):
        uri = f"rtsps://joe:pass@127.0.0.1:{gate.port}/live"
        with (
            open_camera(f"{uri}#ca_file={authority.file}") as camera,
            camera.read(10) or pytest.fail("no frame") as frame,
        ):
            assert frame.layout.source == (320, 240)
        for refused in (
            uri,
            f"{uri}#ca_file={other.file}",
            f"rtsps://joe:pass@127.0.0.1:{elsewhere.port}/live#ca_file={authority.file}",
        ):
            with pytest.raises(Refused, match="its certificate is not trusted"):
                make_camera(refused).start()


def test_ffmpeg_itself_believes_no_certificate_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python looks first and says what is wrong; here somebody steps in between afterwards."""
    (tmp_path / "other").mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path / "other", "other")
    monkeypatch.setattr("runtime.cameras.network_wire.Wire.connect", lambda *_: None)
    with (
        rtsp_camera("--size", "320x240") as server,
        TlsGate(server.port, authority.issue("127.0.0.1")) as gate,
        TlsGate(server.port, authority.issue("camera.example")) as elsewhere,
    ):
        for port, file in ((gate.port, other.file), (elsewhere.port, authority.file)):
            with pytest.raises(Unavailable):
                make_camera(f"rtsps://127.0.0.1:{port}/live#ca_file={file}").start()


def test_who_waits_for_a_camera_that_says_nothing_can_be_told_to_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, told = threading.Event(), list[Trouble]()
    monkeypatch.setattr(stopping, "_asked", asked)

    def start(port: int) -> None:
        try:
            make_camera(f"rtsp://127.0.0.1:{port}/live#timeout=15").start()
        except Trouble as trouble:
            told.append(trouble)

    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes the call
        port = silent.getsockname()[1]
        thread = threading.Thread(target=start, args=(port,))
        thread.start()
        time.sleep(0.5)
        assert not told
        asked.set()
        thread.join(15 / 3)
        assert told and "the end was asked for" in str(told[0])
