"""Cameras on the network, real ones on loopback: what comes, what is said, and what goes wrong."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from subprocess import PIPE

import pytest

from runtime.ahead import Slot
from runtime.cameras import Camera, make_camera, open_camera
from runtime.cameras.network_backlog import Unit
from runtime.cameras.patient import PatientCamera
from runtime.cameras.video_decoder import VideoDecoder
from runtime.frames import Frame
from tests.certificates import Authority
from tests.gate import TcpGate
from tests.network_cameras import CameraProcess, age_ms, http_camera, rtsp_camera, smear
from tests.recordings import number_of
from tests.warm import Process
from wire.troubles import Refused, Trouble, Unavailable

PATIENCE_S = 20.0
SMEARED = 12.0  # what the encoder does to a good picture is less
SMALL = ("--size", "320x240", "--gop", "5", "--kbits", "800")


def live(server: CameraProcess | TcpGate, options: str = "", who: str = "") -> str:
    return f"rtsp://{who}127.0.0.1:{server.port}/live{options}"


def until(camera: Camera, is_it: Callable[[Frame | None], bool]) -> None:
    """Read until a frame, or the lack of one, is as wished."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        frame = camera.read(0.1)
        found = is_it(frame)
        if frame is not None:
            frame.release()
        if found:
            return
    raise AssertionError(f"not within {PATIENCE_S:g} s; absent: {camera.absent}, {camera.losses}")


def some(camera: Camera, count: int = 5) -> None:
    """Read so many frames."""
    for _ in range(count):
        until(camera, lambda frame: frame is not None)


def goes_away(camera: Camera) -> str:
    until(camera, lambda frame: frame is None and camera.absent is not None)
    return str(camera.absent)


def refusal(uri: str) -> str:
    with pytest.raises(Trouble) as raised, open_camera(uri):
        pass
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value, Refused)
    return str(raised.value)


@contextmanager
def answering(content: bytes, then: bytes = b"") -> Iterator[int]:
    """A server that says the same whatever it is asked. Gives its port. then: said again and again,
    every 50 ms."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    one, _ = listening.accept()
                except OSError:
                    return
                with one:
                    one.recv(4096)
                    one.sendall(content)
                    with suppress(OSError):
                        while then:
                            one.sendall(then)
                            time.sleep(0.05)
                    one.settimeout(2)
                    with suppress(OSError):
                        one.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("words", "options", "format"),
    [
        (("--codec", "h264", "--profile", "main"), "", "NV12"),
        (("--codec", "h265"), "", "NV12"),
        (("--codec", "mjpeg"), "", "RGB3"),
        (("--codec", "h264"), "#transport=udp", "NV12"),
        (("--codec", "mjpeg"), "#transport=udp", "RGB3"),
    ],
)
def test_what_the_camera_sends_is_what_comes(
    words: tuple[str, ...], options: str, format: str
) -> None:
    """The pictures show their own time, so that a wrong or an old one is found out."""
    with rtsp_camera(*words, *SMALL) as server, open_camera(live(server, options)) as camera:
        ages: list[float] = []

        def look(frame: Frame | None) -> bool:
            if frame is not None:
                assert (frame.layout.format, *frame.layout.source) == (format, 320, 240)
                ages.append(age_ms(frame))
            return len(ages) == 20

        until(camera, look)
        assert camera.losses.decode == camera.losses.refused == camera.losses.driver == 0
        assert all(0 <= age < 10_000 for age in ages), "its time cannot be read"


@pytest.mark.parametrize("kind", ["rtsp", "http"])
def test_a_camera_that_is_killed_is_absent_and_comes_back_by_itself(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, path = (rtsp_camera, "live") if kind == "rtsp" else (http_camera, "stream")
    with (
        make("--size", "320x240") as server,
        open_camera(f"{kind}://joe:s3cret@127.0.0.1:{server.port}/{path}") as camera,
    ):
        some(camera)
        with camera.read(5) or pytest.fail("no frame") as frame:
            before = frame.seq
        server.kill()
        told = goes_away(camera)
        assert "127.0.0.1" in told and "s3cret" not in told
        server.start()
        until(camera, lambda frame: frame is not None and frame.seq > before)
        assert camera.absent is None
    warned = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warned) == 2 and "is back" in warned[1]
    assert "s3cret" not in caplog.text


def test_a_frozen_camera_is_absent_and_its_old_pictures_are_not_shown() -> None:
    with rtsp_camera(*SMALL) as server, open_camera(live(server, "#timeout=1")) as camera:
        some(camera)
        server.freeze()
        assert "1 s" in goes_away(camera)
        thawed = time.monotonic()
        server.thaw()

        def look(frame: Frame | None) -> bool:
            if frame is not None:
                assert age_ms(frame) < (time.monotonic() - thawed) * 1e3 + 700
            return frame is not None

        until(camera, look)


def test_what_stood_still_in_the_network_is_not_shown_when_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decode = VideoDecoder.decode

    def slow(self: VideoDecoder, unit: Unit, slot: Slot) -> tuple[int, int] | None:
        time.sleep(0.01)  # so that each could be shown
        return decode(self, unit, slot)

    monkeypatch.setattr(VideoDecoder, "decode", slow)
    with (
        rtsp_camera("--size", "320x240", "--gop", "60", "--kbits", "800") as server,
        TcpGate(server.port) as gate,
        open_camera(live(gate, "#timeout=10")) as camera,
    ):
        some(camera, 30)
        gate.stall()
        until(camera, lambda frame: frame is None)
        time.sleep(2.0)
        skipped = camera.losses.skipped
        gate.flow()
        ages: list[float] = []

        def look(frame: Frame | None) -> bool:
            if frame is not None:
                ages.append(age_ms(frame))
            return len(ages) == 10

        until(camera, look)
        assert camera.losses.skipped - skipped >= 20, "nothing old came: the test is no good"
        assert max(ages) < 1000, ages
        assert camera.absent is None


def test_a_sender_faster_than_the_decoder_builds_up_no_delay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decode = VideoDecoder.decode

    def slow(self: VideoDecoder, unit: Unit, slot: Slot) -> tuple[int, int] | None:
        time.sleep(0.03)  # three pictures come meanwhile
        return decode(self, unit, slot)

    monkeypatch.setattr(VideoDecoder, "decode", slow)
    with (
        rtsp_camera("--size", "320x240", "--gop", "250", "--fps", "100") as server,
        open_camera(live(server)) as camera,
    ):
        ages: list[float] = []
        end = time.monotonic() + 3.5

        def look(frame: Frame | None) -> bool:
            if frame is not None:
                ages.append(age_ms(frame))
            return time.monotonic() > end

        until(camera, look)
        assert len(ages) > 10 and camera.losses.skipped > 60
        assert max(ages) < 1000, ages  # if all waited, the last before a key frame: 1.7 s


@pytest.mark.parametrize("kind", ["rtsp", "http"])
def test_stop_does_not_wait_for_a_network_that_hangs(kind: str) -> None:
    make, path = (rtsp_camera, "live") if kind == "rtsp" else (http_camera, "stream")
    with make(*SMALL[:2]) as server, TcpGate(server.port) as gate:
        camera = make_camera(f"{kind}://127.0.0.1:{gate.port}/{path}#timeout=15")
        camera.start()
        some(camera)
        gate.stall()
        until(camera, lambda frame: frame is None)
        began = time.monotonic()
        camera.stop()
        assert time.monotonic() - began < 15 / 3


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_what_builds_on_a_broken_picture_is_not_shown(transport: str) -> None:
    with (
        rtsp_camera("--size", "640x480", "--gop", "30") as server,
        open_camera(live(server, f"#transport={transport}")) as camera,
    ):
        some(camera)
        server.tell("lose 0.01")  # every tenth picture, of those that are shown
        smears: list[float] = []

        def look(frame: Frame | None) -> bool:
            if frame is not None:
                smears.append(smear(frame))
            return camera.losses.decode + camera.losses.driver >= 4

        until(camera, look)
        print(smears, camera.losses)
        assert camera.losses.skipped >= 20
        assert sum(one > SMEARED for one in smears) <= len(smears) / 5  # if all were shown: half


def test_a_size_that_changes_in_mid_stream_is_followed() -> None:
    with rtsp_camera(*SMALL) as server, open_camera(live(server)) as camera:
        assert camera.layout.source == (320, 240)
        server.tell("size 640x480")
        until(camera, lambda frame: frame is not None and frame.layout.width == 640)
        some(camera, 20)
        assert camera.layout.source == (640, 480)


def test_a_codec_that_changes_is_followed() -> None:
    with rtsp_camera(*SMALL) as server, open_camera(live(server)) as camera:
        some(camera)
        for codec, format in (("mjpeg", "RGB3"), ("h265", "NV12")):
            server.kill()
            goes_away(camera)
            server.start("--codec", codec)
            until(
                camera,
                lambda frame: frame is not None and camera.layout.format == format,  # noqa: B023
            )


def test_a_login_is_used_and_a_wrong_one_is_said_once(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("p:@ss\n")
    with rtsp_camera(*SMALL, "--login", "joe:p:@ss") as server:
        where = f"127.0.0.1:{server.port}/live"
        for login, options in (("joe:p%3A%40ss@", ""), ("joe@", f"#password_file={secret}")):
            with open_camera(f"rtsp://{login}{where}{options}") as camera:
                some(camera)
        assert "asks for a name and a password" in refusal(f"rtsp://{where}")
        wrong = make_camera(f"rtsp://joe:guess@{where}")
        for _ in range(2):  # cameras lock who tries again and again
            with pytest.raises(Refused, match="does not accept") as raised:
                wrong.start()
            assert "guess" not in str(raised.value)
            server.freeze()  # it is not asked a second time
        server.thaw()


@pytest.mark.parametrize("kind", ["rtsp", "http"])
def test_a_password_file_that_goes_and_comes_is_read_anew(kind: str, tmp_path: Path) -> None:
    """Missing at the start, as well as while the camera is away."""
    make, path = (rtsp_camera, "live") if kind == "rtsp" else (http_camera, "stream")
    secret = tmp_path / "password"
    with make("--size", "320x240", "--login", "joe:pass") as server:
        options = f"#password_file={secret}"
        camera = PatientCamera(make_camera(f"{kind}://joe@127.0.0.1:{server.port}/{path}{options}"))
        camera.start()
        for _ in range(2):
            assert f"password_file {secret}: there is no such file" in goes_away(camera)
            secret.write_text("pass\n")
            some(camera)
            assert camera.absent is None
            secret.unlink()
            server.kill()
            goes_away(camera)
            server.start()
            until(camera, lambda frame: frame is None and "no such file" in str(camera.absent))
        camera.stop()


def test_a_login_by_basic_at_an_address_of_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with rtsp_camera(*SMALL, "--address", "::1", "--login", "joe:ü/%", "--basic") as server:
        where = f"[::1]:{server.port}/live"
        with open_camera(f"rtsp://joe:%C3%BC%2F%25@{where}") as camera:
            some(camera)
        assert "does not accept" in refusal(f"rtsp://joe:wrong@{where}")


def test_a_slow_camera_is_not_always_too_old() -> None:
    """Its pictures wait a second for the next one, which shows that they are whole."""
    with (
        rtsp_camera("--size", "320x240", "--fps", "1", "--gop", "2") as server,
        open_camera(live(server)) as camera,
    ):
        some(camera, 3)


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_what_is_no_camera_is_refused_with_what_to_do(scheme: str) -> None:
    with answering(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n") as port:
        assert "is the port right?" in str(trouble(f"{scheme}://127.0.0.1:{port}/"))
    with answering(bytes(range(256)) * 400) as port:
        assert "port" in str(trouble(f"{scheme}://127.0.0.1:{port}/"))
    with answering(b"") as port:
        assert "silent" in str(trouble(f"{scheme}://127.0.0.1:{port}/#timeout=1"))
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    found = trouble(f"{scheme}://127.0.0.1:{port}/")
    assert isinstance(found, Unavailable) and "nothing listens there" in str(found)


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_camera_that_is_still_starting_is_not_taken_for_one_that_refuses(scheme: str) -> None:
    """It would be tried again a minute later only."""

    def close_at_once() -> None:
        with suppress(OSError):
            while True:
                listening.accept()[0].close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=close_at_once)
        thread.start()
        try:
            found = trouble(f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/")
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
    assert isinstance(found, Unavailable)


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.0 200 OK\r\nX: "])
def test_a_camera_that_trickles_its_answer_is_left(begin: bytes) -> None:
    """Never silent for long, and never done."""
    with answering(begin, b"A") as port:
        found = trouble(f"http://127.0.0.1:{port}/#timeout=1")
    assert isinstance(found, Unavailable) and "sends too slowly: not all has" in str(found)


MULTIPART = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=f\r\n\r\n"
DAMAGED = b"--f\r\nContent-Length: 9\r\n\r\n\xff\xd8 no more\r\n"


def test_a_camera_of_broken_pictures_is_left_with_the_reason() -> None:
    with answering(MULTIPART, DAMAGED) as port:
        found = trouble(f"http://127.0.0.1:{port}/")
    assert isinstance(found, Unavailable) and "the first 10 are damaged" in str(found)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.0 500 Oops\r\n\r\n", "status 500: restart it if that stays"),
        (b"HTTP/1.0 406 No\r\n\r\n", "status 406: see its own pages for the address"),
        (b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: -5\r\n\r\n",
         "-5 bytes, 0 to 16777216 are possible: see its own pages for another address"),
        (MULTIPART + b"--f\r\nContent-Length: 99999999\r\n\r\n\xff\xd8",
         "99999999 bytes, 0 to 16777216 are possible: see its own pages for another address"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_picture_is_said_with_what_to_do(answer: bytes, said: str) -> None:
    with answering(answer) as port:
        assert said in str(trouble(f"http://127.0.0.1:{port}/#timeout=2"))


def trouble(uri: str) -> Trouble:
    with pytest.raises(Trouble) as raised, open_camera(uri):
        pass
    return raised.value


def test_a_wrong_path_is_refused() -> None:
    with rtsp_camera(*SMALL) as server:
        assert "no stream of that path" in refusal(f"rtsp://127.0.0.1:{server.port}/lvie")
    with http_camera() as server:
        where = f"http://127.0.0.1:{server.port}"
        assert "no picture at that path" in refusal(f"{where}/strem")
        assert "sends text/html" in refusal(f"{where}/page")
        assert "has moved to /stream" in refusal(f"{where}/moved")


@pytest.mark.parametrize("path", ["stream", "bare", "snapshot"])
def test_pictures_of_http_are_whole_and_in_order(path: str) -> None:
    with http_camera("--login", "joe:pass", "--fps", "60") as server:
        uri = f"http://joe:pass@127.0.0.1:{server.port}/{path}#fps=50"
        with open_camera(uri) as camera:
            numbers: list[int] = []

            def look(frame: Frame | None) -> bool:
                if frame is not None:
                    numbers.append(number_of(frame.pixels))
                return len(numbers) == 20

            until(camera, look)
            steps = [(b - a) % 64 for a, b in pairwise(numbers)]
            assert all(0 < step < 32 for step in steps), numbers
            assert camera.losses.decode == 0
        assert "does not accept" in refusal(uri.replace("joe:pass", "joe:wrong"))


def test_a_camera_with_tls_is_believed_by_its_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("127.0.0.1")
    with http_camera("--tls", str(issued.certificate), str(issued.key)) as server:
        uri = f"https://127.0.0.1:{server.port}/stream"
        assert "its certificate is not trusted" in refusal(uri)
        with open_camera(f"{uri}#ca_file={authority.file}") as camera:
            some(camera)
            server.kill()
            assert "127.0.0.1" in goes_away(camera)


def test_who_names_a_camera_by_hand_is_told_in_lines() -> None:
    words = ("run", "--model", "digits", "--frames", "1", "--camera")
    with http_camera("--login", "joe:s3cret") as server:
        where = f"127.0.0.1:{server.port}/stream"
        given = Process([*words, f"http://joe:s3cret@{where}"], stderr=PIPE)
        _, told = given.communicate(60)
        assert given.returncode == 0 and "s3cret" not in told
        assert "--camera: the password stands in the command line" in told
        missing = Process([*words, f"http://joe@{where}#password_file=/nothere"], stderr=PIPE)
        _, told = missing.communicate(60)
    assert missing.returncode == 1 and "password_file /nothere: there is no such file" in told
    assert told.startswith("vedette: ") and told.count("\n") == 1, told


def test_a_picture_that_stays_the_same_is_one_frame() -> None:
    with (
        http_camera() as server,
        open_camera(f"http://127.0.0.1:{server.port}/same#fps=50") as camera,
    ):
        some(camera, 1)
        assert all(camera.read(0.1) is None for _ in range(5))


def test_a_service_waits_for_a_camera_that_is_not_there_yet() -> None:
    server: CameraProcess = rtsp_camera(*SMALL)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        server.port = unused.getsockname()[1]
    camera = PatientCamera(make_camera(live(server)))
    camera.start()
    assert "nothing listens there" in goes_away(camera)
    with server:
        some(camera)
        assert camera.absent is None
    camera.stop()
