"""Samples: what lies in a folder or what a camera shows, with its truth, the same every time."""

from __future__ import annotations

import struct
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models.manifest import Input
from models.row import Row
from runtime.cameras import open_camera
from tests.http_camera import Handler
from tests.recordings import number_of, write_video
from wire.troubles import Refused
from workshop.samples import Samples
from workshop.samples.opening import open_samples
from workshop.samples.tensors import prepared, write_tensors

RGB = Input(16, 12, "rgb", "NHWC", "float32", std=(255.0,), fit="stretch")


def picture(path: Path, value: int = 90, size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((size[1], size[0], 3), value, np.uint8)
    pixels[: size[1] // 2] = value // 2  # the upper half is darker
    assert cv2.imwrite(str(path), pixels)
    return path


def classes(folder: Path, count: int = 3) -> Path:
    for place, name in enumerate(("cat", "Dog", "wild_bird")):
        for number in range(count):
            picture(folder / name / f"{number}.png", 70 * place + number + 10)
    return folder


def seen(samples: Samples) -> list[tuple[str, Any]]:
    return [(each.name, each.truth) for each in samples]


def labelled(samples: Samples) -> list[tuple[str, int, str]]:
    return [(s.name, b.index, b.label) for s in samples for b in s.truth or ()]


def test_a_folder_per_class_in_the_order_of_names(tmp_path: Path) -> None:
    samples = open_samples(str(classes(tmp_path, 1)))
    assert (samples.truth, samples.labels) == ("classes", ("Dog", "cat", "wild_bird"))
    assert labelled(samples) == [
        ("Dog/0.png", 0, "Dog"), ("cat/0.png", 1, "cat"), ("wild_bird/0.png", 2, "wild_bird"),
    ]  # fmt: skip
    for sample in samples:
        assert sample.truth is not None
        (box,) = sample.truth
        assert (box.x, box.y, box.width, box.height, box.score) == (0, 0, 40, 30, 1)


def test_classes_get_the_models_own_index(tmp_path: Path) -> None:
    labels = ("background", "wild bird", "dog", "cat", "fish")
    samples = open_samples(str(classes(tmp_path, 1)), labels)
    assert samples.labels == labels
    assert [index for _, index, _ in labelled(samples)] == [2, 3, 1]


def test_folders_named_by_index(tmp_path: Path) -> None:
    for name in ("0", "2"):
        picture(tmp_path / name / "a.png")
    assert labelled(open_samples(str(tmp_path), ("a", "b", "c"))) == [
        ("0/a.png", 0, "a"), ("2/a.png", 2, "c"),
    ]  # fmt: skip


def test_a_class_that_the_model_does_not_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"'wild_bird' is none of the model's 2 classes \('dog'"):
        open_samples(str(classes(tmp_path)), ("dog", "cat"))


def test_splits_are_not_classes(tmp_path: Path) -> None:
    for split in ("train", "val"):
        classes(tmp_path / split)
    with pytest.raises(Refused, match="has train, val: say which"):
        open_samples(str(tmp_path))


def test_a_limit_takes_a_subset_of_the_seed_in_order(tmp_path: Path) -> None:
    folder = str(classes(tmp_path, 20))
    whole = seen(open_samples(folder))
    first, again, other = (seen(open_samples(folder, limit=12, seed=s)) for s in (1, 1, 2))
    assert len(first) == 12 and first == again and first != other
    assert [each for each in whole if each in first] == first
    with pytest.raises(Refused, match="limit of 0 leaves nothing"):
        open_samples(folder, limit=0)


def test_a_plain_folder_and_one_picture_have_no_truth(tmp_path: Path) -> None:
    for number in (10, 2):
        picture(tmp_path / f"{number}.png")
    for words in (str(tmp_path), f"file://{tmp_path}?pace=fast"):
        samples = open_samples(words)
        assert (samples.truth, samples.labels) == ("none", ())
        assert seen(samples) == [("2.png", None), ("10.png", None)]
    assert seen(open_samples(str(tmp_path / "2.png"))) == [("2.png", None)]


def test_what_is_not_there_and_what_is_empty(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"nothing: is not there; in .* there is nothing"):
        open_samples(str(tmp_path / "nothing"))
    with pytest.raises(Refused, match="has no pictures"):
        open_samples(str(tmp_path))


def test_a_broken_picture_is_left_out_and_said(tmp_path: Path) -> None:
    folder = classes(tmp_path, 1)
    (folder / "cat" / "1.jpg").write_bytes(b"\xff\xd8 no picture")
    samples = open_samples(str(folder))
    assert len(samples) == 4
    assert len(seen(samples)) == len(samples) == 3
    assert len(samples.left_out) == 1 and "1.jpg" in samples.left_out[0]
    assert len(seen(samples)) == len(samples) == 3  # counted once
    shape = write_tensors(open_samples(str(folder)), RGB, tmp_path / "x.npy")
    assert np.load(tmp_path / "x.npy").shape == shape == (3, 12, 16, 3)


def test_nothing_but_broken_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(Refused, match="not one of its pictures can be used"):
        list(open_samples(str(tmp_path)))


def test_pictures_stand_upright(tmp_path: Path) -> None:
    """Exif says: turn by 90 degrees. The dark upper half is then at the right."""
    pixels = np.full((32, 64, 3), 200, np.uint8)
    pixels[:16] = 20
    content = cv2.imencode(".jpg", pixels)[1].tobytes()
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    (tmp_path / "a.jpg").write_bytes(content[:2] + segment + content[2:])
    for sample in open_samples(str(tmp_path)):
        shown = sample.frame.pixels.astype(int)
        assert shown.shape == (64, 32, 3)
        assert shown[:, 24:].mean() < 40 < 180 < shown[:, :8].mean()


def test_the_digest_is_of_all_that_is_in_it(tmp_path: Path) -> None:
    folder = classes(tmp_path / "a")
    digest = open_samples(str(folder)).digest
    assert len(digest) == 64 and digest == open_samples(str(classes(tmp_path / "b"))).digest
    assert digest != open_samples(str(folder), limit=5).digest
    assert digest != open_samples(str(folder), ("cat", "dog", "wild bird")).digest
    picture(folder / "cat" / "0.png", 123)
    assert digest != open_samples(str(folder)).digest


def test_the_synthetic_scene_and_its_truth() -> None:
    samples = open_samples("synthetic://160x120@30?digits=2&seed=3", limit=7)
    assert (samples.truth, len(samples), samples.labels) == ("boxes", 7, tuple("0123456789"))
    with open_camera("synthetic://160x120?digits=2&seed=3") as camera:
        for sample in samples:
            frame = camera.read(1)
            assert frame is not None
            with frame:
                assert sample.truth == camera.truth(frame.seq)  # type: ignore[attr-defined]
                assert (sample.frame.pixels == frame.pixels).all()
    assert seen(samples) == seen(samples)
    assert len(open_samples("synthetic://160x120")) == 300


def test_a_scene_for_a_model_with_other_classes() -> None:
    turned = open_samples("synthetic://160x120", tuple("9876543210"), limit=3)
    assert [b.index + int(b.label) for s in turned for b in s.truth or ()] == [9, 9, 9]
    unknown = open_samples("synthetic://160x120", ("cat", "dog"), limit=3)
    assert unknown.truth == "none" and {truth for _, truth in seen(unknown)} == {None}
    assert turned.digest != unknown.digest


def test_frames_of_a_live_camera_are_caught_once() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        uri = f"http://somebody:secret@127.0.0.1:{server.server_port}/stream"
        samples = open_samples(uri, limit=4)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert "secret" not in samples.name
    first = [(s.name, s.frame.pixels.tobytes()) for s in samples]
    assert len(first) == len(samples) == 4 and samples.truth == "none"
    assert len({pixels for _, pixels in first}) == 4
    assert [(s.name, s.frame.pixels.tobytes()) for s in samples] == first


@pytest.mark.parametrize(
    "wanted",
    [
        Input(48, 48, "grey", "NCHW", "int8", std=(255.0,), scale=1 / 255, zero_point=-128),
        Input(48, 48, "grey", "NHWC", "uint8", mean=(127.5,), std=(127.5,), scale=0.0078),
        Input(48, 32, "bgr", "NCHW", "float32", mean=(1.0, 2.0, 3.0), std=(58.0,)),
    ],
)
def test_tensors_are_the_real_values_that_the_model_sees(wanted: Input) -> None:
    tensors = list(prepared(open_samples("synthetic://64x48", limit=3), wanted))
    assert [(each.shape, each.dtype) for each in tensors] == [(wanted.shape, np.float32)] * 3
    low, high = (0 - np.array(wanted.mean)) / wanted.std, (255 - np.array(wanted.mean)) / wanted.std
    for each in tensors:
        assert low.min() - 1e-5 <= each.min() and each.max() <= high.max() + 1e-5
        assert each.std() > 0.01
    assert not np.shares_memory(tensors[0], tensors[1])


def test_tensors_in_a_file(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    samples = open_samples("synthetic://64x48", limit=3)
    path = tmp_path / "x.npy"
    assert write_tensors(samples, RGB, path, lambda *each: told.append(each)) == (3, 12, 16, 3)
    np.testing.assert_array_equal(np.load(path), np.concatenate(list(prepared(samples, RGB))))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(("name", "code"), [("x.avi", "MJPG"), ("x.mp4", "mp4v")])
def test_a_video_and_a_part_of_it(name: str, code: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, code, 20, (160, 120))
    samples = open_samples(str(path))
    assert (samples.truth, len(samples)) == ("none", 20)
    assert [number_of(sample.frame.pixels) for sample in samples] == list(range(20))
    some = open_samples(f"file://{path}", limit=5, seed=2)
    numbers = [number_of(sample.frame.pixels) for sample in some]
    assert (
        len(some) == len(numbers) == 5
        and numbers == sorted(set(numbers))
        and numbers != list(range(5))
    )
    assert [sample.name for sample in some] == [f"picture {number}" for number in numbers]
    assert [number_of(sample.frame.pixels) for sample in some] == numbers
    assert len({samples.digest, some.digest, open_samples(str(path), limit=5).digest}) == 3


def test_a_file_that_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"no video")
    with pytest.raises(Refused, match="is no video that can be read here"):
        open_samples(str(tmp_path / "x.mp4"))


def test_rows_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,kind,b\n1,yes,10\n3,no,30\n5,yes,nothing\n")
    samples = open_samples(f"{tmp_path}/x.csv?truth=kind", ("no", "yes"))
    assert labelled(samples) == [("row 1", 1, "yes"), ("row 2", 0, "no")]
    wanted = Row((1, 2), "int8", ("b", "a"), (0.0, 1.0), (10.0, 2.0), 0.5, 3)
    tensors = list(prepared(samples, wanted))
    assert [each.tolist() for each in tensors] == [[[1.0, 0.0]], [[3.0, 1.0]]]
