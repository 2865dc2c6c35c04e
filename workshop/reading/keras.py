"""Keras models, .keras and .h5: those of Keras 3 read by it, those of Keras 2 by `tf_keras`.

No code of a file is run: a layer that is not Keras' own is refused, with a way out.
"""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wire.troubles import Refused, Unavailable
from workshop.reading import Read, Request
from workshop.reading.packages import first_line, import_quietly, import_tensorflow
from workshop.reading.shapes import fixed_port
from workshop.reading.tf_freezing import Traced, safe_names
from workshop.reading.tf_keras_layers import in_float32, layers_of, preprocessing_words
from workshop.reading.tf_steps import LOADING, finish
from workshop.step import say

HDF5 = b"\x89HDF"
EXPORT = "export it where it was made, by model.export('FOLDER'), and convert that folder"
LEGACY = "pip install --no-deps tf_keras"  # with its dependencies it brings a second TensorFlow
UNKNOWN = re.compile(
    r"(?:Could not locate (?:class|function)|Unknown layer:|Unknown \w+:) '([^']+)'"
)


def step(request: Request) -> Read:
    """Read a Keras model. Raises Refused for what needs code that the file does not hold."""
    say(LOADING, 0, 4)
    import_tensorflow()
    saved = _saved(request.path)
    keras = _library(saved, request.path)
    model = _load(keras, request.path, saved)
    steps = [
        f"read by {keras.__name__}, saved by Keras {saved.version}: "
        f"{len(list(layers_of(model)))} layers, {model.count_params()} weights"
    ]
    if (plain := in_float32(model, request.path)) is not None:
        model = plain
        steps.append("layers that computed in float16 or bfloat16 now compute in float32")
    return finish(
        request, _traced(model, request), steps, (keras.__name__,), preprocessing_words(model)
    )


@dataclass(frozen=True)
class _Saved:
    """What a file says. version: of the Keras that wrote it. layers: its configuration."""

    is_hdf5: bool
    version: str
    layers: Any


def _saved(path: str) -> _Saved:
    """Raises Refused for what is damaged, holds no network, or holds Python code."""
    try:
        with open(path, "rb") as file:
            is_hdf5 = file.read(4) == HDF5
        saved = _in_hdf5(path) if is_hdf5 else _in_zip(path)
    except FileNotFoundError:
        raise Refused(f"{path}: there is no such file") from None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        raise Refused(f"{path}: is damaged or not whole: copy or save it again") from None
    if saved.layers is None:
        raise Refused(
            f"{path}: holds weights and no network: save the whole model, by model.save('M.keras')"
        )
    if _has_lambda(saved.layers):
        raise _refused_code(path)
    return saved


def _in_hdf5(path: str) -> _Saved:
    with import_quietly("h5py").File(path, "r") as tree:
        version, config = (
            each.decode() if isinstance(each := tree.attrs.get(key), bytes) else each
            for key in ("keras_version", "model_config")
        )
    return _Saved(True, version or "", json.loads(config) if config else None)


def _in_zip(path: str) -> _Saved:
    with zipfile.ZipFile(path) as archive:
        version = json.loads(archive.read("metadata.json")).get("keras_version")
        return _Saved(False, version or "", json.loads(archive.read("config.json")))


def _has_lambda(config: Any) -> bool:
    """Keras 2 runs what is in a Lambda of an .h5, whatever it is told."""
    if isinstance(config, dict):
        return config.get("class_name") == "Lambda" or any(map(_has_lambda, config.values()))
    return isinstance(config, list) and any(map(_has_lambda, config))


def _library(saved: _Saved, path: str) -> Any:
    """Keras 3, or for files of Keras 2 `tf_keras`."""
    if not saved.version.startswith("2."):
        return import_quietly("keras")
    try:
        return import_quietly("tf_keras")
    except Unavailable:
        raise Unavailable(
            f"{path}: was saved by Keras {saved.version}: {LEGACY}; or {EXPORT}"
        ) from None


def _load(keras: Any, path: str, saved: _Saved) -> Any:
    """The model with its weights. Keras goes by the ending of a name, so it gets the right one."""
    with TemporaryDirectory() as folder:
        link = Path(folder) / f"model.{'h5' if saved.is_hdf5 else 'keras'}"
        link.symlink_to(Path(path).resolve())
        try:
            model = keras.models.load_model(link, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises of all kinds
            raise _refused(path, str(error).replace(str(link), path)) from None
    if not model.built or not model.inputs:
        raise Refused(
            f"{path}: was saved before it had an input, so it has no weights: call the model on "
            "one input, train it and save it then"
        )
    return model


def _refused(path: str, words: str) -> Refused:
    if "arbitrary code" in words:
        return _refused_code(path)
    if found := UNKNOWN.search(words):
        return Refused(
            f"{path}: needs {found[1]!r}, which is no part of Keras and not in the file: {EXPORT}"
        )
    reason = first_line(words.rpartition("Exception encountered:")[2] or words)
    return Refused(f"{path}: Keras cannot read it: {reason}: {EXPORT}")


def _refused_code(path: str) -> Refused:
    return Refused(
        f"{path}: has a Lambda layer, Python code that is not run here: {EXPORT}; or write it "
        "with layers of Keras"
    )


def _traced(model: Any, request: Request) -> Traced:
    """Its one input with a shape, and its outputs in the order of the model."""
    if len(model.inputs) != 1:
        several = ", ".join(one.name for one in model.inputs)
        raise Refused(
            f"{request.path}: has {len(model.inputs)} inputs ({several}); the runtime gives one: "
            "save a model of one input, the others as constants in it"
        )
    tree = import_quietly("tensorflow").nest
    (entrance,) = model.inputs
    dtype = getattr(entrance.dtype, "name", entrance.dtype)
    (name,) = safe_names([entrance.name.partition(":")[0]])
    takes = fixed_port(request.path, name, tuple(entrance.shape), str(dtype), request.input_shape)
    names = safe_names(_output_names(model))

    def forward(one: Any) -> list[Any]:
        found: list[Any] = tree.flatten(model(one, training=False))
        return found

    return Traced(request.path, takes, names, forward)


def _output_names(model: Any) -> list[str]:
    """As tf.nest flattens the outputs: of a dict by its keys. A Sequential may say neither."""
    outputs = getattr(model, "output", None)
    if isinstance(outputs, dict):
        return sorted(outputs)
    return list(getattr(model, "output_names", None) or [model.layers[-1].name])
