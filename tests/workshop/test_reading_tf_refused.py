"""What cannot be read of Keras, SavedModel and TFLite: one line that names it, with a way out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from wire.troubles import Refused
from workshop.reading import Format, Kind, Request, saved_model, tflite
from workshop.reading import keras as keras_reader

STEPS: dict[Kind, Callable[[Request], Any]] = {
    "keras": keras_reader.step,
    "saved_model": saved_model.step,
    "tflite": tflite.step,
}


def refused(
    kind: Kind, path: Path, to: Format = "tflite", shape: tuple[int, ...] | None = None
) -> str:
    """The words of the trouble, which are one line and begin with the path."""
    into = path.parent / "into"
    into.mkdir(exist_ok=True)
    with pytest.raises(Refused) as caught:
        STEPS[kind](Request(kind, str(path), to, str(into), input_shape=shape))
    words = str(caught.value)
    assert words.startswith(f"{path}: ")
    assert "\n" not in words
    return words


def save_function(
    path: Path, function: Callable[[Any], Any], *shapes: Any, dtype: Any = None
) -> Any:
    """A SavedModel whose usual signature is the function, on inputs `x0`, `x1`, ..."""
    import tensorflow as tf

    specs = [
        tf.TensorSpec(shape, dtype or tf.float32, name=f"x{place}")
        for place, shape in enumerate(shapes)
    ]
    module = tf.Module()
    module.serve = tf.function(function, input_signature=specs)
    tf.saved_model.save(module, str(path), signatures=module.serve)
    return module


def save_layers(path: Path, layers: Sequence[Any], shape: tuple[int, ...] = (8, 8, 3)) -> Any:
    import keras

    model = keras.Sequential([keras.Input(shape), *layers])
    model.save(path)
    return model


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_layer_of_somebody_elses_is_named(ending: str, tmp_path: Path) -> None:
    import keras

    class Doubled(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x * 2

    path = tmp_path / f"model.{ending}"
    save_layers(path, [Doubled(), keras.layers.Conv2D(2, 3)])
    words = refused("keras", path)
    assert "'Doubled'" in words
    assert "model.export(" in words


@pytest.mark.parametrize("version", ["3.15.0", "2.15.0"])
@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_code_in_a_file_is_not_run(ending: str, version: str, tmp_path: Path) -> None:
    import h5py
    import keras

    path, mark = tmp_path / f"model.{ending}", tmp_path / "ran"
    marking = eval(f"lambda x: (open({str(mark)!r}, 'w').close(), x)[1]")  # noqa: S307
    save_layers(path, [keras.layers.Lambda(marking)])
    mark.unlink()
    if ending == "h5":  # Keras 2 would run it, whatever it is told
        with h5py.File(path, "r+") as tree:
            tree.attrs["keras_version"] = version
    assert "Lambda" in refused("keras", path)
    assert not mark.exists()


def test_weights_without_a_network(tmp_path: Path) -> None:
    import keras

    model = save_layers(tmp_path / "model.keras", [keras.layers.Conv2D(2, 3)])
    model.save_weights(tmp_path / "only.weights.h5")
    assert "holds weights and no network" in refused("keras", tmp_path / "only.weights.h5")


def test_a_network_that_never_had_an_input(tmp_path: Path) -> None:
    import keras

    keras.Sequential([keras.layers.Dense(2)]).save(tmp_path / "model.keras")
    assert "no weights" in refused("keras", tmp_path / "model.keras")


def test_quantized_by_keras(tmp_path: Path) -> None:
    import keras

    model = save_layers(tmp_path / "a.keras", [keras.layers.Flatten(), keras.layers.Dense(2)])
    model.quantize("int8")
    model.save(tmp_path / "model.keras")
    assert "quantized by Keras (int8)" in refused("keras", tmp_path / "model.keras")


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_half_a_file(ending: str, tmp_path: Path) -> None:
    import keras

    path = tmp_path / f"model.{ending}"
    save_layers(path, [keras.layers.Conv2D(2, 3)])
    path.write_bytes(path.read_bytes()[:2000])
    assert "damaged" in refused("keras", path)


def test_two_inputs(tmp_path: Path) -> None:
    import keras

    inputs = [keras.Input((4,), name="left"), keras.Input((4,), name="right")]
    keras.Model(inputs, keras.layers.Add()(inputs)).save(tmp_path / "model.keras")
    assert "2 inputs (left, right)" in refused("keras", tmp_path / "model.keras")
    save_function(tmp_path / "saved", lambda a, b: {"sum": a + b}, (1, 4), (1, 4))
    assert "2 inputs (x0, x1)" in refused("saved_model", tmp_path / "saved")


@pytest.mark.parametrize("kind", ["keras", "saved_model"])
def test_open_sizes_are_asked_for(kind: Kind, tmp_path: Path) -> None:
    import keras

    model = save_layers(tmp_path / "m.keras", [keras.layers.Conv2D(2, 3)], (None, None, 3))
    model.export(tmp_path / "m", verbose=False)
    path = tmp_path / ("m.keras" if kind == "keras" else "m")
    assert "--input-shape 1,HEIGHT,WIDTH,3" in refused(kind, path)
    assert "cannot be (1, 8, 8, 4)" in refused(kind, path, shape=(1, 8, 8, 4))


@pytest.mark.parametrize(("to", "called"), [("tflite", "TFLite"), ("onnx", "ONNX")])
def test_an_operator_that_is_not_there_is_named_with_its_layer(
    to: Format, called: str, tmp_path: Path
) -> None:
    import tensorflow as tf

    def odd(x: Any) -> Any:
        with tf.name_scope("neck/odd"):
            return {"y": tf.math.bessel_i0(x) + 1}

    save_function(tmp_path / "saved", odd, (1, 4))
    words = refused("saved_model", tmp_path / "saved", to)
    assert f"{called} has no operator BesselI0 (layer neck/odd/" in words
    assert "--to" in words


@pytest.mark.parametrize("to", ["tflite", "onnx"])
def test_chance_in_an_export_is_no_network(to: Format, tmp_path: Path) -> None:
    import keras

    model = save_layers(tmp_path / "m.keras", [keras.layers.RandomFlip(), keras.layers.Flatten()])
    model.export(tmp_path / "m", verbose=False)
    words = refused("saved_model", tmp_path / "m", to)
    assert "draws random numbers (layer " in words
    assert "give the .keras file" in words


def test_signatures_leave_a_choice(tmp_path: Path) -> None:
    import tensorflow as tf

    module = tf.Module()
    spec = tf.TensorSpec((1, 4), name="x")
    doubled = tf.function(lambda x: {"y": x * 2}, input_signature=[spec])
    tripled = tf.function(lambda x: {"y": x * 3}, input_signature=[spec])
    tf.saved_model.save(
        module, str(tmp_path / "saved"), signatures={"doubled": doubled, "tripled": tripled}
    )
    assert "--signature: doubled, tripled" in refused("saved_model", tmp_path / "saved")
    request = Request("saved_model", str(tmp_path / "saved"), "tflite", str(tmp_path))
    read = saved_model.step(_with_signature(request, "tripled"))
    assert any("tripled" in line for line in read.steps)
    with pytest.raises(Refused, match="no signature 'none': choose one of doubled, tripled"):
        saved_model.step(_with_signature(request, "none"))


def _with_signature(request: Request, name: str) -> Request:
    from msgspec.structs import replace

    return replace(request, signature=name)


def test_text_no_signature_and_no_variables(tmp_path: Path) -> None:
    import tensorflow as tf

    save_function(tmp_path / "text", lambda x: {"y": tf.strings.length(x)}, (1,), dtype=tf.string)
    assert "takes text or files" in refused("saved_model", tmp_path / "text")
    tf.saved_model.save(tf.Module(), str(tmp_path / "none"))
    assert "has no signature" in refused("saved_model", tmp_path / "none")
    module = save_function(tmp_path / "whole", lambda x: {"y": x}, (1, 4))
    module.weight = tf.Variable([1.0])
    tf.saved_model.save(module, str(tmp_path / "half"))
    for file in (tmp_path / "half" / "variables").iterdir():
        file.unlink()
    assert "copy it again, with its folder `variables`" in refused("saved_model", tmp_path / "half")


@pytest.mark.parametrize(("shape", "says"), [((2, 8), "no batch of 1"), (None, "the shape of its")])
def test_a_batch_of_its_own_and_an_unknown_shape(shape: Any, says: str, tmp_path: Path) -> None:
    save_function(tmp_path / "saved", lambda x: {"y": x * 2}, shape)
    assert says in refused("saved_model", tmp_path / "saved")


def converted(folder: Path, change: Callable[[Any, Any], None], name: str = "m.tflite") -> Path:
    """A .tflite of the SavedModel in `folder`, by TensorFlow's converter after a change to it."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    change(tf, converter)
    path = folder.parent / name
    path.write_bytes(converter.convert())
    return path


def _float16(tf: Any, converter: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def _dynamic(tf: Any, converter: Any) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def _with_flex(tf: Any, converter: Any) -> None:
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS,
    ]  # fmt: skip


def _with_custom(tf: Any, converter: Any) -> None:
    converter.allow_custom_ops = True


@pytest.mark.parametrize("change", [_float16, _dynamic])
def test_a_quantized_tflite_is_not_quantized_again(change: Any, tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(64, 3)])
    model.export(tmp_path / "saved", verbose=False)
    words = refused("tflite", converted(tmp_path / "saved", change))
    assert "is quantized already" in words
    assert "pack it as it is" in words


@pytest.mark.parametrize(
    ("operator", "change", "named"),
    [("det", _with_flex, "FlexMatrixDeterminant"), ("bessel_i0", _with_custom, "BesselI0")],
)
def test_operators_that_litert_has_not(
    operator: str, change: Any, named: str, tmp_path: Path
) -> None:
    import tensorflow as tf

    odd = tf.linalg.det if operator == "det" else tf.math.bessel_i0
    save_function(tmp_path / "saved", lambda x: {"y": odd(x * 2)}, (1, 2, 2))
    words = refused("tflite", converted(tmp_path / "saved", change))
    assert f"needs the operator {named} (layer " in words


def test_a_damaged_tflite(tmp_path: Path) -> None:
    save_function(tmp_path / "saved", lambda x: {"y": x * 2}, (1, 4))
    path = converted(tmp_path / "saved", lambda tf, converter: None)
    path.write_bytes(path.read_bytes()[:300])
    assert "LiteRT cannot read it" in refused("tflite", path)
