"""A bare detector: which head its outputs have, and what is said where that was a guess."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.manifest import Manifest
from runtime.engines import TensorSpec
from runtime.inferring import infer_manifest
from runtime.tasks import Box, View
from runtime.tasks.detect import make_decode
from runtime.tasks.detect_yolo import grid_of
from tests.heads import specs_of

Array = np.ndarray[Any, Any]


class Exported:
    """An engine that gives these outputs for any picture."""

    def __init__(self, outputs: tuple[Array, ...], side: int = 640, scale: float | None = None):
        self.takes = TensorSpec("images", (1, 3, side, side), "float32")
        self.outputs = outputs
        self.gives = specs_of(outputs)
        if scale is not None:
            self.gives = tuple(
                TensorSpec(each.name, each.shape, each.dtype, scale, 0) for each in self.gives
            )

    def input(self) -> Any: ...
    def close(self) -> None: ...
    def run(self) -> Any:
        return self.outputs


def rows(n: int, width: int, unit: float, side: int = 640) -> Array:
    """Boxes around the middles of their cells, one of which has seen class 2."""
    chance = np.random.default_rng(1)
    values: Array = chance.random((n, width), np.float32) * np.float32(0.1)
    per_cell = 3 if n % 8400 == 0 and n > 8400 else 1
    corners, steps = grid_of(manifest_of(side).input, n // per_cell)
    values[:, :2] = np.tile((corners + 0.5) * steps / side, (per_cell, 1)) * unit
    values[:, 2:4] = 0.1 * unit
    values[77, width - 3 if width < 9 else 4 + (width in (85, 15, 25)) + 2] = 0.9
    if width in (85, 15):
        values[77, 4] = 1
    return values


def manifest_of(side: int) -> Manifest:
    """Of a model that says nothing: only its input is asked for."""
    engine = Exported((np.zeros((1, 7, 3, 2, 2), np.float32),), side)
    return infer_manifest(Path("m.onnx"), engine)[0]


def only(found: Any) -> Any:
    (box,) = found
    assert isinstance(box, Box)
    return box


def grid_values(n: int, width: int) -> Array:
    values = np.random.default_rng(2).normal(0.5, 0.6, (n, width)).astype(np.float32)
    values[:, 4:] = 0.01
    values[77, 4:6] = 0.95
    return values


ONNX, TFLITE = "m.onnx", "m.tflite"
CASES: dict[str, tuple[str, Array, dict[str, Any], str]] = {
    "yolov8": (ONNX, rows(8400, 84, 640).T, {"head": "yolov8"},
               "one output (1, 84, 8400): head yolov8, boxes in pixels, 80 classes"),
    "yolov8 of TFLite": (TFLITE, rows(8400, 84, 1).T, {"head": "yolov8", "boxes": "shares"},
                         "one output (1, 84, 8400): head yolov8, boxes in shares, 80 classes"),
    "yolov8 turned": (ONNX, rows(8400, 84, 640), {"head": "yolov8"},
                      "one output (1, 8400, 84): head yolov8, boxes in pixels, 80 classes"),
    "yolov5": (ONNX, rows(25200, 85, 640), {"head": "yolov5"},
               "one output (1, 25200, 85): head yolov5, boxes in pixels, 80 classes"),
    "yolov5 of TFLite": (TFLITE, rows(25200, 85, 1), {"head": "yolov5", "boxes": "shares"},
                         "one output (1, 25200, 85): head yolov5, boxes in shares, 80 classes"),
    "yolox": (ONNX, grid_values(8400, 85), {"head": "yolox"},
              "one output (1, 8400, 85): head yolox, grid values, 80 classes"),
    "yolox decoded": (ONNX, rows(8400, 85, 640), {"head": "yolov5"},
                      "one output (1, 8400, 85): head yolov5, boxes in pixels, 80 classes"),
    "who knows": (ONNX, rows(8400, 25, 640), {"head": "yolov8"},
                  "one output (1, 8400, 25): head yolov8, boxes in pixels, 21 classes, or yolov5 "
                  "with 20: a manifest can say that"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_head_is_seen_from_shapes_and_one_run(name: str) -> None:
    file, output, said, line = CASES[name]
    engine = Exported((np.ascontiguousarray(output)[None],))
    made, told = infer_manifest(Path(file), engine)
    assert made.task == "detect"
    assert {key: getattr(made.decoding, key) for key in ("head", "boxes")} == {
        "boxes": None,
        **said,
    }
    assert told[-1] == line
    box = only(make_decode(made, engine.gives, ())(engine.run(), View(640, 640, 0, 0, 1, 1)))
    assert box.score > 0.85


def test_labels_beside_the_file_settle_it(tmp_path: Path) -> None:
    engine = Exported((rows(8400, 25, 640)[None],))
    for count, head in ((20, "yolov5"), (21, "yolov8")):
        (tmp_path / "labels.txt").write_text("\n".join(f"label {i}" for i in range(count)))
        made, told = infer_manifest(tmp_path / "m.onnx", engine)
        assert made.decoding.head == head
        assert f"{count} classes" in told[-2]
        assert "a manifest can" not in told[-2]


def test_grids_that_are_not_the_usual_ones_need_labels(tmp_path: Path) -> None:
    engine = Exported((rows(8400, 84, 640)[:300].T[None],))
    assert infer_manifest(tmp_path / "m.onnx", engine)[0].task == "raw"
    (tmp_path / "labels.txt").write_text("\n".join(f"label {i}" for i in range(80)))
    assert infer_manifest(tmp_path / "m.onnx", engine)[0].decoding.head == "yolov8"


@pytest.mark.parametrize(("unit", "boxes"), [(640.0, None), (1.0, "shares")])
def test_end_to_end(unit: float, boxes: str | None) -> None:
    values = np.tile(np.array([0.1, 0.1, 0.5, 0.5, 0.05, 3], np.float32), (300, 1))
    values[:, :4] *= unit
    values[0, 4] = 0.9
    engine = Exported((values[None],))
    made, told = infer_manifest(Path("m.onnx"), engine)
    assert (made.decoding.head, made.decoding.boxes) == ("yolov10", boxes)
    assert "end to end" in told[-1]
    box = only(make_decode(made, engine.gives, ())(engine.run(), View(640, 640, 0, 0, 1, 1)))
    assert (box.index, box.x, box.width) == (3, pytest.approx(64), pytest.approx(256))


def test_raw_ssd_with_the_usual_anchors() -> None:
    boxes = np.random.default_rng(3).normal(0, 1, (1, 1917, 4)).astype(np.float32)
    scores = np.full((1, 1917, 91), -9, np.float32)
    scores[0, 700, 5] = 3
    engine = Exported((boxes, scores), 300)
    made, told = infer_manifest(Path("m.onnx"), engine)
    assert (made.decoding.head, made.decoding.activation) == ("ssd-raw", "sigmoid")
    assert made.decoding.background == "first"
    assert "90 classes, the first is background; assumed: the usual anchors" in told[-1]
    box = only(make_decode(made, engine.gives, ())(engine.run(), View(300, 300, 0, 0, 1, 1)))
    assert (box.index, box.score) == (4, pytest.approx(1 / (1 + np.exp(-3))))


def test_raw_ssd_that_is_decoded_already() -> None:
    """pytorch-ssd: probabilities with a background, corners in shares."""
    boxes = np.tile(np.array([0.1, 0.2, 0.5, 0.4], np.float32), (1, 3000, 1))
    scores = np.full((1, 3000, 21), 0.001, np.float32)
    scores[0, :, 0] = 0.98
    scores[0, 8, [0, 3]] = 0.05, 0.931
    engine = Exported((scores, boxes), 300)
    made, told = infer_manifest(Path("m.onnx"), engine)
    assert (made.decoding.head, made.decoding.boxes) == ("ssd-raw", "shares")
    assert told[-1].endswith("20 classes, the first is background; boxes are corners in shares")
    box = only(make_decode(made, engine.gives, ())(engine.run(), View(300, 300, 0, 0, 1, 1)))
    assert (box.index, box.x, box.y) == (2, pytest.approx(30), pytest.approx(60))


@pytest.mark.parametrize(
    "shapes",
    [[(1, 10, 4)], [(1, 5, 5, 5)], [(1, 900, 4), (1, 900, 91)], [(1, 900, 4), (1, 800, 9)],
     [(2, 84, 8400)], [(1, 0, 84)], [(1, 25200, 5)], [(1, 8400, 84)] * 3],
)  # fmt: skip
def test_what_no_head_gives_is_shown_raw(shapes: list[tuple[int, ...]]) -> None:
    chance = np.random.default_rng(4)
    outputs = tuple(chance.normal(0, 1, shape).astype(np.float32) for shape in shapes)
    made, told = infer_manifest(Path("m.onnx"), Exported(outputs))
    assert made.task == "raw"
    raw_ssd = shapes == [(1, 900, 4), (1, 900, 91)]
    assert ("anchors only a manifest can name" in told[-1]) == raw_ssd
    assert told[-1].endswith("their statistics are shown")


def test_whole_numbers_without_a_scale_are_shown_raw() -> None:
    output = np.zeros((1, 84, 8400), np.int8)
    assert infer_manifest(Path("m.onnx"), Exported((output,)))[0].task == "raw"
    output[0, 0] = np.linspace(0, 127, 8400)
    made, told = infer_manifest(Path("m.tflite"), Exported((output,), scale=1 / 127))
    assert (made.decoding.head, made.decoding.boxes) == ("yolov8", "shares")
    assert "boxes in shares" in told[-1]


def test_outputs_that_are_no_numbers_are_guessed_as_well() -> None:
    output = np.full((1, 84, 8400), np.nan, np.float32)
    made, _ = infer_manifest(Path("m.onnx"), Exported((output,)))
    assert made.decoding.head == "yolov8"


@pytest.mark.parametrize(
    ("outputs", "side", "colour", "scaling", "padding"),
    [
        ([rows(8400, 84, 640).T], 640, "rgb", (0, 255), 114),
        ([grid_values(8400, 85)], 640, "bgr", (0, 1), 114),  # YOLOX: pixels as OpenCV reads them
        ([np.zeros((1917, 4)), np.full((1917, 91), -9.0)], 300, "rgb", (127.5, 127.5), 0),
        ([np.zeros((10, 4)), np.zeros(10), np.zeros(10), np.zeros(())], 300, "rgb",
         (127.5, 127.5), 0),
    ],
    ids=["yolov8", "yolox", "ssd-raw", "ssd"],
)  # fmt: skip
def test_pixels_become_what_published_models_of_a_head_take(
    outputs: list[Array], side: int, colour: str, scaling: tuple[float, float], padding: int
) -> None:
    outputs = [np.ascontiguousarray(each, np.float32)[None] for each in outputs]
    made, told = infer_manifest(Path("m.onnx"), Exported(tuple(outputs), side))
    eats = made.input
    assert (eats.colour, eats.mean, eats.std) == (colour, scaling[:1], scaling[1:])
    assert eats.padding == padding
    assert ("red, green, blue" in told[1]) == (colour == "rgb")
    assert told[1].endswith("letterboxed on 114" if padding else "letterboxed")
