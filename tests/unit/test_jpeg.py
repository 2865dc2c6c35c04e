"""JPEG pictures of every kind, whole and broken, into given memory."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import simplejpeg

from runtime import jpeg
from runtime.frames import Aim, Layout
from wire.troubles import Refused

Picture = npt.NDArray[np.uint8]


def scene(width: int = 1280, height: int = 720) -> Picture:
    """RGB: red grows to the right, green downwards, blue is half."""
    picture = np.full((height, width, 3), 128, np.uint8)
    picture[:, :, 0] = np.linspace(0, 255, width, dtype=np.uint8)[None]
    picture[:, :, 1] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    return picture


def encoded(picture: Picture, sampling: str = "420") -> bytes:
    return bytes(simplejpeg.encode_jpeg(picture, 90, "rgb", sampling))


def decoded(content: bytes, aim: Aim | None = None) -> tuple[Layout, Picture]:
    layout = jpeg.plan(content, aim)
    memory = np.zeros(layout.nbytes, np.uint8)
    jpeg.decode(content, layout, memory)
    return layout, layout.shape(memory)


def close_to(pixels: Picture, wanted: Picture) -> bool:
    wanted = cv2.resize(wanted, pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
    return float(np.abs(pixels.astype(int) - wanted.astype(int)).mean()) < 3


def without_tables(content: bytes) -> bytes:
    """The same picture without its Huffman tables, as UVC cameras send it."""
    kept, at = content[:2], 2
    while content[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if content[at + 1] != 0xC4:
            kept += content[at:end]
        at = end
    return kept + content[at:]


def declaring(content: bytes, width: int, height: int) -> bytes:
    """The same picture, whose header claims another size."""
    at = content.index(b"\xff\xc0") + 5
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return content[:at] + size + content[at + 4 :]


@pytest.mark.parametrize("sampling", ["444", "422", "420", "440"])
@pytest.mark.parametrize("size", [(1280, 720), (641, 479), (17, 9), (1, 1)])
def test_shows_the_picture(size: tuple[int, int], sampling: str) -> None:
    wanted = scene(*size)
    layout, pixels = decoded(encoded(wanted, sampling))
    assert (layout.format, layout.source, layout.shrunk_from) == ("RGB3", size, None)
    assert close_to(pixels, wanted)


@pytest.mark.parametrize(
    ("aim", "size"),
    [
        (Aim(224, 224, cover=False), (321, 181)),  # a quarter: 224 x 126 is enough
        (Aim(224, 224, cover=True), (482, 271)),  # three eighths: 399 x 224
        (Aim(320, 320, cover=False), (321, 181)),
        (Aim(640, 640, cover=False), (642, 361)),
        (Aim(100, 100, cover=False), (161, 91)),
        (Aim(700, 700, cover=False), (1283, 721)),  # 5/8 would do, but costs more than all of it
        (Aim(2000, 2000, cover=True), (1283, 721)),
    ],
)
def test_shrinks_as_far_as_the_model_allows(aim: Aim, size: tuple[int, int]) -> None:
    wanted = scene(1283, 721)
    layout, pixels = decoded(encoded(wanted), aim)
    assert (layout.width, layout.height) == size
    assert layout.source == (1283, 721)
    assert close_to(pixels, wanted)


def test_cameras_may_leave_out_the_standard_huffman_tables() -> None:
    content = encoded(scene(), "422")
    bare = without_tables(content)
    assert len(bare) < len(content) - 300
    assert np.array_equal(decoded(bare)[1], decoded(content)[1])


def test_progressive_grey_and_any_buffer() -> None:
    wanted = scene(320, 200)
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    progressive = cv2.imencode(".jpg", wanted[:, :, ::-1], options)[1].tobytes()
    assert close_to(decoded(progressive)[1], wanted)
    grey = cv2.imencode(".jpg", wanted[:, :, :1].copy())[1].tobytes()
    assert close_to(decoded(grey)[1], np.repeat(wanted[:, :, :1], 3, axis=2))
    layout = jpeg.plan(memoryview(progressive), None)
    memory = bytearray(layout.nbytes + 100)
    memory[layout.nbytes :] = b"\xa5" * 100
    jpeg.decode(memoryview(progressive), layout, memoryview(memory))
    assert memory[layout.nbytes :] == b"\xa5" * 100


@pytest.mark.parametrize("content", [b"", b"\xff\xd8", b"x" * 100, b"\xff\xd8\xff\xd9"])
def test_what_is_no_picture_is_said_so(content: bytes) -> None:
    with pytest.raises(jpeg.BrokenPicture, match=f"^{len(content)} bytes are no JPEG picture"):
        jpeg.plan(content, None)


def test_a_picture_cut_anywhere_is_broken_and_never_worse() -> None:
    content = encoded(scene(320, 240))
    for length in range(2, len(content) - 2, 97):
        with pytest.raises(Refused):
            decoded(content[:length])


def test_noise_is_broken_or_a_picture_and_never_worse() -> None:
    content = encoded(scene(160, 120))
    random = np.random.default_rng(0)
    broken = 0
    for _ in range(300):
        noisy = bytearray(content)
        for at in random.integers(2, len(content), 8):
            noisy[at] = random.integers(256)
        try:
            decoded(bytes(noisy))
        except jpeg.BrokenPicture:
            broken += 1
    assert broken > 100


def test_stuffing_before_a_marker_is_what_cameras_do_and_a_hole_is_not() -> None:
    content = encoded(scene(320, 240))
    fine = content[:-2] + b"\0\0\0" + content[-2:]
    assert np.array_equal(decoded(fine)[1], decoded(content)[1])
    assert np.array_equal(decoded(content + b"\0" * 500)[1], decoded(content)[1])
    with pytest.raises(jpeg.BrokenPicture, match="extraneous"):
        decoded(content[:-2] + b"\0" * 200 + content[-2:])


def test_a_declared_size_is_believed_within_reason() -> None:
    content = encoded(scene(64, 64))
    with pytest.raises(jpeg.BrokenPicture, match="65500x65500"):
        jpeg.plan(declaring(content, 65500, 65500), None)
    with pytest.raises(jpeg.BrokenPicture):
        jpeg.plan(declaring(content, 0, 64), None)


def test_a_picture_larger_than_planned_does_not_leave_its_memory() -> None:
    layout = jpeg.plan(encoded(scene(64, 64)), None)
    memory = np.full(layout.nbytes + 4096, 0xA5, np.uint8)
    with pytest.raises(jpeg.BrokenPicture):
        jpeg.decode(encoded(scene(640, 480)), layout, memory[: layout.nbytes])
    assert (memory[layout.nbytes :] == 0xA5).all()


@pytest.mark.budget
def test_nothing_of_the_size_of_a_picture_is_allocated() -> None:
    content = encoded(scene())
    layout = jpeg.plan(content, None)
    memory = np.zeros(layout.nbytes, np.uint8)
    tracemalloc.start()
    try:
        for _ in range(3):
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            jpeg.decode(content, jpeg.plan(content, None), memory)
            assert tracemalloc.get_traced_memory()[1] - before < 4096
    finally:
        tracemalloc.stop()
