"""An .onnx file may name other files to be read: none outside its folder, however it hides it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from runtime.engines import EngineOptions, open_engine
from runtime.engines.onnx_outside import check_outside
from runtime.locating import ZOO
from tests.graphs import onnx as graphs
from wire.troubles import Refused


def tensor(location: str) -> TensorProto:
    made = TensorProto(name="stolen", data_type=TensorProto.FLOAT, dims=[1])
    made.data_location = TensorProto.EXTERNAL
    for key, value in (("offset", "0"), ("location", location), ("length", "4")):
        made.external_data.add(key=key, value=value)
    return made


def model(graph: onnx.GraphProto | None = None) -> onnx.ModelProto:
    made: onnx.ModelProto = helper.make_model(graph or onnx.GraphProto(name="g"))
    return made


def constant(location: str) -> onnx.NodeProto:
    made: onnx.NodeProto = helper.make_node("Constant", [], ["x"], value=tensor(location))
    return made


def as_initializer(location: str) -> onnx.ModelProto:
    return model(onnx.GraphProto(name="g", initializer=[tensor(location)]))


def as_constant(location: str) -> onnx.ModelProto:
    return model(onnx.GraphProto(name="g", node=[constant(location)]))


def in_a_loop(location: str) -> onnx.ModelProto:
    body = onnx.GraphProto(name="body", node=[constant(location)])
    return model(onnx.GraphProto(name="g", node=[helper.make_node("Loop", [], ["y"], body=body)]))


def in_a_list_of_graphs(location: str) -> onnx.ModelProto:
    node = helper.make_node("Many", [], ["y"])
    body = onnx.GraphProto(name="body", initializer=[tensor(location)])
    node.attribute.add(name="g", type=onnx.AttributeProto.GRAPHS).graphs.append(body)
    return model(onnx.GraphProto(name="g", node=[node]))


def in_a_list_of_tensors(location: str) -> onnx.ModelProto:
    node = helper.make_node("Many", [], ["y"])
    node.attribute.add(name="t", type=onnx.AttributeProto.TENSORS).tensors.append(tensor(location))
    return model(onnx.GraphProto(name="g", node=[node]))


def as_sparse(location: str) -> onnx.ModelProto:
    made = model()
    made.graph.sparse_initializer.add().values.CopyFrom(tensor(location))
    return made


def in_a_function(location: str) -> onnx.ModelProto:
    made = model()
    made.functions.add(name="f", domain="d").node.append(constant(location))
    return made


def in_training(location: str) -> onnx.ModelProto:
    made = model()
    made.training_info.add().initialization.initializer.append(tensor(location))
    return made


HIDINGS: list[Callable[[str], onnx.ModelProto]] = [
    as_initializer, as_constant, in_a_loop, in_a_list_of_graphs, in_a_list_of_tensors, as_sparse,
    in_a_function, in_training,
]  # fmt: skip


@pytest.mark.parametrize("hide", HIDINGS)
@pytest.mark.parametrize("location", ["../far.bin", "/etc/passwd", "in/../../far.bin", "link.bin"])
def test_a_file_outside_is_refused_by_name(
    tmp_path: Path, hide: Callable[[str], onnx.ModelProto], location: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "far.bin").write_bytes(bytes(4))
    (folder / "link.bin").symlink_to("../far.bin")
    (folder / "m.onnx").write_bytes(hide(location).SerializeToString())
    with pytest.raises(Refused) as told:
        check_outside(folder / "m.onnx")
    assert f"m.onnx: wants to read {location!r}, which is not in its own folder" in str(told.value)


@pytest.mark.parametrize("hide", HIDINGS)
def test_a_file_beside_it_may_be_read(tmp_path: Path, hide: Callable[[str], object]) -> None:
    (tmp_path / "m.onnx").write_bytes(hide("weights.bin").SerializeToString())  # type: ignore[attr-defined]
    check_outside(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "wrap", [lambda node: field(1, node), lambda node: field(1, field(5, field(6, field(1, node))))]
)  # in the graph, or in one that an attribute holds
def test_what_was_compiled_is_native_code(tmp_path: Path, wrap: Callable[[bytes], bytes]) -> None:
    """ONNX Runtime's TensorRT provider would run the plan in such a node."""
    (tmp_path / "m.onnx").write_bytes(field(7, wrap(field(4, b"EPContext"))))
    with pytest.raises(Refused, match=r"m\.onnx: was compiled .*\(EPContext\).*native code"):
        check_outside(tmp_path / "m.onnx")


def test_the_engine_looks_before_it_reads(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "far.bin").write_bytes(np.float32(42).tobytes())
    (tmp_path / "model" / "near.bin").write_bytes(np.float32(41).tobytes())
    path = graphs.outside(tmp_path / "model" / "o.onnx", "../far.bin")
    with pytest.raises(Refused, match=r"'../far.bin', which is not in its own folder"):
        open_engine("onnxruntime", path, EngineOptions(1))
    engine = open_engine(
        "onnxruntime", graphs.outside(tmp_path / "model" / "n.onnx", "near.bin"), EngineOptions(1)
    )
    assert engine.run()[0].tolist() == [41]
    engine.close()


def varint(number: int, least: int = 1) -> bytes:
    """A number in at least so many bytes: more than it needs are allowed."""
    parts = [
        number >> 7 * place & 0x7F for place in range(max(least, -(-number.bit_length() // 7)))
    ]
    return bytes([part | 0x80 for part in parts[:-1]] + parts[-1:])


def field(number: int, content: bytes, least: int = 1) -> bytes:
    return varint(number << 3 | 2, least) + varint(len(content), least) + content


def test_unusual_spellings_are_read_as_well(tmp_path: Path) -> None:
    """Numbers longer than they need be, the value before the key, an earlier key overruled."""
    entry = field(2, b"../far.bin", 3) + field(1, b"nothing") + field(1, b"location", 4)
    content = field(7, field(5, field(13, entry, 2), 5), 3)
    (tmp_path / "m.onnx").write_bytes(content)
    onnx.ModelProto.FromString(content)  # as everybody reads it
    with pytest.raises(Refused, match=r"'../far\.bin'"):
        check_outside(tmp_path / "m.onnx")


GROUP = bytes([99 << 3 & 0x7F | 3 | 0x80, 99 >> 4])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello\n" * 9,
        field(7, b"\x2a\x7f"),
        GROUP,
        field(7, b"\xff" * 12),
        b"\x3a\xff\xff\xff",
    ],
)
def test_what_cannot_be_looked_through_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(Refused, match="no ONNX model, or a damaged one"):
        check_outside(tmp_path / "m.onnx")


def test_a_model_in_a_model_in_a_model_has_an_end(tmp_path: Path) -> None:
    content = b""
    for _ in range(5_000):  # graph, node, attribute: a graph again
        content = field(1, field(5, field(6, content)))
    (tmp_path / "m.onnx").write_bytes(field(7, content))
    with pytest.raises(Refused, match="no ONNX model"):
        check_outside(tmp_path / "m.onnx")


def test_real_models_pass(tmp_path: Path) -> None:
    graphs.mobilenet_v2(tmp_path / "m.onnx")
    check_outside(tmp_path / "m.onnx")
    for path in ZOO.rglob("*.onnx"):
        check_outside(path)
