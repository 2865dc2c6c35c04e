"""A manifest is completed from the model's tensors; what it says itself is never changed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from models import manifest
from models.manifest import Manifest
from runtime.describing import describe
from runtime.engines import EngineOptions
from runtime.locating import ZOO
from tests.graphs import onnx, tflite
from wire.troubles import Refused

ONE = EngineOptions(threads=1)
MODELS = ["digits/tflite", "digits/onnx", "digits-detect/tflite", "digits-detect/onnx"]


def copied(folder: Path, source: Path = ZOO / "digits" / "tflite", **what: Any) -> Path:
    """A copy of a model folder with another manifest."""
    shutil.copytree(source, folder)
    manifest.write(folder, replace(manifest.load(folder), **what))
    return folder


def without_scales(whole: Manifest) -> Manifest:
    outputs = tuple(replace(each, scale=None, zero_point=None) for each in whole.outputs)
    return replace(whole, input=replace(whole.input, scale=None, zero_point=None), outputs=outputs)


@pytest.mark.parametrize("model", MODELS)
def test_a_whole_manifest_stays_as_it_is(model: str) -> None:
    told = describe(str(ZOO / model), None, ONE)
    assert told.manifest == manifest.load(ZOO / model)
    assert (told.filled, told.guesses, told.labels) == ((), (), 10)


@pytest.mark.parametrize("model", MODELS)
def test_what_it_lacks_is_what_was_published(tmp_path: Path, model: str) -> None:
    published = manifest.load(ZOO / model)
    lean = without_scales(published)
    quantised = sum(each.scale is not None for each in published.outputs)
    quantised += published.input.scale is not None
    for name, outputs, lines in (
        ("scales", lean.outputs, quantised),
        ("outputs", (), len(lean.outputs) + (published.input.scale is not None)),
    ):
        folder = copied(tmp_path / name, ZOO / model, input=lean.input, outputs=outputs)
        told = describe(str(folder), None, ONE)
        assert told.manifest == published
        assert len(told.filled) == lines, told.filled
        assert manifest.load(folder) != told.manifest or not lines, "nothing was written"


def test_a_completed_manifest_survives_json_and_toml(tmp_path: Path) -> None:
    lean = without_scales(manifest.load(ZOO / "digits" / "tflite"))
    folder = copied(tmp_path / "m", input=lean.input, outputs=())
    told = describe(str(folder), None, ONE)
    again = msgspec.json.decode(msgspec.json.encode(told), type=type(told))
    assert again == told
    assert manifest.parse(manifest.as_text(again.manifest), "m.toml") == told.manifest


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "a size": ({"width": 49}, r"\[input\] says \(1, 48, 49, 1\) \(NHWC\), the model takes"),
    "a layout": ({"layout": "NCHW"}, "the model is NHWC"),
    "a type": ({"dtype": "uint8", "scale": None, "zero_point": None},
               "dtype is uint8, the model's is int8"),
    "a scale": ({"scale": 0.5}, r"\[input\] scale = 0.5, zero_point = -128, the model has scale"),
    "a zero point": ({"zero_point": 0}, "zero_point = 0, the model has"),
}  # fmt: skip


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_an_input_that_contradicts_the_model_is_refused(tmp_path: Path, what: str) -> None:
    change, why = CONTRADICTIONS[what]
    eats = replace(manifest.load(ZOO / "digits" / "tflite").input, **change)
    with pytest.raises(Refused, match=why):
        describe(str(copied(tmp_path / "m", input=eats)), None, ONE)


def test_an_output_that_contradicts_the_model_is_refused(tmp_path: Path) -> None:
    (output,) = manifest.load(ZOO / "digits" / "tflite").outputs
    changes: list[tuple[dict[str, Any], str]] = [
        ({"shape": (1, 9)}, r"output 'PartitionedCall:0' says int8 \(1, 9\)"),
        ({"dtype": "float32", "scale": None, "zero_point": None}, r"says float32 \(1, 10\), the "),
        ({"scale": 0.25}, "scale = 0.25, zero_point = -128, the model has"),
    ]  # fmt: skip
    for number, (change, why) in enumerate(changes):
        folder = copied(tmp_path / str(number), outputs=(replace(output, **change),))
        with pytest.raises(Refused, match=why):
            describe(str(folder), None, ONE)


def test_too_few_outputs_are_refused(tmp_path: Path) -> None:
    source = ZOO / "digits-detect" / "tflite"
    folder = copied(tmp_path / "m", source, outputs=manifest.load(source).outputs[:1])
    with pytest.raises(Refused, match=r"the manifest has 1 \[\[outputs\]\], the model 2"):
        describe(str(folder), None, ONE)


def test_a_bare_file_is_inferred_and_what_was_guessed_is_said(tmp_path: Path) -> None:
    onnx.colours(tmp_path / "c.onnx")
    for path in (tflite.colours(tmp_path / "c.tflite"), tmp_path / "c.onnx"):
        told = describe(str(path), None, ONE)
        assert told.manifest.name == "c"
        assert any("assumed: colours in the order red, green, blue" in g for g in told.guesses)
        assert told.filled == ()
