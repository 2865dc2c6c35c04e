"""The graphs that tests and benchmarks use are what they claim to be, in the engines themselves."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto

from tests.graphs import cached, mobilenet, numbers, onnx, onnx_network, tflite, tflite_network
from tests.graphs.bare import run_onnx, run_tflite
from tests.graphs.network import Network, Node
from tests.graphs.numbers import Array
from tests.graphs.onnx_file import OnnxFile
from tests.graphs.tflite_file import File

NAMES: dict[tuple[str, ...], tuple[str, ...]] = {
    tflite.TF1_ORDER: (
        "TFLite_Detection_PostProcess",
        "TFLite_Detection_PostProcess:1",
        "TFLite_Detection_PostProcess:2",
        "TFLite_Detection_PostProcess:3",
    ),
    tflite.TF2_ORDER: tuple(f"StatefulPartitionedCall:{n}" for n in range(4)),
}
PURE = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def stored_as(dtype: str, pixels: Array) -> Array:
    """uint8 pixels as a model that takes `dtype` over 0 to 1 wants them."""
    if dtype == "float32":
        return (pixels / 255).astype(np.float32)
    return pixels if dtype == "uint8" else (pixels ^ 0x80).view(np.int8)


def painted(colour: tuple[int, int, int], size: int = 32) -> Array:
    return np.full((1, size, size, 3), colour, np.uint8)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
def test_mobilenet_tflite_agrees_with_its_float_network(tmp_path: Path, dtype: str) -> None:
    known = tflite.mobilenet_v2(tmp_path / "m.tflite", dtype=dtype, head="logits")
    picture: Array = known.picture
    if dtype != "float32":
        picture = mobilenet.INPUT.store(picture)
    if dtype == "uint8":
        picture = (picture.view(np.uint8)) ^ 0x80
    (logits,) = run_tflite(tmp_path / "m.tflite", picture)
    assert np.corrcoef(logits.ravel(), known.logits.ravel())[0, 1] > 0.98
    assert logits.argmax() == known.logits.argmax()


def test_mobilenet_tflite_gives_probabilities(tmp_path: Path) -> None:
    known = tflite.mobilenet_v2(tmp_path / "m.tflite", size=96, classes=10)
    (likely,) = run_tflite(tmp_path / "m.tflite", mobilenet.INPUT.store(known.picture))
    assert np.abs(likely - numbers.softmax(known.logits)).max() < 0.1
    assert likely.argmax() == known.logits.argmax()


def test_mobilenet_onnx_agrees_with_its_float_network(tmp_path: Path) -> None:
    known = onnx.mobilenet_v2(tmp_path / "m.onnx")
    picture = np.ascontiguousarray(known.picture.transpose(0, 3, 1, 2))
    (logits,) = run_onnx(tmp_path / "m.onnx", picture)
    assert logits.shape == (1, 1000)
    assert np.corrcoef(logits.ravel(), known.logits.ravel())[0, 1] > 0.98
    assert logits.argmax() == known.logits.argmax()


def test_mobilenet_onnx_of_bytes_is_the_same_network(tmp_path: Path) -> None:
    known = onnx.mobilenet_v2(tmp_path / "m.onnx", size=96, classes=10)
    onnx.mobilenet_v2(tmp_path / "b.onnx", size=96, classes=10, dtype="uint8")
    picture = np.ascontiguousarray(known.picture.transpose(0, 3, 1, 2))
    stored = (mobilenet.INPUT.store(known.picture).astype(np.int16) + 128).astype(np.uint8)
    (wanted,) = run_onnx(tmp_path / "m.onnx", picture)
    (found,) = run_onnx(tmp_path / "b.onnx", stored)
    assert np.abs(found - wanted).max() < 0.03 and np.ptp(wanted) > 5  # a step of eight bits


@pytest.mark.parametrize("size", [12, 13])
@pytest.mark.parametrize("layer", ["conv-1", "conv-2", "depthwise-1", "depthwise-2"])
def test_single_layers_are_the_same_in_float_and_in_both_files(
    tmp_path: Path, layer: str, size: int
) -> None:
    kind, stride = layer.split("-")

    def built(net: Network, x: Node) -> Node:
        if kind == "conv":
            return net.conv(x, 5, size=3, stride=int(stride))
        return net.depthwise(x, int(stride))

    sample = mobilenet.picture(size, 0)
    file = File()
    graph = file.graph()
    start = graph.input("input", sample.shape, "int8", mobilenet.INPUT)
    end = built(Network(tflite_network.Layers(graph), 1), Node(start, sample, mobilenet.INPUT))
    path = file.save(tmp_path / "l.tflite", [end.handle])
    (answer,) = run_tflite(path, mobilenet.INPUT.store(sample))
    assert np.abs(answer - end.sample).max() < 3 * end.scaling.scale

    other = OnnxFile()
    layers = onnx_network.Layers(other)
    turned = sample.transpose(0, 3, 1, 2)
    other.input("input", turned.shape, TensorProto.FLOAT)
    start_name = layers.stored("input", mobilenet.INPUT)
    last = built(Network(layers, 1), Node(start_name, sample, mobilenet.INPUT))
    other.output(last.handle, last.sample.transpose(0, 3, 1, 2).shape, TensorProto.FLOAT)
    (answer,) = run_onnx(other.save(tmp_path / "l.onnx"), np.ascontiguousarray(turned))
    assert np.abs(answer.transpose(0, 2, 3, 1) - end.sample).max() < 3 * end.scaling.scale


def test_constants_lie_where_the_schema_wants_them(tmp_path: Path) -> None:
    tflite.mobilenet_v2(tmp_path / "m.tflite", size=32, classes=3)
    content = np.frombuffer((tmp_path / "m.tflite").read_bytes(), np.uint8)
    model = schema.Model.GetRootAsModel(content, 0)
    constants = [model.Buffers(n) for n in range(model.BuffersLength())]
    offsets = {
        (constant.DataAsNumpy().ctypes.data - content.ctypes.data) % 16
        for constant in constants
        if not constant.DataIsNone()
    }
    assert offsets == {0}


@pytest.mark.parametrize(
    ("name", "build", "parts"), [("m.tflite", tflite.mobilenet_v2, 1), ("s.tflite", tflite.ssd, 2)]
)
def test_timing_models_run_in_xnnpack(
    name: str, build: Callable[[Path], object], parts: int
) -> None:
    interpreter = Interpreter(str(cached(name, build)), num_threads=1)
    interpreter.allocate_tensors()
    operators = interpreter._get_ops_details()
    delegates = [op for op in operators if op["op_name"] == "DELEGATE"]
    taken = {int(tensor) for op in delegates for tensor in op["inputs"]}
    weighted = [op for op in operators if "CONV" in op["op_name"] or "FULLY" in op["op_name"]]
    assert len(weighted) > 50
    assert all(int(tensor) in taken for op in weighted for tensor in op["inputs"][1:])
    # an operator in the middle that XNNPACK refused would cut its graph into more parts
    assert len(delegates) == parts


def test_ssd_finds_boxes_of_the_right_shape() -> None:
    path = cached("s.tflite", tflite.ssd)
    picture = mobilenet.INPUT.store(mobilenet.picture(320, 0))
    boxes, classes, scores, count = run_tflite(path, picture)
    assert (boxes.shape, classes.shape, scores.shape) == ((1, 10, 4), (1, 10), (1, 10))
    assert count == [10.0]
    assert np.all(np.diff(scores[0]) <= 0)
    assert 0.05 < scores[0, 0] <= 1
    assert set(classes[0]) <= set(range(90))
    assert np.all(boxes[0, :, 2:] > boxes[0, :, :2])


@pytest.mark.parametrize("order", [tflite.TF1_ORDER, tflite.TF2_ORDER])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
def test_ssd_known_finds_the_painted_cells(
    tmp_path: Path, dtype: str, order: tuple[str, ...]
) -> None:
    tflite.ssd_known(tmp_path / "s.tflite", dtype=dtype, order=order)
    pixels = painted((128, 128, 128), 96)
    pixels[0, 24:48, 0:24] = (255, 0, 0)
    pixels[0, 72:96, 48:72] = (0, 0, 204)
    pixels[0, 0:24, 72:84] = (0, 255, 0)  # half a cell
    found = dict(
        zip(order, run_tflite(tmp_path / "s.tflite", stored_as(dtype, pixels)), strict=True)
    )
    assert found["count"] == [3.0]
    outputs = Interpreter(str(tmp_path / "s.tflite")).get_output_details()
    assert tuple(detail["name"] for detail in outputs) == NAMES[order]
    assert found["classes"][0, :3].tolist() == [0, 2, 1]
    assert found["scores"][0, :3] == pytest.approx([1.0, 0.8, 0.5], abs=0.01)
    expected = np.array([(0.25, 0, 0.5, 0.25), (0.75, 0.5, 1, 0.75), (0, 0.75, 0.25, 1)])
    assert found["boxes"][0, :3] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("head", ["logits", "probabilities"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
@pytest.mark.parametrize("colour", PURE)
def test_colours_tflite(tmp_path: Path, colour: str, dtype: str, head: str) -> None:
    path = tflite.colours(tmp_path / "c.tflite", dtype=dtype, head=head)
    (answer,) = run_tflite(path, stored_as(dtype, painted(PURE[colour])))
    check_colours(answer, colour, head)


@pytest.mark.parametrize("head", ["logits", "probabilities"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("colour", PURE)
def test_colours_onnx(tmp_path: Path, colour: str, dtype: str, layout: str, head: str) -> None:
    path = onnx.colours(tmp_path / "c.onnx", dtype=dtype, head=head, layout=layout)
    pixels = stored_as(dtype, painted(PURE[colour]))
    if layout == "NCHW":
        pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    (answer,) = run_onnx(path, pixels)
    check_colours(answer, colour, head)


def check_colours(answer: Array, colour: str, head: str) -> None:
    expected = np.full((1, 3), -2.0)
    expected[0, tflite.COLOURS.index(colour)] = 4.0
    if head == "probabilities":
        expected = numbers.softmax(expected)
    assert answer == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32", "int64", "bool"])
def test_echo_gives_back_what_it_got(
    tmp_path: Path, dtype: str, layout: str, channels: int
) -> None:
    shape = (1, channels, 5, 7) if layout == "NCHW" else (1, 5, 7, channels)
    content = np.random.default_rng(3).integers(0, 256, shape).astype(dtype)
    path = tflite.echo(tmp_path / "e.tflite", 7, 5, channels, dtype, layout)
    assert np.array_equal(run_tflite(path, content)[0], content)
    path = onnx.echo(tmp_path / "e.onnx", 7, 5, channels, dtype, layout)
    assert np.array_equal(run_onnx(path, content)[0], content)


def test_echo_keeps_its_scaling(tmp_path: Path) -> None:
    path = tflite.echo(tmp_path / "e.tflite", dtype="int8", scaling=numbers.Scaling(0.5, -3))
    (answer,) = run_tflite(path, np.full((1, 6, 8, 3), 7, np.int8))
    assert np.all(answer == 5.0)


def test_two_inputs_add_up(tmp_path: Path) -> None:
    sides = np.full((1, 8, 8, 3), 2, np.float32), np.full((1, 8, 8, 3), 5, np.float32)
    (total,) = run_tflite(tflite.two_inputs(tmp_path / "t.tflite"), *sides)
    assert np.all(total == 7)
    turned = [side.transpose(0, 3, 1, 2) for side in sides]
    (total,) = run_onnx(onnx.two_inputs(tmp_path / "t.onnx"), *turned)
    assert np.all(total == 7)


def test_open_dimensions_are_open(tmp_path: Path) -> None:
    for path, shape in (
        (tflite.open_batch(tmp_path / "b.tflite"), (2, 8, 8, 3)),
        (tflite.open_size(tmp_path / "s.tflite"), (1, 9, 4, 3)),
    ):
        interpreter = Interpreter(str(path))
        assert -1 in interpreter.get_input_details()[0]["shape_signature"]
        interpreter.resize_tensor_input(0, shape, strict=True)
        interpreter.allocate_tensors()
        interpreter.invoke()
        assert interpreter.get_output_details()[0]["shape"][0] == shape[0]
    assert run_onnx(onnx.open_batch(tmp_path / "b.onnx"), np.ones((2, 3, 8, 8), np.float32))
    (mean,) = run_onnx(onnx.open_size(tmp_path / "s.onnx"), np.ones((1, 3, 9, 4), np.float32))
    assert mean.tolist() == [[1, 1, 1]]


def test_unknown_operators_are_refused_by_the_engines(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="NobodyKnowsThisOp"):
        Interpreter(str(tflite.unknown_op(tmp_path / "u.tflite"))).allocate_tensors()
    with pytest.raises(Exception, match="Mystery"):
        run_onnx(onnx.unknown_op(tmp_path / "u.onnx"))


def test_poison_comes_out(tmp_path: Path) -> None:
    values = (np.nan, 1.0, np.inf)
    path = tflite.poisoned(tmp_path / "p.tflite", values)
    (answer,) = run_tflite(path, np.ones((1, 8, 8, 3), np.float32))
    assert np.array_equal(answer[0], values, equal_nan=True)
    path = onnx.poisoned(tmp_path / "p.onnx", values)
    (answer,) = run_onnx(path, np.ones((1, 3, 8, 8), np.float32))
    assert np.array_equal(answer[0], values, equal_nan=True)


def test_packed_labels_are_a_zip_at_the_end_of_a_working_model(tmp_path: Path) -> None:
    path = tflite.colours(tmp_path / "c.tflite")
    tflite.pack_labels(path, tflite.COLOURS)
    with zipfile.ZipFile(path) as archive:
        assert archive.read("labels.txt") == b"red\ngreen\nblue\n"
    (answer,) = run_tflite(path, painted(PURE["green"]))
    check_colours(answer, "green", "probabilities")


@pytest.mark.parametrize(
    "build",
    [tflite.mobilenet_v2, tflite.ssd, tflite.ssd_known, tflite.colours, onnx.mobilenet_v2],
)
def test_the_same_seed_gives_the_same_bytes(
    tmp_path: Path, build: Callable[[Path], object]
) -> None:
    build(tmp_path / "a")
    build(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_another_seed_gives_another_model(tmp_path: Path) -> None:
    tflite.mobilenet_v2(tmp_path / "a", size=32, classes=2, seed=0)
    tflite.mobilenet_v2(tmp_path / "b", size=32, classes=2, seed=1)
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()


def test_cached_builds_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.graphs._folder", lambda: tmp_path)
    built: list[Path] = []

    def build(path: Path) -> None:
        built.append(path)
        path.write_bytes(b"model")

    assert cached("m.tflite", build) == cached("m.tflite", build) == tmp_path / "m.tflite"
    assert len(built) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["m.tflite"]
