"""The parts of cameras on the network: addresses, logins, packets, and what waits for a decoder."""

from __future__ import annotations

import itertools
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import cv2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.ahead import Slot
from runtime.cameras import make_camera
from runtime.cameras.http import boundary
from runtime.cameras.network import NetworkCamera
from runtime.cameras.network_auth import Login
from runtime.cameras.network_backlog import Backlog, Stream, Unit
from runtime.cameras.network_clock import FORGIVE_NS, SenderClock
from runtime.cameras.network_decoder import AnyDecoder
from runtime.cameras.network_uri import read
from runtime.commands import check_config
from runtime.foresight_network import by_hand
from runtime.frames import Aim, Losses
from tests.recordings import numbered
from wire.masking import masked
from wire.troubles import Refused, Unavailable

H264_STREAM = Stream("h264")


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("rtsp://joe:s3cret@h/x", "rtsp://[hidden]@h/x"),
        ("rtsp://joe@h/x#password_file=/a", "rtsp://joe@h/x#password_file=/a"),
        ("rtsp://joe:s3@cret@h:554/x", "rtsp://[hidden]@h:554/x"),
        ("rtsp://joe:s3/cret@h/x", "rtsp://[hidden]@h/x"),
        ("rtsp://joe:s3#cret@h/x", "rtsp://[hidden]@h/x"),
        ("rtsp://joe:s3?cret@h/x", "rtsp://[hidden]@h/x"),
        ("rtsp://joe:s3@cr/et@h/x", "rtsp://[hidden]@h/x"),
        ("rtsp://joe:123#cret@h/x", "rtsp://[hidden]@h/x"),
        ("rtsp://joe:123/cret@h/x", "rtsp://[hidden]@h/x"),
        ("rtsp://joe@home:s3/cret@h/x", "rtsp://[hidden]@h/x"),
        ("rtsp://joe:s3cret", "rtsp://joe:[hidden]"),
        ("rtsp://joe:s3#cret", "rtsp://joe:[hidden]"),
        ("rtsp:///joe:s3cret@h/x", "rtsp:///[hidden]@h/x"),
        ("joe:s3cret@h/x", "[hidden]@h/x"),
        ("rtsp://joe%3As3cret@h/x", "rtsp://[hidden]@h/x"),
        ("rtsp://joe:s3@h/x#password_file=/a@b", "rtsp://[hidden]@h/x#password_file=/a@b"),
        ("http://h/x?usr=a&pwd=s3cret&n=1", "http://h/x?usr=a&pwd=[hidden]&n=1"),
        ("http://h/x?usr=a&pwd=s3#cret&n=1", "http://h/x?usr=a&pwd=[hidden]"),
        ("http://h/x?usr=a&pwd=s3#cr=et", "http://h/x?usr=a&pwd=[hidden]"),
        ("http://h/x?usr=a&pwd=s3&cret&n=1", "http://h/x?usr=a&pwd=[hidden]&n=1"),
        ("http://h/x?usr=a&pwd=s3#timeout=3", "http://h/x?usr=a&pwd=[hidden]#timeout=3"),
        ("rtsp://10.0.0.9:554/password=s3@cret&n=1", "rtsp://10.0.0.9:554/password=[hidden]&n=1"),
        ("rtsp://h:554/password=s3@cret&n=1", "rtsp://[hidden]&n=1"),
        ("rtsp://h/user=a_password=s3cret_n=1", "rtsp://h/user=a_password=[hidden]"),
        ("http://h/x?loginpas=s3cret", "http://h/x?loginpas=[hidden]"),
        ("rtsp://h/user/admin/password/s3cret", "rtsp://h/user/admin/password/[hidden]"),
        ("rtsp://h/admin_pwd/s3@cre/t?a#b", "rtsp://h/admin_pwd/[hidden]"),
        ("rtsp://h/PassWord/s3cret&n=1", "rtsp://h/PassWord/[hidden]&n=1"),
        ("rtsp://h/passage/1", "rtsp://h/passage/1"),
        ("rtsp://[fe80::1/a", "rtsp://[fe80::1/a"),
        ("rtsp://[joe:s3cret/a", "rtsp://[joe:[hidden]"),
        ("rtsp://[fe80::1]:554/a@b", "rtsp://[fe80::1]:554/a@b"),
        ("v4l2:///dev/video0?size=640x480", "v4l2:///dev/video0?size=640x480"),
        ("file:///a:b@c.avi", "file:///a:b@c.avi"),
    ],
)
def test_an_address_is_shown_without_its_password(uri: str, shown: str) -> None:
    assert masked(uri) == shown


@pytest.mark.parametrize(
    "uri",
    [
        "rtsp://joe:s3/cret@h/x",
        "rtsp://joe:s3#cret@h/x",
        "rtsp://joe:s3 cret@h/x",
        "rtsp://joe:s3cret@h:port/x",
        "rtsp://joe:s3cret@/x",
        "rtsp://joe:s3cret@h/x#tmeout=1",
        "rtsp://joe:s3cret@h/x#timeout=no",
        "rtsp://joe:s3cret@h/x#password_file=/a",
        "rtsps://joe:s3cret@h/x#transport=udp",
        "http://joe:s3cret@h/x#fps=0",
        "rtps://joe:s3cret@h/x",
    ],
)
def test_a_refused_address_does_not_tell_its_password(uri: str) -> None:
    with pytest.raises(Refused) as raised:
        make_camera(uri)
    assert "s3cret" not in str(raised.value) and "cret@" not in str(raised.value)


@given(st.text(st.sampled_from("#/?@:;&=%[]ab1 \"'"), min_size=1, max_size=12))
def test_no_part_of_a_password_wherever_the_odd_character_stands(odd: str) -> None:
    for password in (f"s3{odd}cret", f"12{odd}34", odd):
        uri = f"rtsp://joe:{password}@camera.example/live"
        assert masked(uri) == "rtsp://[hidden]@camera.example/live"
        try:
            camera = make_camera(uri)
        except Refused as trouble:
            assert str(trouble).startswith("rtsp://[hidden]@camera.example/live: names no machine")
            assert str(trouble) == refusal_of("rtsp://joe:#@camera.example/live")
        else:
            assert isinstance(camera, NetworkCamera)
            assert camera.target.shown == masked(uri)


def refusal_of(uri: str) -> str:
    with pytest.raises(Refused) as raised:
        make_camera(uri)
    return str(raised.value)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("rtsp://joe@h:99999/x", "rtsp://joe@h:99999/x: has a port that is none: write one from 1"),
        ("http://127.0.0.1:0/x", "http://127.0.0.1:0/x: has a port that is none"),
        ("http://127.0.0.1/a b", "http://127.0.0.1/a b: has a blank in it"),
        ("http://[::1/stream", "http://[::1/stream: has a [ without its ]"),
        ("http://a..b/stream", "http://a..b/stream: names no machine"),
        ("rtsp://joe@h/x?password_file=/a", "what does is the camera's own: write #password_file="),
        ("https://h/x?a=1&ca_file=/a", "what does is the camera's own: write #ca_file=PATH"),
        ("rtps://h/x", "did you mean rtsp:// or rtsps://? use one of synthetic://"),
        ("pipline://door", "did you mean pipeline://? use one of"),
        ("gopher://h/x", "'gopher://h/x' names no camera: use one of synthetic://"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(uri: str, told: str) -> None:
    assert told in refusal_of(uri)
    assert "\n" not in refusal_of(uri)


def test_an_option_of_ours_that_goes_to_the_camera_is_a_warning() -> None:
    def told(uri: str) -> list[str]:
        return list(by_hand(uri))

    assert told("http://h/x?fps=5") == told("rtsp://h/x#transport=udp") == []
    (one,) = told("rtsp://h/x?transport=udp")
    assert one.startswith("transport stands behind ? and goes to the camera")
    (one,) = told("http://joe:s3cret@h/x")
    assert one.startswith("the password stands in the command line") and "s3cret" not in one


def test_the_query_is_the_cameras_and_the_options_are_ours() -> None:
    target = read("rtsp://joe:a%40b@h:8554/cam?channel=1&subtype=0#timeout=3", ("transport",))
    assert (target.bare, target.user, target.password) == (
        "rtsp://h:8554/cam?channel=1&subtype=0", "joe", "a@b",
    )  # fmt: skip
    assert (
        target.timeout_s == 3 and target.shown == "rtsp://[hidden]@h:8554/cam?channel=1&subtype=0"
    )
    assert read("rtsp://h", ()).bare == "rtsp://h/"
    assert read("http://[::1]:80/x", ()).authority == "[::1]"


def test_digest_is_as_the_rfc_has_it() -> None:
    """The example of RFC 2617 without qop (corrected by its erratum 749)."""
    login = Login("Mufasa", "Circle Of Life")
    assert login.answer("GET", "/dir/index.html") is None
    nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093"
    assert login.learn(['Basic realm="x"', f'Digest realm="testrealm@host.com", nonce="{nonce}"'])
    answer = login.answer("GET", "/dir/index.html")
    assert answer is not None and 'response="670fd8c2df070c60b045671b8b24ff02"' in answer
    assert login.learn(['Basic realm="x"'])
    assert login.answer("GET", "/") == "Basic TXVmYXNhOkNpcmNsZSBPZiBMaWZl"
    assert not login.learn(['Bearer realm="x"', 'Digest algorithm=NO-SUCH, nonce="1"'])


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("multipart/x-mixed-replace; boundary=frame", b"--frame"),
        ('multipart/x-mixed-replace;boundary="--my boundary"', b"--my boundary"),
        ("multipart/x-mixed-replace", b""),
    ],
)
def test_a_boundary_is_found_as_cameras_write_it(header: str, found: bytes) -> None:
    assert boundary(header) == found


def test_a_picture_that_comes_late_is_older_and_a_broken_clock_is_believed_again() -> None:
    clock = SenderClock()
    second = 1_000_000_000

    def at(number: int) -> int:
        return second * number // 30

    for number in range(30):
        assert abs(clock.captured_ns(at(number), at(number + 7)) - at(number + 7)) < 1_000_000
    late = clock.captured_ns(at(30), at(37) + 2 * second)
    assert abs(late - at(37)) < 10_000_000
    frozen = SenderClock()
    ages = [at(n) - frozen.captured_ns(0, at(n)) for n in range(300)]  # its stamps stand still
    assert max(ages) < FORGIVE_NS + second and ages.count(0) >= 2


def test_who_falls_behind_goes_on_with_a_whole_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = [0]
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns[0])
    losses = Losses()
    backlog = Backlog(losses, 0)

    def put(*, is_key: bool = False) -> None:
        unit = backlog.fresh()
        unit.is_key = is_key
        backlog.put(unit)
        now_ns[0] += 33_000_000

    def taken() -> list[int]:
        return [unit.number for unit in iter(lambda: backlog.take(0), None)]

    put()  # nothing to build on
    put(is_key=True)
    put()
    assert (taken(), losses.skipped) == ([2, 3], 1)
    for _ in range(30):  # nobody decodes for a second
        put()
    assert (taken(), losses.skipped) == ([], 31)
    put(is_key=True)
    put()
    assert taken() == [34, 35]
    backlog.lost()
    put()
    assert (taken(), losses) == ([], Losses(skipped=32, driver=1))


def test_a_unit_grows_and_has_an_end() -> None:
    unit = Unit()
    while unit.add(bytes(1 << 20)):
        assert len(unit.memory) <= 1 << 25
    assert unit.size == 1 << 24


class Hanging:
    """A connection that brings one picture and ends; the next one never comes to be."""

    def __init__(self, is_first: bool, until: threading.Event, those: list[Hanging]) -> None:
        self._is_first = is_first
        self._until = until
        self._those = those

    def open(self) -> None:
        if not self._is_first:
            self._those.append(self)
            self._until.wait()

    def receive(self, backlog: Backlog) -> None:
        unit = backlog.fresh()
        unit.is_key, unit.captured_ns = True, time.monotonic_ns()
        unit.add(cv2.imencode(".jpg", numbered(1))[1].tobytes())
        backlog.put(unit)
        time.sleep(0.5)  # until it was decoded
        raise Unavailable("it has ended")

    def close(self) -> None:
        pass


def test_stop_leaves_behind_who_hangs() -> None:
    until, hanging = threading.Event(), list[Hanging]()
    count = itertools.count()

    def connect(_: threading.Event) -> Hanging:
        return Hanging(next(count) == 0, until, hanging)

    camera = NetworkCamera(read("http://h/", ()), connect, AnyDecoder)
    camera.start()
    try:
        with camera.read(5) or pytest.fail("no frame"):
            pass
        while not hanging:  # until it has begun to connect again
            time.sleep(0.05)
        stopping = threading.Thread(target=camera.stop)
        stopping.start()
        stopping.join(20)
        assert not stopping.is_alive()
    finally:
        until.set()


@pytest.mark.parametrize("kind", ["rtsp", "http"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "there is no such file"),
        (b"", "is empty"),
        (b"\nsecond\n", "is empty"),
        (b"\xff\xfe", "is no text in UTF-8"),
        ("folder", "is no file"),
        ("pipe", "is no file"),
    ],
)
def test_a_password_file_without_a_password_is_named_at_once(
    kind: str, content: bytes | str | None, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        (os.mkdir if content == "folder" else os.mkfifo)(file)
    camera = make_camera(f"{kind}://joe@127.0.0.1:9/x#password_file={file}")
    with pytest.raises(Unavailable, match=f"password_file {file}: {told}: write the password"):
        camera.start()


class Failing(Hanging):
    """One that brings a picture, and then is as no connection should be."""

    def receive(self, backlog: Backlog) -> None:
        with suppress(Unavailable):
            super().receive(backlog)
        raise ZeroDivisionError("a bug")


class HardToClose(Hanging):
    def close(self) -> None:
        raise ZeroDivisionError("a bug")


class NoDecoder:
    """Where PyAV is not there, or a picture is what nobody thought of."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def decode(self, unit: Unit, slot: Slot, aim: Aim | None) -> bool:
        raise self._error


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("kind", [Failing, HardToClose])
def test_a_bug_of_the_receiving_thread_gets_to_the_reader(kind: type[Hanging]) -> None:
    camera = NetworkCamera(
        read("http://h/", ()), lambda _: kind(True, threading.Event(), []), AnyDecoder
    )
    with pytest.raises(ZeroDivisionError):
        camera.start()
        for _ in range(100):
            if (frame := camera.read(0.2)) is not None:
                frame.release()
    camera.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_no_connection_at_all_is_told_too() -> None:
    def connect(_: threading.Event) -> Hanging:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        NetworkCamera(read("http://h/", ()), connect, AnyDecoder).start()


@pytest.mark.parametrize("error", [Unavailable("PyAV is missing"), ZeroDivisionError("a bug")])
def test_what_ends_the_decoding_thread_is_told_at_once(error: Exception) -> None:
    camera = NetworkCamera(
        read("http://h/", ()),
        lambda _: Hanging(True, threading.Event(), []),
        lambda _: NoDecoder(error),
    )
    with pytest.raises(type(error), match=str(error)):
        camera.start()


def test_check_config_says_what_a_network_camera_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "vedette.toml"
    config.write_text(
        '[broker]\nurl = "mqtt://localhost"\n'
        '[pipeline.door]\nmodel = "digits"\ncamera = "rtsp://joe:s3cret@h/x"\n'
        '[pipeline.yard]\nmodel = "digits"\ncamera = "http://joe@h/x#password_file=/no/such"\n'
    )
    assert check_config.main([str(config)]) == 0
    told = "".join(capsys.readouterr())
    assert "s3cret" not in told and "rtsp://[hidden]@h/x" in told
    assert "pipeline.door.camera: the password stands in this file" in told
    assert "pipeline.yard.camera: password_file /no/such: there is no such file" in told
