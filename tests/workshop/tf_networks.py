"""Small networks in the shape of well-known ones, in Keras: with weights as after a training."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from workshop.step import QUIET

SEED = 4
for name in ("TF_ENABLE_ONEDNN_OPTS", "TF_CPP_MIN_LOG_LEVEL"):
    os.environ[name] = QUIET[name]  # as in a step: TensorFlow reads it when it is imported first


def mobilenet_like(side: int = 32, classes: int = 10) -> Any:
    """Inverted residuals (1x1, depthwise, 1x1), ReLU6, global pooling, softmax; pixels 0 to 255.

    Source of the shape: Sandler et al. 2018 (arXiv:1801.04381), table 2.
    """
    import keras

    layers = keras.layers
    pixels = keras.Input((side, side, 3), name="pixels")
    x = layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    x = _normed(layers, layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x), "relu6")
    for filters, stride in ((8, 1), (16, 2), (16, 1), (24, 2)):
        x = _inverted(layers, x, filters, stride)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    scores = layers.Dense(classes, activation="softmax", name="scores")(x)
    return _trained(keras.Model(pixels, scores, name="mobilenet_like"))


def yolo_like(side: int = 64, classes: int = 3) -> Any:
    """SiLU, split and joined branches, pooled neighbourhoods, a grid made larger and joined, and
    three heads: of boxes and scores over two grids, and the coarse grid by itself.

    Source of the shape: YOLOv8's backbone, SPPF and heads (Ultralytics, 2023).
    """
    import keras

    layers = keras.layers
    pictures = keras.Input((side, side, 3), name="images")
    fine = _branched(layers, _conv(layers, _conv(layers, pictures, 8, 3, 2), 16, 3, 2), 16)
    coarse = _branched(layers, _conv(layers, fine, 24, 3, 2), 24)
    pooled = layers.MaxPooling2D(5, strides=1, padding="same")(coarse)
    coarse = _conv(layers, layers.Concatenate()([coarse, pooled]), 24, 1)
    larger = layers.UpSampling2D(2, interpolation="nearest")(coarse)
    fine = _branched(layers, layers.Concatenate()([larger, fine]), 16)
    down = _conv(layers, fine, 16, 3, 2)
    coarse = _branched(layers, layers.Concatenate()([down, coarse]), 24)
    boxes = [layers.Reshape((-1, 4))(layers.Conv2D(4, 1)(grid)) for grid in (fine, coarse)]
    scores = [layers.Reshape((-1, classes))(layers.Conv2D(classes, 1)(g)) for g in (fine, coarse)]
    boxes = layers.ReLU(name="boxes")(layers.Concatenate(axis=1)(boxes))
    scores = layers.Activation("sigmoid", name="scores")(layers.Concatenate(axis=1)(scores))
    grid = layers.Conv2D(4, 1, name="a_grid")(coarse)
    return _trained(keras.Model(pictures, [scores, boxes, grid], name="yolo_like"))


def _normed(layers: Any, x: Any, activation: str) -> Any:
    return layers.Activation(activation)(layers.BatchNormalization()(x))


def _inverted(layers: Any, x: Any, filters: int, stride: int) -> Any:
    wide = 4 * x.shape[-1]
    y = _normed(layers, layers.Conv2D(wide, 1, use_bias=False)(x), "relu6")
    y = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(y)
    y = _normed(layers, y, "relu6")
    y = _normed(layers, layers.Conv2D(filters, 1, use_bias=False)(y), "linear")
    return layers.Add()([x, y]) if stride == 1 and filters == x.shape[-1] else y


def _conv(layers: Any, x: Any, filters: int, size: int, stride: int = 1) -> Any:
    y = layers.Conv2D(filters, size, strides=stride, padding="same", use_bias=False)(x)
    return _normed(layers, y, "silu")


def _branched(layers: Any, x: Any, filters: int) -> Any:
    kept, worked = (_conv(layers, x, filters // 2, 1) for _ in range(2))
    more = _conv(layers, _conv(layers, worked, filters // 2, 3), filters // 2, 3)
    joined = layers.Concatenate()([kept, worked, layers.Add()([worked, more])])
    return _conv(layers, joined, filters, 1)


def _trained(model: Any) -> Any:
    """With weights and statistics drawn by a seed, so that no two channels are alike."""
    chance = np.random.default_rng(SEED)
    for layer in model.layers:
        drawn = []
        for weight in layer.weights:
            if weight.name in ("gamma", "moving_variance"):
                drawn.append(chance.uniform(0.5, 1.5, weight.shape))
            elif weight.name in ("kernel", "depthwise_kernel"):
                inputs = np.prod(weight.shape[:-1]) if weight.name == "kernel" else 9
                drawn.append(chance.normal(0, np.sqrt(2 / inputs), weight.shape))
            else:
                drawn.append(chance.normal(0, 0.2, weight.shape))
        if drawn and not hasattr(layer, "seed_generator"):
            layer.set_weights(drawn)
    return model
