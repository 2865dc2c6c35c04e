"""ONNX models as .tflite and as slim .onnx, and what is refused of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from tests.laws.sources import ROOT
from tests.workshop.proven import NEAR, largest_difference
from tests.workshop.torch_networks import SIDE, Joined, MobileNet, seeded
from wire.troubles import Refused
from workshop.reading import Format, Read, Request
from workshop.reading.onnx import step

SHAPE = (1, 3, SIDE, SIDE)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mobilenet.onnx by torch.onnx with an open batch, joined.onnx by its older exporter."""
    folder = tmp_path_factory.mktemp("sources")
    given = torch.rand(2, *SHAPE[1:])
    torch.onnx.export(
        seeded(MobileNet), (given,), str(folder / "mobilenet.onnx"), external_data=False,
        dynamo=True, dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False,
    )  # fmt: skip
    torch.onnx.export(
        seeded(Joined), (given[:1],), str(folder / "joined.onnx"), dynamo=False, opset_version=12
    )
    return folder


def read(path: Path, to: Format, into: Path, **more: Any) -> Read:
    return step(Request("onnx", str(path), to, str(into), **more))


@pytest.mark.parametrize("to", ["tflite", "onnx"])
@pytest.mark.parametrize("name", ["mobilenet", "joined"])
def test_it_answers_as_onnx_runtime_does(
    sources: Path, tmp_path: Path, name: str, to: Format
) -> None:
    made = read(sources / f"{name}.onnx", to, tmp_path)
    assert largest_difference(made) <= NEAR
    assert made.takes[0].shape == SHAPE
    assert [each.name for each in tmp_path.iterdir() if each.suffix == f".{to}"] == [f"model.{to}"]
    if to == "onnx":
        written = onnx.load(made.file)
        assert written.opset_import[0].version == 17
        assert written.ir_version == 8
        assert str(ROOT) not in str(written)  # where it was made is nobody's business


def small(nodes: list[Any], constants: dict[str, Any], **model: Any) -> onnx.ModelProto:
    """x (?, 2, 4, 4) -> y, of these nodes."""
    graph = helper.make_graph(
        nodes, "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", model.pop("opset", 13))]
    opsets += [helper.make_opsetid("my.own", 1)]
    made = helper.make_model(graph, opset_imports=opsets)
    made.ir_version = 8
    return made


def test_what_it_does_first_and_its_labels_are_told(tmp_path: Path) -> None:
    """Ultralytics writes its labels as a dict of Python's; scaling by channels, planes apart."""
    constants = {"m": np.float32([1, 2]).reshape(2, 1, 1), "s": np.float32(1 / 255)}
    model = small(
        [helper.make_node("Mul", ["x", "s"], ["a"]), helper.make_node("Sub", ["a", "m"], ["y"])],
        constants,
    )
    helper.set_model_props(model, {"names": "{0: 'cat', 1: 'dog'}", "author": "somebody"})
    onnx.save(model, tmp_path / "own.onnx")
    made = read(tmp_path / "own.onnx", "onnx", tmp_path)
    assert made.labels == ("cat", "dog")
    assert made.in_graph == ("inputs times 0.00392157, plus (-1, -2)",)
    with np.load(made.reference) as reference:
        assert reference["in0"].max() > 200  # it was asked as it will be: with pixels
    assert largest_difference(made) <= NEAR


@pytest.mark.parametrize("opset", [9, 13, 18, 21])
def test_opsets_are_brought_to_one_that_old_runtimes_read(tmp_path: Path, opset: int) -> None:
    axes = {"axes": np.int64([2, 3])} if opset >= 18 else {}
    attributes = {} if opset >= 18 else {"axes": [2, 3]}
    model = small(
        [helper.make_node("ReduceMean", ["x", *axes], ["y"], keepdims=0, **attributes)],
        axes, opset=opset,
    )  # fmt: skip
    onnx.save(model, tmp_path / "own.onnx")
    made = read(tmp_path / "own.onnx", "onnx", tmp_path)
    assert largest_difference(made) <= NEAR
    assert onnx.load(made.file).opset_import[0].version == 17
    assert f"brought from opset {opset} to 17" in made.steps


def quantised() -> onnx.ModelProto:
    constants = {"s": np.float32(0.1), "z": np.uint8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="first"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    return small(nodes, constants)


def with_open_sizes() -> onnx.ModelProto:
    model = small([helper.make_node("Relu", ["x"], ["y"])], {})
    for place in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[place].dim_param = f"side{place}"
    return model


def with_two_inputs() -> onnx.ModelProto:
    model = small([helper.make_node("Add", ["x", "w"], ["y"])], {})
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [1]))
    return model


REFUSED = {
    "quantised": (quantised, "quantised already .QuantizeLinear at first.: give the float32"),
    "open": (with_open_sizes, r"leaves sizes .* open, .*--input-shape 1,2,HEIGHT,WIDTH"),
    "two": (with_two_inputs, r"has 2 inputs \(x, w\)"),
    "foreign": (
        lambda: small([helper.make_node("Own", ["x"], ["y"], "odd", domain="my.own")], {}),
        r"operator my.own.Own \(layer odd\) is no operator of ONNX",
    ),
    "half": (
        lambda: small([helper.make_node("Cast", ["h"], ["y"], to=1)], {"h": np.float16([1])}),
        r"weights in float16 \(h\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_told_with_a_way_out(tmp_path: Path, case: str) -> None:
    make, says = REFUSED[case]
    onnx.save(make(), tmp_path / "own.onnx")
    with pytest.raises(Refused, match=says):
        read(tmp_path / "own.onnx", "onnx", tmp_path)


def test_open_sizes_are_taken_from_the_user(tmp_path: Path) -> None:
    onnx.save(with_open_sizes(), tmp_path / "own.onnx")
    made = read(tmp_path / "own.onnx", "onnx", tmp_path, input_shape=(1, 2, 6, 8))
    assert made.takes[0].shape == made.gives[0].shape == (1, 2, 6, 8)
    assert largest_difference(made) <= NEAR


def test_an_operator_that_tflite_cannot_have_is_named_with_its_layer(tmp_path: Path) -> None:
    onnx.save(small([helper.make_node("Det", ["x"], ["y"], "turns")], {}), tmp_path / "own.onnx")
    with pytest.raises(Refused, match=r"no operator Det \(layer turns\): try --to onnx"):
        read(tmp_path / "own.onnx", "tflite", tmp_path)


def test_a_damaged_file_and_constants_that_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "own.onnx").write_bytes(b"\x08\x08\x3a\x02\x12\x00")
    with pytest.raises(Refused, match=r"own.onnx: is no"):
        read(tmp_path / "own.onnx", "onnx", tmp_path)
    model = small([helper.make_node("Add", ["x", "w"], ["y"])], {"w": np.ones(4, np.float32)})
    constant = model.graph.initializer[0]
    constant.ClearField("raw_data")
    constant.data_location = TensorProto.EXTERNAL
    constant.external_data.add(key="location", value="../elsewhere")
    (tmp_path / "own.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(Refused, match=r"wants to read '../elsewhere'"):
        read(tmp_path / "own.onnx", "onnx", tmp_path)
