"""Recordings: videos and pictures of every kind, in order or at their pace, whole and broken."""

from __future__ import annotations

import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
import pytest

from runtime.cameras import Camera, Ended, open_camera
from runtime.frames import Aim, Layout, Losses
from tests.recordings import number_of, numbered, write_pictures, write_video
from wire.troubles import Refused


def played(uri: str, aim: Aim | None = None) -> tuple[list[tuple[int, int]], list[Layout], Losses]:
    """((seq, number shown) of every frame, their layouts, losses) to the end of a recording."""
    found, layouts = [], []
    with open_camera(uri, aim) as camera:
        while True:
            try:
                frame = camera.read(10)
            except Ended:
                break
            assert frame is not None
            with frame:
                found.append((frame.seq, number_of(frame.pixels)))
                layouts.append(frame.layout)
        with pytest.raises(Ended):
            camera.read(0)
        return found, layouts, camera.losses


def first(uri: str, aim: Aim | None = None) -> tuple[Layout, np.ndarray]:
    with open_camera(uri, aim) as camera, frame_of(camera) as frame:
        return frame.layout, frame.pixels.copy()


def frame_of(camera: Camera):  # type: ignore[no-untyped-def]
    frame = camera.read(10)
    assert frame is not None
    return frame


def spoilt(path: Path, numbers: Sequence[int]) -> Path:
    """The same MJPEG video; the pictures with these numbers are noise after their header."""
    content = bytearray(path.read_bytes())
    starts = [at for at in range(len(content)) if content[at : at + 3] == b"\xff\xd8\xff"]
    for number in numbers:
        at = content.index(b"\xff\xda", starts[number]) + 20
        content[at : at + 300] = b"\xff\xc1" * 150
    path.write_bytes(content)
    return path


def numbers_up_to(count: int) -> list[tuple[int, int]]:
    return [(number, number) for number in range(count)]


@pytest.mark.parametrize(
    ("name", "code"), [("a.avi", "MJPG"), ("a.mov", "jpeg"), ("a.mp4", "mp4v"), ("a.avi", "FFV1")]
)
@pytest.mark.parametrize("aim", [None, Aim(96, 96, cover=False)])
def test_a_video_is_played_in_order_to_its_end(
    tmp_path: Path, name: str, code: str, aim: Aim | None
) -> None:
    path = write_video(tmp_path / name, code, 25, (320, 240))
    found, layouts, losses = played(f"file://{path}", aim)
    assert found == numbers_up_to(25)
    assert losses == Losses()
    assert {layout.source for layout in layouts} == {(320, 240)}
    jpegs = code in ("MJPG", "jpeg")
    assert {layout.format for layout in layouts} == {"RGB3" if jpegs else "BGR3"}
    assert {layout.width for layout in layouts} == {120 if jpegs and aim else 320}


def test_a_loop_starts_over_and_goes_on_counting(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", "MJPG", 5, (64, 48))
    with open_camera(f"file://{path}?loop=yes") as camera:
        for number in range(23):
            with frame_of(camera) as frame:
                assert (frame.seq, number_of(frame.pixels)) == (number, number % 5)


@pytest.mark.parametrize("name", ["a b.avi", "50%.avi", "[1]#2.avi", "é.avi"])
def test_any_name_can_be_written_plain_or_percent_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_video(tmp_path / name, "MJPG", 2, (64, 48))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for place in (quote(f"{tmp_path}/{name}"), quote(name), f"~/{quote(name)}", f"./{name}"):
        if place == "./50%.avi":
            continue  # a lone % stands for itself, tried below
        assert played(f"file://{place}")[0] == numbers_up_to(2)
    assert played(f"file://{name}")[0] == numbers_up_to(2)


def test_pictures_come_in_the_order_of_their_numbers_each_in_its_size(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["f1.png", "f2.bmp", "f9.jpg", "f10.webp", "f11.JPG", "g.tif"])
    cv2.imwrite(str(tmp_path / "f9.jpg"), numbered(2, 200, 100))
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._f1.png").write_bytes(b"what macOS leaves behind")
    found, layouts, losses = played(f"file://{tmp_path}")
    assert found == numbers_up_to(6)
    assert [layout.source for layout in layouts] == [(640, 480)] * 2 + [(200, 100)] + [
        (640, 480)
    ] * 3
    assert losses == Losses()
    assert played(f"file://{tmp_path}/f10.webp")[0] == [(0, 3)]


@pytest.mark.parametrize(
    "kind", ["grey.png", "alpha.png", "deep.png", "grey.jpg", "progressive.jpg"]
)
def test_pictures_of_every_depth_become_three_bytes_a_pixel(tmp_path: Path, kind: str) -> None:
    picture = numbered(5, 200, 100)
    if "grey" in kind:
        picture = picture[:, :, :1].copy()
    if "alpha" in kind:
        picture = np.dstack([picture, np.full((100, 200), 128, np.uint8)])
    if "deep" in kind:
        picture = picture.astype(np.uint16) * 257
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1] if "progressive" in kind else []
    cv2.imwrite(str(tmp_path / kind), picture, options)
    layout, pixels = first(f"file://{tmp_path / kind}")
    assert layout.source == (200, 100) and layout.format in ("RGB3", "BGR3")
    assert np.abs(pixels.astype(int) - numbered(5, 200, 100)).mean() < 3


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_stand_upright(tmp_path: Path, orientation: int, order: str) -> None:
    upright = numbered(0, 200, 100)
    upright[:20, :20] = 255  # top left
    upright[-20:, :20] = 128
    lying = {  # how a camera stores what must be turned by this tag: CIPA DC-008, 4.6.5
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    content = cv2.imencode(".jpg", np.ascontiguousarray(lying))[1].tobytes()
    tiff = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    tiff += struct.pack(order + "HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    (tmp_path / "photo.jpg").write_bytes(content[:2] + segment + content[2:])
    layout, pixels = first(f"file://{tmp_path}/photo.jpg", Aim(50, 50, cover=False))
    assert layout.source == (200, 100)
    wanted = cv2.resize(upright, (layout.width, layout.height), interpolation=cv2.INTER_AREA)
    assert np.abs(pixels.astype(int) - wanted).mean() < 4


def test_a_film_that_was_held_upright_is_shown_upright(tmp_path: Path) -> None:
    path = write_video(tmp_path / "phone.mp4", "mp4v", 3, (320, 240))
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    one = 1 << 16
    content[at : at + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)  # a quarter
    path.write_bytes(content)
    layout, pixels = first(f"file://{path}")
    assert layout.source == (240, 320)
    assert pixels.shape == (320, 240, 3)
    assert number_of(np.rot90(pixels)) == 0


@pytest.mark.parametrize("name", ["a.avi", "a.mov"])
def test_broken_pictures_are_counted_and_the_rest_goes_on(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, "MJPG", 12, (320, 240))
    found, _, losses = played(f"file://{spoilt(path, [3, 4, 8])}", Aim(96, 96, cover=False))
    assert found == [(n, n) for n in range(12) if n not in (3, 4, 8)]
    assert losses == Losses(decode=3)


def film_with_a_hole(path: Path) -> Path:
    """60 pictures; a fifth of their bytes are gone."""
    content = bytearray(write_video(path, "mp4v", 60, (320, 240)).read_bytes())
    start = content.index(b"mdat") + 4
    length = int.from_bytes(content[start - 8 : start - 4], "big")
    third = start + length // 3
    content[third : third + length // 5] = bytes(length // 5)
    path.write_bytes(content)
    return path


def test_a_hole_in_a_film_is_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    found, _, losses = played(f"file://{film_with_a_hole(tmp_path / 'a.mp4')}")
    assert losses.decode > 0 and losses.skipped == 0
    # FFmpeg's threads may swallow a picture at the edge of the hole without a word
    assert 58 <= len(found) + losses.decode <= 60
    assert found[-1] == (len(found) + losses.decode - 1, 59), "broken ones have numbers too"


PLAYS = """
import sys
from runtime.cameras import Ended, open_camera
from wire.troubles import Refused
for uri in sys.argv[1:]:
    try:
        with open_camera(uri) as camera:
            while True:
                camera.read(10).release()
    except (Ended, Refused) as end:
        print(type(end).__name__)
"""


def test_what_libraries_say_about_a_broken_file_is_not_for_the_user(tmp_path: Path) -> None:
    film = film_with_a_hole(tmp_path / "a.mp4")
    jpegs = spoilt(write_video(tmp_path / "a.avi", "MJPG", 12, (320, 240)), [3])
    (tmp_path / "cut.mp4").write_bytes(film.read_bytes()[:5000])
    (tmp_path / "bad.bmp").write_bytes(b"BM")
    uris = [f"file://{path}" for path in (film, jpegs, tmp_path / "cut.mp4", tmp_path / "bad.bmp")]
    told = subprocess.run(
        [sys.executable, "-c", PLAYS, *uris], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["Ended", "Ended", "Refused", "Refused"]
    assert told.stderr == ""


def test_a_broken_picture_among_good_ones_is_counted(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["1.jpg", "2.jpg", "3.bmp", "4.jpg"])
    (tmp_path / "2.jpg").write_bytes((tmp_path / "1.jpg").read_bytes()[:3000])
    (tmp_path / "3.bmp").write_bytes(b"")
    found, _, losses = played(f"file://{tmp_path}")
    assert found == [(0, 0), (3, 3)]
    assert losses == Losses(decode=2)


@pytest.mark.parametrize("options", ["", "?loop=yes", "?pace=1000&loop=yes"])
def test_a_recording_without_one_good_picture_is_refused(tmp_path: Path, options: str) -> None:
    (tmp_path / "1.jpg").write_bytes(b"\xff\xd8" + b"x" * 100)
    (tmp_path / "2.bmp").write_bytes(b"BM")
    with (
        open_camera(f"file://{tmp_path}{options}") as camera,
        pytest.raises(Refused, match="not one of its 2 pictures can be decoded"),
    ):
        camera.read(10)


def test_pictures_are_due_at_their_pace(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", "MJPG", 12, (64, 48), fps=50)
    for pace, period_ns in (("real", 20e6), ("100", 10e6)):
        stamps = {}
        with open_camera(f"file://{path}?pace={pace}&loop=yes") as camera:
            for _ in range(20):
                with frame_of(camera) as frame:
                    assert frame.captured_ns <= time.monotonic_ns()
                    assert number_of(frame.pixels) == frame.seq % 12
                    stamps[frame.seq] = frame.captured_ns
        (first_seq, first_ns), *rest = stamps.items()
        for seq, stamp in rest:
            assert stamp - first_ns == pytest.approx((seq - first_seq) * period_ns, abs=10e3)


def test_a_reader_too_slow_for_the_pace_skips_and_counts(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", "MJPG", 100, (64, 48))
    found = []
    with open_camera(f"file://{path}?pace=200") as camera:
        try:
            while True:
                with frame_of(camera) as frame:
                    found.append(frame.seq)
                time.sleep(0.05)
        except Ended:
            pass
        assert found == sorted(set(found))
        assert len(found) < 60
        assert len(found) + camera.losses.skipped == 100


def test_stop_does_not_wait_for_the_next_picture(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["1.png", "2.png"], (64, 48))
    began = time.monotonic()
    with open_camera(f"file://{tmp_path}?pace=0.01") as camera:
        frame_of(camera).release()
        assert camera.read(0.05) is None  # the next one is due in 100 s
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("file://", "file://PATH"),
        ("file://?loop=yes", "file://PATH"),
        ("file://{}/nope.avi", "film.avi, noise.bin, notes.txt"),
        ("file://{}/no/nope.avi", "nor is there a folder"),
        ("file://{}/notes.txt", "is no video"),
        ("file://{}/noise.bin", "is no video"),
        ("file://{}/empty.mp4", "is no video"),
        ("file://{}/void", "holds no pictures"),
        ("file://{}", "film.avi, noise.bin, notes.txt"),
        ("file://{}/film.avi?speed=2", "use pace or loop"),
        ("file://{}/film.avi?pace=quick", "fast, real or"),
        ("file://{}/film.avi?pace=0", "from 0.01 to 1000"),
        ("file://{}/film.avi?pace=1e9", "from 0.01 to 1000"),
        ("file://{}/film.avi?pace=", "fast, real or"),
        ("file://{}/film.avi?loop=1", "use no or yes"),
        ("file://{}/film.avi?loop=yes&loop=no", "given twice"),
        ("file://{}/still?pace=real", "give a number per second"),
        ("file://~nobody-of-this-name/a.avi", "home"),
        ("file://a%00b", "names no file"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(tmp_path: Path, uri: str, told: str) -> None:
    write_video(tmp_path / "film.avi", "MJPG", 2, (64, 48))
    (tmp_path / "notes.txt").write_text("not a video\n" * 50)
    (tmp_path / "noise.bin").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "void").mkdir()
    write_pictures(tmp_path / "still", ["1.png"])
    with pytest.raises(Refused, match=told) as refused, open_camera(uri.format(tmp_path)):
        pass
    assert "\n" not in str(refused.value)


def test_a_folder_that_may_not_be_listed_is_no_crash(nobody: None) -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o311)
        with pytest.raises(Refused, match="there is nothing that this user may see"):
            first(f"file://{name}/none.mp4")
        Path(name).chmod(0o700)
