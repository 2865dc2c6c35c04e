"""Keras, SavedModel and TFLite to .tflite and .onnx: what runs answers as the source framework."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.engines import EngineOptions, open_engine
from tests.workshop.tf_networks import mobilenet_like, yolo_like
from workshop.reading import READERS, Format, Kind, Read, Request, saved_model, tflite
from workshop.reading import keras as keras_reader
from workshop.step import Progress, run_step

NEAR = 1e-4  # what a float model may differ from its source
ENGINES = {"tflite": "litert", "onnx": "onnxruntime"}
STEPS: dict[Kind, Callable[[Request], Read]] = {
    "keras": keras_reader.step,
    "saved_model": saved_model.step,
    "tflite": tflite.step,
}
NETWORKS = {"mobilenet": mobilenet_like, "yolo": yolo_like}
SOURCES: dict[str, tuple[Kind, str]] = {
    "keras": ("keras", "model.keras"),
    "h5": ("keras", "model.h5"),
    "saved_model": ("saved_model", "saved"),
    "tflite": ("tflite", "model.tflite"),
}


@pytest.fixture(scope="module", params=sorted(NETWORKS))
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(model, folder with it in every format)."""
    import tensorflow as tf

    model = NETWORKS[request.param]()
    folder = tmp_path_factory.mktemp(request.param)
    model.save(folder / "model.keras")
    model.save(folder / "model.h5")
    model.export(folder / "saved", verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved"))
    (folder / "model.tflite").write_bytes(converter.convert())
    return model, folder


def answers(read: Read, to: Format) -> list[list[np.ndarray[Any, Any]]]:
    """Of the file, by the runtime's own engine, to each input of the reference."""
    engine = open_engine(ENGINES[to], Path(read.file), EngineOptions(threads=1))
    try:
        found = []
        with np.load(read.reference) as reference:
            for one in reference["in0"]:
                engine.input()[...] = one
                found.append([np.array(each) for each in engine.run()])
        assert engine.takes.name == read.takes[0].name
        assert [each.name for each in engine.gives] == [each.name for each in read.gives]
        return found
    finally:
        engine.close()


@pytest.mark.parametrize("to", ["tflite", "onnx"])
@pytest.mark.parametrize("source", sorted(SOURCES))
def test_the_file_answers_as_keras_does(
    network: Any, source: str, to: Format, tmp_path: Path
) -> None:
    model, folder = network
    kind, name = SOURCES[source]
    read = STEPS[kind](Request(kind, str(folder / name), to, str(tmp_path)))
    assert Path(read.file) == tmp_path / f"model.{to}"
    if kind == "keras":
        assert [port.name for port in read.takes] == [one.name for one in model.inputs]
        assert [port.name for port in read.gives] == model.output_names
    with np.load(read.reference) as reference:
        inputs = reference["in0"]
        told = [reference[f"out{place}"] for place in range(len(read.gives))]
    assert inputs.shape == (4, *read.takes[0].shape)
    for place, given in enumerate(answers(read, to)):
        own = [np.asarray(each) for each in _flat(model(inputs[place], training=False))]
        for number, got in enumerate(given):
            want = told[number][place]
            assert got.shape == want.shape == read.gives[number].shape
            np.testing.assert_allclose(got, want, rtol=NEAR, atol=NEAR)
        # the converter turned the outputs of the .tflite round; the readers keep every order
        order = _order(given, own) if kind == "tflite" else range(len(own))
        for number, at in enumerate(order):
            np.testing.assert_allclose(told[number][place], own[at], rtol=NEAR, atol=NEAR)


def _flat(found: Any) -> list[Any]:
    return list(found) if isinstance(found, list | tuple) else [found]


def _order(given: list[Any], own: list[Any]) -> list[int]:
    return [
        next(place for place, each in enumerate(own) if each.shape == got.shape) for got in given
    ]


def test_a_step_says_how_far_it_is_and_gives_the_same_bytes_again(tmp_path: Path) -> None:
    mobilenet_like().save(tmp_path / "model.keras")
    made = []
    for turn in ("first", "second"):
        into = tmp_path / turn
        into.mkdir()
        request = Request("keras", str(tmp_path / "model.keras"), "onnx", str(into))
        told: list[Progress] = []
        read = run_step(READERS["keras"], request, Read, told.append)
        assert [(each.done, each.total) for each in told] == [(done, 4) for done in range(5)]
        assert {"tensorflow", "keras", "tf2onnx", "onnxslim"} <= set(read.tools)
        with np.load(read.reference) as reference:
            made.append((Path(read.file).read_bytes(), reference["in0"].tobytes()))
    assert made[0] == made[1]
