"""Layers of two networks: paired by name or order, and how far apart their tensors are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from wire.troubles import Refused, Unavailable
from workshop.comparing import layers_onnx, layers_tflite
from workshop.comparing.differences import Network, Pair, Step, Tensor, compare
from workshop.comparing.results import Layers

ZOO = Path(__file__).resolve().parents[2] / "models" / "zoo"
QDQ = ZOO / "digits" / "onnx" / "digits.onnx"
TFLITE = ZOO / "digits" / "tflite" / "digits.tflite"


def network(factors: dict[str, float], ops: str = "") -> Network:
    """Each layer multiplies the input by its factor. ops: a letter for each, in their order."""
    steps = [
        Step(name, ops[place] if ops else name[0], name) for place, name in enumerate(factors)
    ]  # fmt: skip

    def run(tensor: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        return {name: tensor * factors[name] for name in names}

    return Network(steps, run)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    file = tmp_path / "inputs.npy"
    np.save(file, np.random.default_rng(0).normal(size=(3, 1, 4)))
    return Pair("", "", str(file), str(file))


def test_noise_of_a_tenth_is_20_decibels(pair: Pair) -> None:
    seen = compare(network({"a": 1, "b": 2}), network({"a": 1.1, "b": 2}), pair)
    assert [each.name for each in seen.layers] == ["a", "b"]
    assert seen.layers[0].sqnr_db == pytest.approx(20) and seen.layers[1].sqnr_db is None
    assert [each.cosine for each in seen.layers] == [pytest.approx(1), pytest.approx(1)]
    assert (seen.matched, seen.samples, seen.unmatched) == ("names", 3, 0)


def test_layers_of_other_names_are_found_by_their_order(pair: Pair) -> None:
    one = network({"c1": 1, "r1": 1, "c2": 1, "x": 1}, "crcx")
    other = network({"k": 1, "l": 2, "m": -1, "n": 1}, "crqc")
    seen = compare(one, other, pair)
    assert seen.matched == "order of operators" and seen.unmatched == 1
    assert [(each.name, each.cosine) for each in seen.layers] == [
        ("c1", pytest.approx(1)), ("r1", pytest.approx(1)), ("c2", pytest.approx(1)),
    ]  # fmt: skip


def test_networks_that_share_no_layer_say_so(pair: Pair) -> None:
    seen = compare(network({"a": 1}, "c"), network({"b": 1}, "d"), pair)
    assert seen.layers == () and "found again" in (seen.why_not or "")


def test_numbers_that_are_none_tell_nothing(pair: Pair) -> None:
    seen = compare(network({"a": float("inf"), "b": 1}), network({"a": 1, "b": 1}), pair)
    assert [each.name for each in seen.layers] == ["b"] and seen.unmatched == 1


def float_twin(path: Path) -> Path:
    """The zoo's Q/DQ network as it was before: real weights, and nothing rounds on the way."""
    model = onnx.load(QDQ)
    graph = model.graph
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    quantized = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "QuantizeLinear"}
    renamed: dict[str, str] = {}
    kept = []
    for node in graph.node:
        if node.op_type == "QuantizeLinear":
            continue
        if node.op_type != "DequantizeLinear":
            kept.append(node)
        elif node.input[0] in quantized:
            renamed[node.output[0]] = quantized[node.input[0]]
        else:
            stored, scale = (arrays[name].astype(np.float32) for name in node.input[:2])
            shape = [-1] + [1] * (stored.ndim - 1) if scale.ndim else []
            real = stored * scale.reshape(shape)
            graph.initializer.append(numpy_helper.from_array(real, node.output[0]))
    for node in kept:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
    given = {output.name for output in graph.output}
    for node in kept:  # what the last DequantizeLinear gave is now given by what was before it
        for old, new in renamed.items():
            if old in given and new in node.output:
                node.output[list(node.output).index(new)] = old
    del graph.node[:]
    graph.node.extend(kept)
    onnx.save(model, path)
    return path


def inputs(path: Path, shape: tuple[int, ...], dtype: str) -> str:
    dice = np.random.default_rng(1)
    real = dice.random((4, *shape)) if dtype == "float32" else dice.integers(-128, 128, (4, *shape))
    np.save(path, real.astype(dtype))
    return str(path)


def test_an_int8_onnx_beside_its_float_twin(tmp_path: Path) -> None:
    same = inputs(tmp_path / "x.npy", (1, 1, 48, 48), "float32")
    seen: Layers = layers_onnx.step(
        Pair(str(float_twin(tmp_path / "f.onnx")), str(QDQ), same, same)
    )
    assert seen.why_not is None and seen.matched == "names" and seen.unmatched == 0
    ops = [each.op for each in seen.layers]
    assert ops.count("Conv") == 6 and "DequantizeLinear" not in ops
    noises = [each.sqnr_db for each in seen.layers]
    assert all(noise is not None and 5 < noise < 60 for noise in noises), noises
    assert seen.layers[0].shape == (1, 16, 24, 24)
    twin = layers_onnx.step(Pair(str(QDQ), str(QDQ), same, same))
    assert all(each.sqnr_db is None and each.cosine == 1 for each in twin.layers)


def test_a_tflite_beside_itself_on_other_pictures(tmp_path: Path) -> None:
    """What is inside is real numbers: int8 codes would be far from 0 on average."""
    same = inputs(tmp_path / "x.npy", (1, 48, 48, 1), "int8")
    twin = layers_tflite.step(Pair(str(TFLITE), str(TFLITE), same, same))
    assert len(twin.layers) >= 8 and all(each.sqnr_db is None for each in twin.layers)
    black = tmp_path / "black.npy"
    np.save(black, np.full((4, 1, 48, 48, 1), -128, np.int8))
    seen = layers_tflite.step(Pair(str(TFLITE), str(TFLITE), same, str(black)))
    assert all(each.sqnr_db is not None and each.sqnr_db < 20 for each in seen.layers[:4])


@pytest.mark.parametrize("step", [layers_onnx.step, layers_tflite.step])
def test_what_cannot_be_looked_into_is_refused(step: object, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"\x08\x07")
    with pytest.raises(Refused, match="cannot be looked into"):
        step(Pair(str(bad), str(bad), "", ""))  # type: ignore[operator]


def test_without_the_package_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a workshop of several GB."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(Unavailable, match=r": pip install onnx$"):
        layers_onnx.step(Pair(str(QDQ), str(QDQ), "", ""))
