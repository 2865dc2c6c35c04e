"""Smaller numbers for networks in the shapes of MobileNetV2 and YOLO, in both formats."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.engines import BY_FORMAT, EngineOptions, Tensor, TensorSpec, open_engine
from tests.workshop.float_networks import float_networks
from wire.troubles import Refused
from workshop.quantizing import CALIBRATED, QUANTIZERS, SENSITIVITY, Made, Request, Sensitivity
from workshop.quantizing import SensitivityRequest as Ask
from workshop.quantizing.sensitivity import sqnr_db
from workshop.step import run_step

PRECISIONS = ("float16", "dynamic", "int8", "int8x16")
# far below what each reaches: weights of chance are unkinder than trained ones
LEAST_DB = {"float16": 45, "dynamic": 18, "int8": 12, "int8x16": 22}
NETWORKS = [(kind, name) for kind in ("tflite", "onnx") for name in ("mobilenet", "yolo")]


class Source:
    """A float32 network with samples to calibrate on, others to judge by, and its answers."""

    def __init__(self, file: str, folder: Path) -> None:
        self.file, self.folder = file, folder
        self.kind = file.rpartition(".")[2]
        spec = self.opened(file)[0]
        chance = np.random.default_rng(1)
        self.held = chance.random((12, *spec.shape), np.float32)
        self.calibration = folder / "calibration.npy"
        np.save(self.calibration, chance.random((48, *spec.shape[1:]), np.float32))
        np.save(folder / "held.npy", self.held)
        self.answers = self.answered(file)
        self._made: dict[str, Made] = {}

    def opened(self, file: str) -> tuple[TensorSpec, tuple[TensorSpec, ...]]:
        engine = open_engine(BY_FORMAT[self.kind], Path(file), EngineOptions(threads=1))
        takes, gives = engine.takes, engine.gives
        engine.close()
        return takes, gives

    def answered(self, file: str) -> list[Tensor]:
        """Real values by the runtime's own engine, each output over all held samples."""
        engine = open_engine(BY_FORMAT[self.kind], Path(file), EngineOptions(threads=1))
        found = []
        for one in self.held:
            engine.input()[...] = _stored(one, engine.takes)
            pairs = zip(engine.run(), engine.gives, strict=True)
            found.append([_real(values, spec) for values, spec in pairs])
        engine.close()
        return [np.stack(values) for values in zip(*found, strict=True)]

    def quantized(self, precision: str, **more: object) -> Made:
        """In this process, once for each request."""
        asked = f"{precision} {more}"
        if asked not in self._made:
            self._made[asked] = _step(self.kind).step(self.request(precision, **more))
        return self._made[asked]

    def request(self, precision: str, **more: object) -> Request:
        if precision in CALIBRATED:
            more = {"calibration": str(self.calibration)} | more
        file = self.folder / f"{len(self._made)}.{self.kind}"
        return Request(self.file, str(file), precision, **more)  # type: ignore[arg-type]


def _step(kind: str) -> Any:
    return importlib.import_module(QUANTIZERS[kind])  # type: ignore[index]


def _stored(real: Tensor, spec: TensorSpec) -> Tensor:
    if spec.scale is None or spec.zero_point is None:
        return real
    limits = np.iinfo(spec.dtype)
    return np.clip(np.round(real / spec.scale) + spec.zero_point, limits.min, limits.max)


def _real(stored: Tensor, spec: TensorSpec) -> Tensor:
    if spec.scale is None or spec.zero_point is None:
        return stored.astype(np.float32)
    return (stored.astype(np.float32) - spec.zero_point) * np.float32(spec.scale)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Networks of each format."""
    made = {kind: tmp_path_factory.mktemp(kind) for kind in QUANTIZERS}
    for kind, folder in made.items():
        float_networks(kind, folder)
    return {str(kind): folder for kind, folder in made.items()}


@pytest.fixture(scope="module", params=NETWORKS, ids="-".join)
def source(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Source:
    kind, name = request.param
    return _source(folders, kind, name)


def _source(folders: dict[str, Path], kind: str, name: str) -> Source:
    folder = folders[kind] / name
    folder.mkdir(exist_ok=True)
    return Source(str(folders[kind] / f"{name}.{kind}"), folder)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_runs_and_stays_near_the_float_network(
    source: Source, precision: str
) -> None:
    made = run_step(QUANTIZERS[source.kind], source.request(precision), Made)  # type: ignore[index]
    takes, gives = source.opened(made.file)
    whole = precision == "int8" and source.kind == "tflite"
    assert takes.dtype == ("int8" if whole else "float32")
    assert {spec.dtype for spec in gives} == ({"int8"} if whole else {"float32"})
    assert takes.shape == source.opened(source.file)[0].shape
    for wanted, given in zip(source.answers, source.answered(made.file), strict=True):
        assert LEAST_DB[precision] < sqnr_db(wanted, given) < 120, "neither wrong nor still float"
    assert made.steps
    assert made.tools
    assert {layer.precision for layer in made.layers} <= {precision, "float32"}
    assert any(layer.precision == precision for layer in made.layers)


def test_weights_have_a_scale_for_each_channel(folders: dict[str, Path]) -> None:
    from ai_edge_litert.interpreter import Interpreter

    source = _source(folders, "tflite", "mobilenet")
    interpreter = Interpreter(model_path=source.quantized("int8").file)
    counts = [
        len(detail["quantization_parameters"]["scales"])
        for detail in interpreter.get_tensor_details()
        if detail["dtype"] is np.int8 and len(detail["shape"]) == 4 and detail["shape"][0] != 1
    ]
    assert len(counts) > 5
    assert min(counts) > 1


@pytest.mark.parametrize(("suits", "dtype"), [("tensorrt", np.int8), ("cpu", np.uint8)])
def test_onnx_activations_suit_who_runs_them(
    folders: dict[str, Path], suits: str, dtype: type
) -> None:
    import onnx

    source = _source(folders, "onnx", "mobilenet")
    model = onnx.load(source.quantized("int8", suits=suits).file)
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    zeros = [arrays[node.input[2]] for node in nodes]
    assert {zero.dtype for zero in zeros} == {np.dtype(dtype)}
    assert (suits == "tensorrt") == (not any(zero.any() for zero in zeros))
    weights = [arrays[name] for name in arrays if name.endswith("_quantized")]
    assert {weight.dtype for weight in weights} == {np.dtype(np.int8)}, "biases stay floats"
    scales = [arrays[name] for name in arrays if name.endswith("_scale")]
    assert any(scale.ndim == 1 and len(scale) > 1 for scale in scales)


@pytest.mark.parametrize("kind", QUANTIZERS)
def test_layers_are_kept_on_wish_and_the_answer_comes_nearer(
    folders: dict[str, Path], kind: str
) -> None:
    source = _source(folders, kind, "mobilenet")
    whole = source.quantized("int8")
    ranges = str(source.folder / "ranges.json")
    ask = Ask(
        source.file, "int8", str(source.folder / "held.npy"), str(source.calibration), most=6,
        ranges=ranges,
    )  # fmt: skip
    found = run_step(SENSITIVITY, ask, Sensitivity)
    assert [each.sqnr_db for each in found.layers] == sorted(each.sqnr_db for each in found.layers)
    assert {each.name for each in found.layers} == {
        layer.name for layer in whole.layers if layer.precision == "int8"
    }
    assert found.whole.sqnr_db <= found.layers[0].sqnr_db + 3
    keep = tuple(each.name for each in found.layers[: len(found.layers) // 2])
    mixed = source.quantized("int8", keep=keep, calibration=None, ranges=ranges)
    kept = {layer.name for layer in mixed.layers if layer.why == "kept"}
    assert kept == set(keep)
    errors = [
        min(sqnr_db(wanted, given) for wanted, given in zip(source.answers, answers, strict=True))
        for answers in (source.answered(whole.file), source.answered(mixed.file))
    ]
    assert errors[1] > errors[0] + 3


def test_all_layers_kept_is_the_float_network(source: Source) -> None:
    made = source.quantized("int8", keep=("*",))
    for wanted, given in zip(source.answers, source.answered(made.file), strict=True):
        # a .tflite still takes int8
        assert sqnr_db(wanted, given) > (25 if source.kind == "tflite" else 100)


def test_the_same_request_gives_the_same_bytes(source: Source) -> None:
    made = [source.quantized("int8")]
    made.append(_step(source.kind).step(source.request("int8")))
    assert made[0].file != made[1].file
    assert Path(made[0].file).read_bytes() == Path(made[1].file).read_bytes()


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_ranges_can_leave_out_what_is_rare(source: Source, method: str) -> None:
    made = source.quantized("int8", method=method)
    assert Path(made.file).read_bytes() != Path(source.quantized("int8").file).read_bytes()
    for wanted, given in zip(source.answers, source.answered(made.file), strict=True):
        assert sqnr_db(wanted, given) > 8


def test_what_cannot_be_done_is_refused_in_words(source: Source, tmp_path: Path) -> None:
    def refused(precision: str, **more: object) -> str:
        with pytest.raises(Refused) as trouble:
            source.quantized(precision, **more)
        assert "\n" not in str(trouble.value)
        return str(trouble.value)

    assert "--calibrate" in refused("int8", calibration=None)
    assert "no layer 'nowhere'" in refused("float16", keep=("nowhere",))
    np.save(tmp_path / "small.npy", np.zeros((2, 3, 3, 3), np.float32))
    assert "the network takes float32" in refused("int8", calibration=str(tmp_path / "small.npy"))
    bad = np.load(source.calibration)
    bad[1] = np.nan
    np.save(tmp_path / "nan.npy", bad)
    assert "sample 1 holds" in refused("int8", calibration=str(tmp_path / "nan.npy"))
    (tmp_path / "text.npy").write_text("no samples")
    assert "no .npy file" in refused("int8", calibration=str(tmp_path / "text.npy"))


def test_what_is_quantized_already_is_refused(source: Source) -> None:
    made = source.quantized("int8")
    with pytest.raises(Refused, match="start from the float32"):
        _step(source.kind).step(Request(made.file, str(source.folder / "x"), "float16"))


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_what_is_no_network_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / f"text.{kind}").write_text("a text, and no network")
    for name, words in ((f"text.{kind}", "no (TFLite|ONNX) model"), (f"none.{kind}", "cannot be")):
        request = Request(str(tmp_path / name), str(tmp_path / "out"), "float16")
        with pytest.raises(Refused, match=words):
            _step(kind).step(request)


def test_layers_without_an_integer_form_are_named_or_refused(folders: dict[str, Path]) -> None:
    source = _source(folders, "tflite", "curved")
    made = source.quantized("int8")
    (left,) = (layer for layer in made.layers if layer.precision == "float32")
    assert left.kind == "ELU"
    assert left.name in made.notes[0]
    with pytest.raises(Refused, match=r"\(ELU\): there is no int8 form.*--keep"):
        source.quantized("int8", whole=True)
    assert source.quantized("int8", whole=True, keep=(left.name,)).layers == tuple(
        layer if layer != left else type(left)(left.name, left.kind, "float32", "kept")
        for layer in made.layers
    )
