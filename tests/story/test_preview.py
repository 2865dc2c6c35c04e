"""The preview as a browser, a slow reader and an attacker meet it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from urllib.parse import quote, unquote

import cv2
import msgspec
import numpy as np
import pytest

from runtime import preview as preview_module
from runtime import web
from runtime.canvas import Canvas
from runtime.frames import BYTES_PER_PIXEL, Frame, Layout, Pixels
from runtime.preview import Preview, sight
from runtime.tasks import (
    Box,
    Class,
    Found,
    Instance,
    Mask,
    Point,
    Pose,
    Region,
    Stats,
    Vector,
)
from tests.story.feeding import (
    BOX,
    VGA,
    Pipeline,
    Result,
    ask,
    feed_one,
    feeding,
    frame_of,
    port_of,
)
from wire.troubles import Refused, Unavailable


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline()


@pytest.fixture
def preview(pipeline: Pipeline) -> Iterator[Preview]:
    with Preview(0, "digits on a test", pipeline.look) as preview:
        yield preview


def decoded(jpeg: bytes) -> Pixels:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture.astype(np.uint8)


@pytest.mark.parametrize("format", BYTES_PER_PIXEL)
def test_a_picture_of_every_layout_arrives_with_its_box(
    format: str, preview: Preview, pipeline: Pipeline
) -> None:
    pipeline.layout = Layout(format, 640, 480, 640 * BYTES_PER_PIXEL[format] + 64)
    with feeding(preview, pipeline):
        reply = ask(preview, "/frame.jpg")
    assert reply.status == 200 and reply.headers["Content-Type"] == "image/jpeg"
    picture = decoded(reply.body)
    assert picture.shape == (480, 640, 3)
    plain = picture[400:470, 400:630].reshape(-1, 3).mean(axis=0)
    outline = picture[220, 195:206].astype(int)
    assert np.abs(outline - plain).max() > 60
    assert int(reply.headers["Vedette-Frame"]) <= pipeline.frames


def test_each_picture_is_a_newer_one_and_none_waits_in_line(
    preview: Preview, pipeline: Pipeline
) -> None:
    with feeding(preview, pipeline):
        last = 0
        for _ in range(5):
            reply = ask(preview, f"/frame.jpg?after={last}")
            assert int(reply.headers["Vedette-Picture"]) > last
            last = int(reply.headers["Vedette-Picture"])
        time.sleep(0.5)  # a slow reader: some fifty frames go by
        before = pipeline.frames
        newest = int(ask(preview, f"/frame.jpg?after={last}").headers["Vedette-Frame"])
        assert newest >= before - 1


def test_a_picture_number_of_an_earlier_run_does_not_wait_for_ever(
    preview: Preview, pipeline: Pipeline
) -> None:
    with feeding(preview, pipeline):
        assert ask(preview, "/frame.jpg?after=900000").status == 200


def test_boxes_are_never_drawn_on_another_frame(
    preview: Preview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "PICTURE_S", 0.5)
    replies = []
    viewer = threading.Thread(target=lambda: replies.append(ask(preview, "/frame.jpg")))
    viewer.start()
    for seq in range(0, 60, 2):
        with frame_of(seq, VGA) as frame:
            preview.glance(frame)
        preview.show(Result(seq + 1, (BOX,)))
        time.sleep(0.01)
    viewer.join()
    assert replies[0].status == 204


@pytest.mark.budget
def test_an_old_picture_is_not_shown_as_live(
    preview: Preview, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    with feeding(preview, pipeline):
        assert ask(preview, "/frame.jpg").status == 200
    monkeypatch.setattr(web, "PICTURE_S", 0.2)
    time.sleep(0.2)
    reply = ask(preview, "/frame.jpg")
    assert reply.status == 204 and reply.body == b""


class Untouchable(Frame):
    """A frame whose pixels nobody may look at."""

    @property
    def pixels(self) -> Pixels:
        raise AssertionError("nobody watches: the pixels must not be touched")


@pytest.mark.budget
def test_nobody_watching_costs_nothing(preview: Preview) -> None:
    frame = Untouchable(1, 0, VGA, np.zeros(VGA.nbytes, np.uint8), lambda: None)
    result = Result(1, (BOX,))
    preview.glance(frame)
    preview.show(result)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    for _ in range(1000):
        preview.glance(frame)
        preview.show(result)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - before < 1000


@pytest.mark.budget
def test_the_loop_allocates_no_picture_while_somebody_watches(
    preview: Preview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "PICTURE_S", 1.5)
    monkeypatch.setattr(preview_module, "GAP_NS", 0)
    viewer = threading.Thread(target=lambda: ask(preview, "/frame.jpg"))
    viewer.start()
    frames = [frame_of(seq, VGA, seq) for seq in range(40)]
    while preview._canvas is None:  # the first look takes its memory
        preview.glance(frames[0])
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    for frame in frames:
        preview.glance(frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    viewer.join()
    assert preview._canvas.raw[0, 0, 0] == 39  # it did look at every one of them
    assert peak - before < 8_000


def test_the_numbers_are_all_there(preview: Preview) -> None:
    found: tuple[Found, ...] = (
        (Class(3, "<b>&", 0.5),),
        (BOX,),
        (Stats("scores", (1, 2), -1.0, float("inf"), 0.0),),
        (),
    )
    kinds = []
    for seq, each in enumerate(found):
        feed_one(preview, seq, each)
        preview._report = None  # a quarter of a second later
        report = json.loads(ask(preview, "/stats.json").body)
        assert report["seq"] == seq and len(report["found"]) == len(each)
        kinds.append(report["kind"])
    assert kinds == ["classes", "boxes", "stats", "nothing"]
    panel = report["panel"]
    assert (panel["model"], panel["version"], panel["digest"]) == ("digits", "1.0.0", "ab" * 32)
    assert panel["stages"]["end_to_end"] == {"p50": 100.0, "p95": 200.0, "p99": 300.0}
    assert panel["losses"] == {"skipped": 3, "driver": 0, "decode": 0, "refused": 0}


def test_a_picture_says_what_it_shows_itself(preview: Preview, pipeline: Pipeline) -> None:
    pipeline.found = tuple(Box(n, f"犬 {n}\r\nX: y", n / 20, 1, 2, 3, 4) for n in range(20))
    with feeding(preview, pipeline):
        reply = ask(preview, "/frame.jpg")
    assert "X" not in reply.headers  # a label is no header
    seen = json.loads(unquote(reply.headers["Vedette-Found"]))
    assert seen["kind"] == "boxes" and seen["more"] == 12
    assert [box["index"] for box in seen["found"]] == [19, 18, 17, 16, 15, 14, 13, 12]
    assert seen["found"][0]["label"] == "犬 19\r\nX: y"


def test_masks_points_and_vectors_are_not_in_the_head_of_an_answer() -> None:
    """There is little room; and they are drawn, not written."""
    mask = Mask((90, 90), (1,) * 8100)
    sides = (1, 2, 3, 4)
    found: tuple[tuple[str, Found], ...] = (
        ("boxes", (Instance(1, "cat", 0.9, *sides, mask=mask),) * 9),
        ("boxes", (Pose(1, "body", 0.9, *sides, points=(Point("nose", 1, 2, 0.5),) * 400),) * 9),
        ("regions", (Region(1, "road", None, 0.25, *sides, mask),) * 9),
        ("vectors", (Vector("out", 2.5, (0.123456789,) * 2000),) * 9),
    )
    for kind, each in found:
        shown = sight(each)
        assert (shown.kind, len(shown.found), shown.more) == (kind, 8, 1)
        assert len(quote(msgspec.json.encode(shown))) < 4000


def test_many_who_ask_for_numbers_do_not_work_the_loop_s_interpreter(
    preview: Preview, pipeline: Pipeline
) -> None:
    started = time.monotonic()
    for _ in range(50):
        assert ask(preview, "/stats.json").status == 200
    assert pipeline.looked <= 2 + (time.monotonic() - started) / preview_module.REPORT_S


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("127.0.0.1", 200),
        ("[::1]:9", 200),
        ("evil.example", 403),
        ("evil.example:8080", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost:8080@evil.example", 403),
        ("localhost, evil.example", 403),
        ("0.0.0.0", 403),  # noqa: S104
        ("", 403),  # none at all
    ],
)
def test_only_this_machine_s_own_names_are_answered(
    preview: Preview, host: str, status: int
) -> None:
    """DNS rebinding: a name of somebody else's that was made to point at 127.0.0.1."""
    for path in ("/", "/stats.json"):
        reply = ask(preview, path, headers={"Host": host})
        assert reply.status == status
        assert (b"digits" in reply.body) == (status == 200 and path != "/")


def test_two_hosts_are_one_too_many(preview: Preview) -> None:
    said = talk(preview, b"GET /stats.json HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_cannot_embed_it_but_a_link_leads_here(preview: Preview, site: str) -> None:
    for path in ("/stats.json", "/frame.jpg"):
        assert ask(preview, path, headers={"Sec-Fetch-Site": site}).status == 403
    followed = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}
    reply = ask(preview, "/", headers=followed)
    assert reply.status == 200
    assert "frame-ancestors 'none'" in reply.headers["Content-Security-Policy"]


def test_nothing_is_shared_with_other_origins(preview: Preview) -> None:
    reply = ask(preview, "/stats.json", headers={"Origin": "https://evil.example"})
    assert not [name for name in reply.headers if name.lower().startswith("access-control")]
    assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert reply.headers["Cache-Control"] == "no-store"
    assert "unsafe" not in reply.headers["Content-Security-Policy"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "NEW"])
def test_it_can_only_be_read(preview: Preview, method: str) -> None:
    reply = ask(preview, "/stats.json", method)
    assert reply.status == 405 and reply.headers["Allow"] == "GET, HEAD"


def test_head_has_no_body(preview: Preview) -> None:
    reply = ask(preview, "/", "HEAD")
    assert reply.status == 200 and reply.body == b"" and int(reply.headers["Content-Length"]) > 1000


def test_a_hidden_second_request_is_not_read(preview: Preview) -> None:
    inner = b"GET /stats.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(inner)
    said = talk(preview, head + inner)
    assert said.startswith(b"HTTP/1.1 400") and said.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("path", ["/etc/passwd", "/../panel.py", "//x[", "/frame.jpgx", "*"])
def test_there_is_nothing_else(preview: Preview, path: str) -> None:
    reply = ask(preview, path)
    assert reply.status == 404 and b"/stats.json" in reply.body


@pytest.mark.parametrize("after", ["-1", "x", "1e9", "9" * 40, "%00", ""])
def test_a_bad_picture_number_is_refused(preview: Preview, after: str, pipeline: Pipeline) -> None:
    with feeding(preview, pipeline):
        assert ask(preview, f"/frame.jpg?after={after}").status == (400 if after else 200)


def test_rubbish_does_not_hurt(preview: Preview, capfd: pytest.CaptureFixture[str]) -> None:
    for rubbish in (
        b"\x16\x03\x01\x02\x00\x01",
        b"GET\r\n\r\n",
        b"A" * 70_000,
        b"GET / HTTP/9\r\n",
    ):
        talk(preview, rubbish + b"\r\n\r\n")
    assert ask(preview, "/healthz").body == b"ok\n"
    assert capfd.readouterr().err == ""  # the terminal belongs to the live table


def test_it_listens_on_loopback_only(preview: Preview) -> None:
    with pytest.raises(ConnectionRefusedError):  # another address of this machine
        socket.create_connection(("127.0.0.2", port_of(preview)), timeout=5)


def test_a_port_in_use_and_a_port_that_is_none(preview: Preview, pipeline: Pipeline) -> None:
    port = port_of(preview)
    with pytest.raises(Unavailable, match=f"port {port} is taken"):
        Preview(port, "", pipeline.look)
    with pytest.raises(Refused, match="70000 is no port"):
        Preview(70000, "", pipeline.look)
    if os.geteuid() != 0:
        with pytest.raises(Refused, match="needs root"):
            Preview(80, "", pipeline.look)


def test_too_many_viewers_are_turned_away_and_the_others_stay(
    preview: Preview, pipeline: Pipeline
) -> None:
    port = port_of(preview)
    crowd = [socket.create_connection(("127.0.0.1", port)) for _ in range(web.MOST_CONNECTIONS)]
    try:
        wait_until(lambda: len(preview._server._open) == web.MOST_CONNECTIONS)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as late:
            assert b"503" in late.recv(1000)
        with feeding(preview, pipeline):
            crowd[0].sendall(b"GET /frame.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert crowd[0].recv(12) == b"HTTP/1.1 200"
    finally:
        for connection in crowd:
            connection.close()
    wait_until(lambda: not preview._server._open)
    assert ask(preview, "/healthz").status == 200


def test_a_reader_that_never_reads_holds_up_nobody(
    preview: Preview, pipeline: Pipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    pipeline.layout = Layout("RGB3", 1280, 720, 1280 * 3)
    with feeding(preview, pipeline), socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        slow.connect(("127.0.0.1", port_of(preview)))
        slow.sendall(b"GET /frame.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
        before = pipeline.frames
        for _ in range(5):
            assert ask(preview, "/frame.jpg").status == 200
        wait_until(lambda: pipeline.frames > before + 20)
    wait_until(lambda: not preview._server._open)  # it went away in the middle of a picture
    assert capfd.readouterr().err == ""


def test_closing_lets_every_viewer_go_at_once(
    pipeline: Pipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    preview = Preview(0, "", pipeline.look)
    port = port_of(preview)
    replies: list[int] = []

    def look() -> None:
        with contextlib.suppress(http.client.HTTPException, OSError):  # or it is cut off
            replies.append(ask(preview, "/frame.jpg").status)

    viewers = [threading.Thread(target=look) for _ in range(4)]
    for viewer in viewers:
        viewer.start()
    wait_until(lambda: preview._waiting == 4)
    with socket.create_connection(("127.0.0.1", port), timeout=3) as silent:
        wait_until(lambda: len(preview._server._open) == 5)
        preview.close()
        assert silent.recv(1) == b""
        for viewer in viewers:
            viewer.join(web.PICTURE_S / 2)
            assert not viewer.is_alive()
    preview.close()
    assert set(replies) <= {204}
    with Preview(port, "", pipeline.look) as again:
        assert ask(again, "/healthz").status == 200
    assert capfd.readouterr().err == ""


def test_odd_boxes_and_names_do_not_stop_anything(preview: Preview, pipeline: Pipeline) -> None:
    pipeline.found = (Box(1, "犬", 2.0, float("nan"), -1e30, 1e30, 1e30), BOX)
    pipeline.absent = "file:///tmp/\udcff.mp4 is gone\n"  # a path that is not UTF-8
    assert "tmp" in json.loads(ask(preview, "/stats.json").body)["panel"]["absent"]
    pipeline.absent = None
    with feeding(preview, pipeline):
        assert ask(preview, "/frame.jpg").status == 200
        preview._report = None
        assert len(json.loads(ask(preview, "/stats.json").body)["found"]) == 2


def test_a_bug_in_drawing_ends_the_run(
    preview: Preview, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "PICTURE_S", 2.0)

    def broken(self: Canvas, found: Found, quality: int = 80, overlay: object = None) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(Canvas, "jpeg", broken)
    viewer = threading.Thread(target=lambda: ask(preview, "/frame.jpg"))
    viewer.start()
    with pytest.raises(ZeroDivisionError):
        for seq in range(300):
            feed_one(preview, seq)
            time.sleep(0.01)
    viewer.join()


def talk(preview: Preview, request: bytes) -> bytes:
    """Everything that comes back until the server hangs up."""
    with socket.create_connection(("127.0.0.1", port_of(preview)), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        said = b""
        try:
            while received := connection.recv(65536):
                said += received
        except ConnectionResetError:
            pass
        return said


def wait_until(happened: object, seconds: float = 20) -> None:
    assert callable(happened)
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)
