"""A bare model file: what its manifest must be, from its tensors alone, and what is said of it."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import manifest
from runtime.engines import EngineOptions, TensorSpec
from runtime.inferring import infer_manifest, packed_labels
from runtime.locating import locate
from runtime.loop import Model
from runtime.opening import open_model
from tests.graphs import onnx, tflite
from tests.graphs.numbers import Scaling
from wire.troubles import Refused


def opened(path: Path) -> Model:
    with locate(path) as located:
        model = open_model(located, EngineOptions(threads=1))
    model.engine.close()
    return model


@pytest.mark.parametrize(
    ("dtype", "scaling", "mean", "std"),
    [
        ("uint8", None, 0, 1),
        ("int8", None, 0, 1),
        ("float32", None, 0, 255),
        ("uint8", Scaling(1 / 255, 0), 0, 255),
        ("int8", Scaling(1 / 255, -128), 0, 255),
        ("uint8", Scaling(1 / 127.5, 128), 127.5, 127.5),
        ("int8", Scaling(1 / 127.5, 0), 127.5, 127.5),
        ("int8", Scaling(0.0078431, -1), 127.5, 127.5),
        ("uint8", Scaling(1, 0), 0, 1),
        ("int8", Scaling(1, -128), 0, 1),
        ("int8", Scaling(1, 0), 128, 1),
    ],
)
def test_the_scaling_that_fills_the_range(
    tmp_path: Path, dtype: str, scaling: Scaling | None, mean: float, std: float
) -> None:
    path = tflite.echo(tmp_path / "e.tflite", dtype=dtype, scaling=scaling)
    model = opened(path)
    eats = model.manifest.input
    assert (eats.mean, eats.std) == ((mean,), (std,))
    stored = (scaling.scale, scaling.zero_point) if scaling else (None, None)
    assert (eats.scale, eats.zero_point) == (pytest.approx(stored[0]), stored[1])
    assert f"(pixel - {mean:g}) / {std:g}" in model.guesses[1]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_layout_size_and_colour(tmp_path: Path, layout: str, channels: int) -> None:
    shape = {"width": 20, "height": 12, "channels": channels, "layout": layout}
    for path, build in ((tmp_path / "e.tflite", tflite.echo), (tmp_path / "e.onnx", onnx.echo)):
        build(path, dtype="float32", **shape)  # type: ignore[operator]
        model = opened(path)
        eats = model.manifest.input
        assert (eats.width, eats.height, eats.layout) == (20, 12, layout)
        assert eats.colour == ("grey" if channels == 1 else "rgb")
        assert model.guesses[0] == f"input is 20x12, {layout}, float32"
        assert ("grey" if channels == 1 else "red, green, blue") in model.guesses[1]
        assert model.manifest.format == path.suffix[1:] and model.manifest.name == "e"


@pytest.mark.parametrize("head", ["logits", "probabilities"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
def test_classes_by_softmax_or_as_they_are(tmp_path: Path, dtype: str, head: str) -> None:
    tflite.colours(tmp_path / "c.tflite", dtype=dtype, head=head)
    model = opened(tmp_path / "c.tflite")
    assert (model.manifest.task, model.manifest.decoding.head) == ("classify", head)
    assert ("softmax" in model.guesses[2]) == (head == "logits")


def test_many_small_logits_are_not_taken_for_probabilities() -> None:
    """A thousand zeros sum to zero, which is nearly one only with much good will."""

    class Zeros:
        takes = TensorSpec("input", (1, 8, 8, 3), "float32")
        gives = (TensorSpec("output", (1, 1000), "float32"),)

        def input(self) -> Any: ...
        def close(self) -> None: ...
        def run(self) -> tuple[Any, ...]:
            return (np.zeros((1, 1000), np.float32),)

    made, _ = infer_manifest(Path("m.tflite"), Zeros())
    assert made.decoding.head == "logits"


@pytest.mark.parametrize("order", [tflite.TF1_ORDER, tflite.TF2_ORDER])
def test_ssd_boxes(tmp_path: Path, order: tuple[str, ...]) -> None:
    tflite.ssd_known(tmp_path / "s.tflite", order=order)
    model = opened(tmp_path / "s.tflite")
    assert (model.manifest.task, model.manifest.decoding.head) == ("detect", "ssd")
    assert "SSD" in model.guesses[2]


def test_outputs_of_no_known_form_are_shown_raw(tmp_path: Path) -> None:
    model = opened(tflite.echo(tmp_path / "e.tflite"))
    assert model.manifest.task == "raw"
    assert "statistics" in model.guesses[2]


@pytest.mark.parametrize("name", ["labels.txt", "c.txt"])
def test_labels_beside_the_file(tmp_path: Path, name: str) -> None:
    tflite.colours(tmp_path / "c.tflite")
    (tmp_path / name).write_text("\ufeffrot\ngrün\nblau\n\n\n", encoding="utf-8")
    model = opened(tmp_path / "c.tflite")
    assert model.labels == ("rot", "grün", "blau")
    assert model.guesses[-1] == f"labels from {name}"


def test_labels_packed_into_the_file(tmp_path: Path) -> None:
    path = tflite.pack_labels(tflite.colours(tmp_path / "c.tflite"), tflite.COLOURS)
    model = opened(path)
    assert model.labels == tflite.COLOURS
    assert "metadata" in model.guesses[-1]


def test_labels_beside_the_file_come_first(tmp_path: Path) -> None:
    path = tflite.pack_labels(tflite.colours(tmp_path / "c.tflite"), tflite.COLOURS)
    path.with_name("labels.txt").write_text("a\nb\nc\n")
    assert opened(path).labels == ("a", "b", "c")


def test_labels_of_another_model_are_refused(tmp_path: Path) -> None:
    path = tflite.pack_labels(tflite.colours(tmp_path / "c.tflite"), ("only", "two"))
    with pytest.raises(Refused, match="its label file has 2 labels, the model 3 classes"):
        opened(path)
    path.with_name("labels.txt").write_text("a\nb\nc\nd\n")
    with pytest.raises(Refused, match=r"labels\.txt has 4 labels, the model 3 classes"):
        opened(path)
    path.with_name("labels.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Refused, match=r"labels\.txt: labels are not UTF-8"):
        opened(path)


def test_a_damaged_archive_is_no_archive(tmp_path: Path) -> None:
    """zipfile raises a dozen kinds of errors for what is no sound archive."""
    path = tflite.colours(tmp_path / "c.tflite")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", "\n".join(f"label number {i}" for i in range(300)))
    whole = path.read_bytes()
    length = len(whole) - whole.index(b"PK\x03\x04")
    chance = np.random.default_rng(3)
    for _ in range(400):
        broken = bytearray(whole)
        for place in chance.integers(1, length, 3):
            broken[-place] = chance.integers(0, 256)
        path.write_bytes(broken)
        assert isinstance(packed_labels(path), tuple)


def test_a_packed_bomb_is_not_opened(tmp_path: Path) -> None:
    path = tflite.colours(tmp_path / "c.tflite")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", "a\n" * 50_000_000)
    assert packed_labels(path) == ()


def test_an_inferred_manifest_reads_back_the_same(tmp_path: Path) -> None:
    tflite.colours(tmp_path / "c.tflite", dtype="int8")
    model = opened(tmp_path / "c.tflite")
    manifest.write(tmp_path, model.manifest)
    again = opened(tmp_path / "c.tflite")
    assert again.manifest == model.manifest == manifest.load(tmp_path)
    assert again.guesses == ()


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ((1, 8, 64), r"\(1, 8, 64\); a picture is"),
        ((3, 64), "takes 3 rows at once; export it with batch 1"),
        ((1, 8, 8, 4), r"a picture is"),
        ((4, 8, 8, 3), "takes 4 pictures at once; export it with batch 1"),
        ((1, 0, 0, 3), "pictures of 0x0"),
        ((1, 1, 9000, 3), "pictures of 9000x1"),
    ],
)
def test_an_input_that_is_no_picture_is_refused(
    tmp_path: Path, shape: tuple[int, ...], why: str
) -> None:
    tflite.passing(tmp_path / "m.tflite", shape, "uint8")
    with pytest.raises(Refused, match=why) as told:
        opened(tmp_path / "m.tflite")
    assert str(told.value).startswith(f"{tmp_path / 'm.tflite'}: ")


def test_an_output_that_no_manifest_can_name_is_refused(tmp_path: Path) -> None:
    class Odd:
        takes = TensorSpec("input", (1, 8, 8, 3), "float32")
        gives = (TensorSpec("x" * 300, (1, 2, 2), "float32"),)

        def input(self) -> Any: ...
        def close(self) -> None: ...
        def run(self) -> tuple[Any, ...]:
            return (np.zeros((1, 2, 2), np.float32),)

    with pytest.raises(Refused, match="output that no manifest can have"):
        infer_manifest(Path("m.tflite"), Odd())
