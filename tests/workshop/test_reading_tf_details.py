"""Keras, SavedModel and TFLite: sizes, types, layouts, labels and what of them is preprocessing."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workshop.test_reading_tf import STEPS, answers
from tests.workshop.test_reading_tf_refused import converted, save_function
from workshop.reading import Format, Kind, Read, Request

NEAR = 1e-4
BOTH: tuple[Format, ...] = ("tflite", "onnx")


def read_and_prove(
    kind: Kind, path: Path, to: Format, shape: tuple[int, ...] | None = None
) -> Read:
    """The answer of the reader, after the file was found to answer as its reference says."""
    into = path.parent / f"into-{to}"
    into.mkdir(exist_ok=True)
    read = STEPS[kind](Request(kind, str(path), to, str(into), input_shape=shape))
    with np.load(read.reference) as reference:
        for place, given in enumerate(answers(read, to)):
            for number, got in enumerate(given):
                want = reference[f"out{number}"][place]
                assert got.shape == want.shape == read.gives[number].shape
                np.testing.assert_allclose(got, want, rtol=NEAR, atol=NEAR)
    return read


def reference(read: Read, name: str) -> np.ndarray[Any, Any]:
    with np.load(read.reference) as arrays:
        found: np.ndarray[Any, Any] = arrays[name]
        return found


@pytest.mark.parametrize("to", BOTH)
@pytest.mark.parametrize("kind", ["keras", "saved_model", "tflite"])
def test_open_sizes_are_fixed_to_what_is_wanted(kind: Kind, to: Format, tmp_path: Path) -> None:
    import keras

    layers = keras.layers
    x = pixels = keras.Input((None, None, 3), name="pixels")
    x = layers.Conv2D(4, 3, strides=2, padding="same")(x)
    pooled = layers.GlobalAveragePooling2D()(layers.UpSampling2D(2)(x))
    model = keras.Model(pixels, [layers.Dense(2)(pooled), x])
    model.save(tmp_path / "m.keras")
    model.export(tmp_path / "m", verbose=False)
    path = {"keras": tmp_path / "m.keras", "saved_model": tmp_path / "m"}.get(kind)
    path = path or converted(tmp_path / "m", lambda tf, converter: None)
    read = read_and_prove(kind, path, to, (24, 40, 3))
    assert read.takes[0].shape == (1, 24, 40, 3)
    assert {port.shape for port in read.gives} == {(1, 2), (1, 12, 20, 4)}
    assert any("[1, 24, 40, 3]" in line for line in read.steps)


@pytest.mark.parametrize("to", BOTH)
def test_channels_first_stay_first(to: Format, tmp_path: Path) -> None:
    """TensorFlow on a CPU has no such convolutions: its compiler is asked for the reference."""
    import keras

    layers = keras.layers
    first = {"data_format": "channels_first"}
    pixels = keras.Input((3, 12, 16), name="pixels")
    x = layers.BatchNormalization(axis=1)(layers.Conv2D(8, 3, **first)(pixels))
    x = layers.GlobalAveragePooling2D(**first)(layers.DepthwiseConv2D(3, **first)(x))
    keras.Model(pixels, x).save(tmp_path / "m.keras")
    assert read_and_prove("keras", tmp_path / "m.keras", to).takes[0].shape == (1, 3, 12, 16)


def test_half_precision_of_a_training_is_made_whole(tmp_path: Path) -> None:
    import keras

    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, dtype="mixed_float16"),
              keras.layers.Flatten(), keras.layers.Dense(2)]  # fmt: skip
    model = keras.Sequential(layers)
    model.save(tmp_path / "m.keras")
    read = read_and_prove("keras", tmp_path / "m.keras", "tflite")
    assert any("now compute in float32" in line for line in read.steps)
    assert read.gives[0].dtype == "float32"
    half = np.asarray(model(reference(read, "in0")[0], training=False))
    np.testing.assert_allclose(reference(read, "out0")[0], half, atol=0.01)


def test_preprocessing_in_the_graph_is_told(tmp_path: Path) -> None:
    import keras

    layers = keras.layers
    pixels = keras.Input((8, 8, 3), name="pixels")
    x = layers.RandomFlip(name="flip")(pixels)
    x = layers.Rescaling(1 / 255)(layers.Resizing(6, 7, name="smaller")(x))
    x = layers.Normalization(mean=(0.5, 0.4, 0.3), variance=(0.04, 0.04, 0.01))(x)
    keras.Model(pixels, layers.Conv2D(2, 3)(x)).save(tmp_path / "m.keras")
    assert read_and_prove("keras", tmp_path / "m.keras", "tflite").in_graph == (
        "RandomFlip (flip) is of the training and does nothing here",
        "resizes to 6 x 7, bilinear (smaller)",
    )


SCALED = {
    "times 0.00392157, plus 0": lambda x: x / 255.0,
    "times 0.00784314, plus -1": lambda x: x * (1 / 127.5) - 1.0,
    "times 1, plus (-103.9, -116.8, -123.7)": lambda x: x - (103.9, 116.8, 123.7),
    "times -0.00392157, plus 1": lambda x: 1.0 - x / 255.0,
    "times (0.02, 0.03, 0.04), plus (-1, -2, -3)": lambda x: (
        x * (0.02, 0.03, 0.04) - (1.0, 2.0, 3.0)
    ),
}


@pytest.mark.parametrize("words", SCALED)
def test_scaling_is_told_in_numbers(words: str, tmp_path: Path) -> None:
    import tensorflow as tf

    def network(x: Any) -> Any:
        return {"y": tf.nn.conv2d(SCALED[words](x), tf.ones((3, 3, 3, 2)), 1, "VALID")}

    save_function(tmp_path / "saved", network, (1, 8, 8, 3))
    read = read_and_prove("saved_model", tmp_path / "saved", "onnx")
    assert read.in_graph == (f"inputs {words}",)
    assert (reference(read, "in0").max() > 100) == ("0.0" in words)
    read = read_and_prove("tflite", converted(tmp_path / "saved", lambda tf, c: None), "tflite")
    assert read.in_graph in ((f"inputs {words}",), ())  # the converter may move it into a layer


def test_scaling_of_an_exported_keras_network_is_told(tmp_path: Path) -> None:
    """Its calls are not flat: other nodes wait for the input without computing with it."""
    import keras

    layers = keras.layers
    network = [keras.Input((8, 8, 3)), layers.Rescaling(1 / 127.5, -1), layers.Conv2D(2, 3)]
    keras.Sequential(network).export(tmp_path / "saved", verbose=False)
    read = read_and_prove("saved_model", tmp_path / "saved", "onnx")
    assert read.in_graph == ("inputs times 0.00784314, plus -1",)


@pytest.mark.parametrize("to", BOTH)
def test_channels_that_are_turned_round(to: Format, tmp_path: Path) -> None:
    import tensorflow as tf

    kernel = tf.random.stateless_normal((3, 3, 3, 2), (1, 2))

    def network(x: Any) -> Any:
        return {"y": tf.nn.conv2d(x[..., ::-1] - (1.0, 2.0, 3.0), kernel, 1, "VALID")}

    save_function(tmp_path / "saved", network, (1, 8, 8, 3))
    read = read_and_prove("saved_model", tmp_path / "saved", to)
    assert read.in_graph == (
        "the order of the channels is turned round",
        "inputs times 1, plus (-1, -2, -3)",
    )


@pytest.mark.parametrize("to", BOTH)
def test_bytes_go_into_a_network_that_casts_them(to: Format, tmp_path: Path) -> None:
    import tensorflow as tf

    def network(x: Any) -> Any:
        return {"y": tf.reduce_mean(tf.cast(x, tf.float32) / 255.0, (1, 2)) * 3}

    save_function(tmp_path / "saved", network, (None, 8, 8, 3), dtype=tf.uint8)
    read = read_and_prove("saved_model", tmp_path / "saved", to)
    assert read.takes[0].dtype == "uint8"
    assert reference(read, "in0").max() > 200
    assert read.in_graph == ("inputs times 0.00392157, plus 0",)


def test_many_outputs_keep_their_order(tmp_path: Path) -> None:
    save_function(
        tmp_path / "saved",
        lambda x: {f"output_{place}": x + (place + 1) for place in range(12)},
        (1, 4),
    )
    for to in BOTH:
        read = read_and_prove("saved_model", tmp_path / "saved", to)
        assert [port.name for port in read.gives] == [f"output_{place}" for place in range(12)]
        moved = reference(read, "out11") - reference(read, "in0")
        np.testing.assert_allclose(moved, 12, atol=NEAR)


def test_zeros_before_a_pooling_count(tmp_path: Path) -> None:
    """ONNX Runtime would take them for minus infinity: the edges of all-negative maps differ."""
    import keras

    layers = [keras.Input((9, 9, 3)), keras.layers.Conv2D(3, 1, kernel_initializer="zeros"),
              keras.layers.ZeroPadding2D(1), keras.layers.MaxPooling2D(3, strides=2)]  # fmt: skip
    layers[1].bias_initializer = keras.initializers.Constant(-1.0)
    keras.Sequential(layers).save(tmp_path / "m.keras")
    read = read_and_prove("keras", tmp_path / "m.keras", "onnx")
    assert (reference(read, "out0")[:, 0, 0] == 0).all()


def test_labels_beside_and_behind(tmp_path: Path) -> None:
    save_function(tmp_path / "saved", lambda x: {"y": x * 2}, (1, 3))
    assets = tmp_path / "saved" / "assets"
    assets.mkdir(exist_ok=True)
    (assets / "labels.txt").write_text("cat\ndog\nünicorn\n\n", encoding="utf-8")
    read = read_and_prove("saved_model", tmp_path / "saved", "tflite")
    assert read.labels == ("cat", "dog", "ünicorn")
    path = converted(tmp_path / "saved", lambda tf, converter: None)
    assert read_and_prove("tflite", path, "tflite").labels == ()
    with zipfile.ZipFile(path, "a") as behind:  # as TFLite's metadata writer does
        behind.writestr("labelmap.txt", "cat\ndog\nbird\n")
    assert read_and_prove("tflite", path, "tflite").labels == ("cat", "dog", "bird")


def test_a_float_tflite_is_kept_byte_for_byte(tmp_path: Path) -> None:
    save_function(tmp_path / "saved", lambda x: {"y": x * 2}, (1, 3))
    path = converted(tmp_path / "saved", lambda tf, converter: None)
    read = read_and_prove("tflite", path, "tflite")
    assert Path(read.file).read_bytes() == path.read_bytes()
    assert "kept as it is" in read.steps


def test_wanted_inputs_are_asked(tmp_path: Path) -> None:
    save_function(tmp_path / "saved", lambda x: {"y": x * 2}, (1, 3))
    wanted = np.arange(6, dtype=np.float32).reshape(2, 1, 3)
    np.savez(tmp_path / "wanted.npz", **{"0": wanted})
    request = Request(
        "saved_model", str(tmp_path / "saved"), "onnx", str(tmp_path),
        probe_inputs=str(tmp_path / "wanted.npz"),
    )  # fmt: skip
    read = STEPS["saved_model"](request)
    np.testing.assert_array_equal(reference(read, "in0"), wanted)
    np.testing.assert_array_equal(reference(read, "out0"), wanted * 2)


def test_a_file_of_keras_2_is_read_by_keras_2(tmp_path: Path) -> None:
    keras = pytest.importorskip("tf_keras")
    layers = keras.layers
    x = pixels = keras.Input((16, 16, 3), name="pixels")
    x = layers.Rescaling(1 / 127.5, offset=-1)(layers.RandomFlip()(x))
    x = layers.LeakyReLU(alpha=0.1)(layers.DepthwiseConv2D(3)(x * 1.0))
    x = layers.SeparableConv2D(4, 3)(x)
    model = keras.Model(pixels, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    for name in ("m.h5", "m.keras"):
        model.save(tmp_path / name)
        read = read_and_prove("keras", tmp_path / name, "onnx")
        assert "read by tf_keras" in read.steps[0]
        own = np.asarray(model(reference(read, "in0")[0], training=False))
        np.testing.assert_allclose(reference(read, "out0")[0], own, rtol=NEAR, atol=NEAR)
