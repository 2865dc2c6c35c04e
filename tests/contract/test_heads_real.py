"""Real tensors in every head's format: the zoo's detector, rewritten, finds the same boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from models import manifest
from models.manifest import Decoding, Manifest
from runtime.cameras import open_camera
from runtime.engines import Engine, EngineOptions, TensorSpec
from runtime.frames import Frame
from runtime.locating import ZOO, locate
from runtime.loop import Model
from runtime.opening import open_model
from runtime.score import Score, corners
from runtime.tasks import Box, Found, View
from runtime.tasks.detect import make_decode
from runtime.tasks.overlap import overlaps
from tests.graphs.onnx_heads import AS, yolov8_int8
from wire.troubles import Unavailable

FOLDER = ZOO / "digits-detect" / "onnx"
SCENE = "synthetic://640x480?digits=6"
SCENES = 12
ONE_THREAD = EngineOptions(threads=1)


def rewritten(folder: Path, name: str, **said: Any) -> Path:
    """A model folder of the detector in another head's format."""
    build, decoding = AS[name]
    build(folder / "digits-detect.onnx")
    whole = msgspec.structs.replace(
        manifest.load(FOLDER),
        outputs=(),
        golden=(),
        decoding=msgspec.convert({**kept(), **decoding, **said}, Decoding),
    )
    (folder / "labels.txt").write_bytes((FOLDER / "labels.txt").read_bytes())
    manifest.write(folder, whole)
    return folder


def kept() -> dict[str, Any]:
    """The threshold of the zoo's model; only the best class of a cell, as other heads find it."""
    return {"min_score": 0.3, "max_overlap": 0.45, "nms": "class-agnostic"}


def opened(folder: Path) -> Model:
    try:
        with locate(folder) as located:
            return open_model(located, ONE_THREAD)
    except Unavailable as trouble:
        pytest.skip(str(trouble))


def found_by(model: Model, frame: Frame) -> Found:
    view = model.prepare(frame, model.engine.input())
    return model.decode(model.engine.run(), view)


def same(found: Found, expected: Found) -> None:
    got = [(b.index, b.score, b.x, b.y, b.width, b.height) for b in found if isinstance(b, Box)]
    want = [(b.index, b.score, b.x, b.y, b.width, b.height) for b in expected if isinstance(b, Box)]
    assert got == [pytest.approx(each, abs=2e-2, rel=1e-4) for each in want]


@pytest.mark.parametrize("name", AS)
def test_every_head_finds_what_the_zoos_finds(name: str, tmp_path: Path) -> None:
    """Through the whole of it: a letterboxed camera, ONNX Runtime, boxes in source pixels."""
    whole = manifest.load(FOLDER)
    model = opened(rewritten(tmp_path, name))
    original = opened(FOLDER)
    alike = msgspec.structs.replace(whole, decoding=Decoding("fcos", **kept()))
    by_fcos = make_decode(alike, original.engine.gives, original.labels)
    score = Score()
    with open_camera(SCENE) as camera:
        for _ in range(SCENES):
            frame = camera.read(1)
            assert frame is not None
            with frame:
                found = found_by(model, frame)
                view = original.prepare(frame, original.engine.input())
                expected = by_fcos(original.engine.run(), view)
                same(found, expected)
                score.add(found, camera.truth(frame.seq))  # type: ignore[attr-defined]
    assert len(expected) >= 3
    assert (score.value() or 0) > 0.98
    for each in (model, original):
        each.engine.close()


def end_to_end(boxes: list[Box]) -> tuple[Any, ...]:
    """As YOLOv10 gives them: the best first, then rows of nothing."""
    rows = np.zeros((1, 300, 6), np.float32)
    for place, box in enumerate(boxes):
        corners = (box.x, box.y, box.x + box.width, box.y + box.height)
        rows[0, place] = (*corners, box.score, box.index)
    return (rows,)


def post_processed(boxes: list[Box]) -> tuple[Any, ...]:
    """As TFLite's op gives them: in shares, top first."""
    corners, kinds, scores = np.zeros((1, 25, 4)), np.zeros((1, 25)), np.zeros((1, 25))
    for place, box in enumerate(boxes):
        edges = (box.y / 120, box.x / 160, (box.y + box.height) / 120, (box.x + box.width) / 160)
        corners[0, place], kinds[0, place], scores[0, place] = edges, box.index, box.score
    outputs = (corners, kinds, scores, np.array([len(boxes)]))
    return tuple(each.astype(np.float32) for each in outputs)


@pytest.mark.parametrize(("head", "write"), [("yolov10", end_to_end), ("ssd", post_processed)])
def test_heads_that_suppress_themselves_find_it_too(head: str, write: Any) -> None:
    model = opened(FOLDER)
    decoding = Decoding(head, min_score=0.3)  # type: ignore[arg-type]
    after = msgspec.structs.replace(model.manifest, decoding=decoding)
    with open_camera(SCENE) as camera:
        for _ in range(SCENES):
            frame = camera.read(1)
            assert frame is not None
            with frame:
                view = model.prepare(frame, model.engine.input())
            outputs = model.engine.run()
            tensor = View(160, 120, 0, 0, 1, 1)
            found = [each for each in model.decode(outputs, tensor) if isinstance(each, Box)]
            written = write(found)
            gives = Given(written).gives
            same(
                make_decode(after, gives, model.labels)(written, view), model.decode(outputs, view)
            )
    assert len(found) >= 3
    model.engine.close()


@pytest.mark.parametrize("name", ["yolov8 in rows", "corners"])
def test_quantised_outputs_find_the_same(name: str, tmp_path: Path) -> None:
    """int16, since one scale for pixels and scores leaves eight bits no room; shares have it."""
    model = opened(rewritten(tmp_path, name))
    dtype, scale = ("int16", 1 / 2**14) if "rows" in name else ("int16", 1 / 128)
    limits = np.iinfo(dtype)
    specs = tuple(TensorSpec(s.name, s.shape, dtype, scale, 0) for s in model.engine.gives)
    decode = make_decode(model.manifest, specs, model.labels)
    with open_camera(SCENE) as camera:
        for _ in range(3):
            frame = camera.read(1)
            assert frame is not None
            with frame:
                view = model.prepare(frame, model.engine.input())
            outputs = model.engine.run()
            stored = tuple(
                np.clip(np.rint(each / scale), limits.min, limits.max).astype(dtype)
                for each in outputs
            )
            expected: Any = model.decode(outputs, view)
            found: Any = decode(stored, view)
            assert [box.index for box in found] == [box.index for box in expected]
            for got, want in zip(found, expected, strict=True):
                assert got.score == pytest.approx(want.score, abs=scale)
                assert (got.x, got.y) == pytest.approx((want.x, want.y), abs=0.2)
    model.engine.close()


def test_an_int8_model_whose_scale_the_manifest_tells(tmp_path: Path) -> None:
    """Eight bits move an edge by half a pixel of 160; ONNX Runtime does not tell the scale."""
    folder = rewritten(tmp_path, "yolov8", boxes="shares")
    yolov8_int8(folder / "digits-detect.onnx")
    output = manifest.Output("out", (1, 14, 300), "int8", 1 / 255, -128)
    manifest.write(folder, msgspec.structs.replace(manifest.load(folder), outputs=(output,)))
    model, original = opened(folder), opened(FOLDER)
    score = Score()
    with open_camera(SCENE) as camera:
        for _ in range(SCENES):
            frame = camera.read(1)
            assert frame is not None
            with frame:
                found, expected = found_by(model, frame), found_by(original, frame)
                for box in found:
                    assert isinstance(box, Box)
                    near = [each for each in expected if isinstance(each, Box)
                            and each.index == box.index
                            and overlaps(corners(each), corners(box)[None])[0] > 0.8]  # fmt: skip
                    assert near
                score.add(found, camera.truth(frame.seq))  # type: ignore[attr-defined]
    assert (score.value() or 0) > 0.98
    for one in (model, original):
        one.engine.close()


class Given:
    """An engine whose outputs were made beforehand."""

    takes = TensorSpec("input", (1, 1, 120, 160), "float32")

    def __init__(self, outputs: tuple[Any, ...]) -> None:
        self.outputs = outputs
        self.gives = tuple(
            TensorSpec(f"out{i}", each.shape, each.dtype.name) for i, each in enumerate(outputs)
        )

    def input(self) -> Any: ...
    def close(self) -> None: ...
    def run(self) -> Any:
        return self.outputs


@pytest.mark.parametrize("name", AS)
def test_a_bare_file_is_understood_where_its_shapes_allow(name: str, tmp_path: Path) -> None:
    """Beside its labels; offsets need anchors that no file tells."""
    AS[name][0](tmp_path / "bare.onnx")
    (tmp_path / "labels.txt").write_bytes((FOLDER / "labels.txt").read_bytes())
    model = opened(tmp_path / "bare.onnx")
    model.engine.close()
    made: Manifest = model.manifest
    if name == "ssd-raw":
        assert made.task == "raw"
        return
    said = msgspec.convert(AS[name][1], Decoding)
    assert (made.task, made.decoding.head) == ("detect", said.head)
    assert made.decoding.boxes == said.boxes
    (line,) = (each for each in model.guesses if f"head {said.head}" in each)
    assert "10 classes" in line


def test_scales_that_the_engine_cannot_tell_come_from_the_manifest(tmp_path: Path) -> None:
    """ONNX Runtime gives int8 outputs without their scale."""
    values = np.zeros((1, 14, 300), np.int8)
    values[0, :4, 7] = 64  # a half, of 1/128
    values[0, 4 + 3, 7] = 115
    engine: Engine = Given((values,))
    whole = msgspec.structs.replace(
        manifest.load(FOLDER),
        outputs=(manifest.Output("out0", (1, 14, 300), "int8", 1 / 128, 0),),
        decoding=Decoding("yolov8", min_score=0.5, boxes="shares"),
    )
    (box,) = make_decode(whole, engine.gives, ())(engine.run(), View(160, 120, 0, 0, 1, 1))
    assert isinstance(box, Box)
    assert (box.index, box.x, box.width) == (3, 40, 80)
    assert box.score == pytest.approx(115 / 128)
