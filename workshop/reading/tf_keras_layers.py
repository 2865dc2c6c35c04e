"""Layers of a Keras model: what of them is preprocessing, in words, and all of them in float32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from wire.troubles import Refused

POLICIES = ("DTypePolicy", "Policy")
HALF = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64")
RESTING = ("Random", "AugMix", "MixUp", "CutMix", "Solarization", "AutoContrast", "Equalization")


def layers_of(model: Any) -> Iterator[Any]:
    """All layers, those of models inside it included, in their order."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from layers_of(layer)
        else:
            yield layer


def preprocessing_words(model: Any) -> tuple[str, ...]:
    """What is done to pictures before the first layer with trained weights, in words.

    Affine steps are not among them: the graph says these, whatever layer they are of.
    """
    words = []
    for layer in layers_of(model):
        kind = type(layer).__name__
        if kind == "Resizing":
            words.append(
                f"resizes to {layer.height} x {layer.width}, {layer.interpolation} ({layer.name})"
            )
        elif kind == "CenterCrop":
            words.append(f"crops the middle {layer.height} x {layer.width} ({layer.name})")
        elif kind.startswith(RESTING):
            words.append(f"{kind} ({layer.name}) is of the training and does nothing here")
        elif kind != "Normalization" and layer.weights:
            break
    return tuple(words)


def in_float32(model: Any, path: str) -> Any | None:
    """The same model that computes in float32; None where it does so already.

    Raises Refused for a model that Keras has quantized.
    """
    config = model.get_config()
    policies = list(_policies(config))
    if quantized := [name for kind, name in policies if kind not in POLICIES]:
        raise Refused(
            f"{path}: was quantized by Keras ({quantized[0]}): give the model that it was made of"
        )
    if not any(name in HALF for _, name in policies):
        return None
    plain = type(model).from_config(_changed(config))
    plain.set_weights([np.asarray(each, "float32") for each in model.get_weights()])
    return plain


def _policies(config: Any) -> Iterator[tuple[str, str]]:
    """(kind, name) of what layers compute in, as often as it is said."""
    if isinstance(config, dict):
        kind = str(config.get("class_name"))
        if kind.endswith(POLICIES):
            yield kind, str(config["config"].get("name") or config["config"].get("mode"))
        elif isinstance(config.get("dtype"), str):
            yield POLICIES[0], config["dtype"]
        for each in config.values():
            yield from _policies(each)
    elif isinstance(config, list | tuple):
        for each in config:
            yield from _policies(each)


def _changed(config: Any) -> Any:
    """The configuration with float32 wherever a layer says what it computes in."""
    if isinstance(config, dict):
        if config.get("class_name") in POLICIES:
            return {**config, "config": {**config["config"], "name": "float32"}}
        return {
            key: "float32" if key == "dtype" and each in HALF else _changed(each)
            for key, each in config.items()
        }
    if isinstance(config, list | tuple):
        return type(config)(_changed(each) for each in config)
    return config
