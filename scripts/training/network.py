"""Small convolution networks as lists of layers: trained in Keras, written as plain weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Conv:
    """A convolution, batch normalisation and ReLU. residual: its input is added before the ReLU."""

    filters: int
    size: int = 3
    stride: int = 1
    dilation: int = 1
    residual: bool = False


@dataclass(frozen=True)
class Head:
    """A 1x1 convolution on the last features, with its own activation. pooled: on their mean."""

    name: str
    filters: int
    activation: str  # "softmax", "sigmoid" or "relu"
    bias: float = 0.0
    pooled: bool = False


@dataclass(frozen=True)
class Network:
    """Grey pictures (height, width, 1) in 0 to 1 go in, one tensor per head comes out."""

    height: int
    width: int
    body: tuple[Conv, ...]
    heads: tuple[Head, ...]
    dropout: float = 0.0


@dataclass(frozen=True)
class Layer:
    """Trained weights with the normalisation folded in. kernel: (h, w, in, out). bias: (out,)."""

    kernel: Weights
    bias: Weights


def trainable(network: Network) -> keras.Model:
    """A Keras model with batch normalisation. Its outputs are those of the heads, in order."""
    inputs = keras.Input((network.height, network.width, 1))
    x = inputs
    for number, conv in enumerate(network.body):
        y = keras.layers.Conv2D(
            conv.filters, conv.size, strides=conv.stride, padding="same", use_bias=False,
            dilation_rate=conv.dilation, name=f"conv{number}", kernel_initializer="he_normal",
        )(x)  # fmt: skip
        y = keras.layers.BatchNormalization(momentum=0.95, name=f"norm{number}")(y)
        x = keras.layers.ReLU()(keras.layers.Add()([x, y]) if conv.residual else y)
    outputs = []
    for head in network.heads:
        y = keras.layers.GlobalAveragePooling2D(keepdims=True)(x) if head.pooled else x
        y = keras.layers.Dropout(network.dropout)(y) if network.dropout else y
        y = keras.layers.Conv2D(
            head.filters, 1, name=head.name,
            bias_initializer=keras.initializers.Constant(head.bias),
        )(y)  # fmt: skip
        y = keras.layers.Flatten()(y) if head.pooled else y
        outputs.append(keras.layers.Activation(head.activation)(y))
    return keras.Model(inputs, outputs)


def folded(network: Network, model: keras.Model) -> tuple[list[Layer], list[Layer]]:
    """(body, heads) of a trained model: convolutions that need no normalisation any more."""
    body = []
    for number in range(len(network.body)):
        kernel = model.get_layer(f"conv{number}").get_weights()[0]
        norm = model.get_layer(f"norm{number}")
        gamma, beta, mean, variance = norm.get_weights()
        gain = gamma / np.sqrt(variance + norm.epsilon)
        body.append(Layer(kernel * gain, beta - mean * gain))
    heads = [Layer(*model.get_layer(head.name).get_weights()) for head in network.heads]
    return body, heads


def same_padding(side: int, conv: Conv) -> tuple[int, int]:
    """(before, after): the zeros that TensorFlow's "same" puts beside a row of this length."""
    reach = (conv.size - 1) * conv.dilation + 1
    total = max(0, (-(-side // conv.stride) - 1) * conv.stride + reach - side)
    return total // 2, total - total // 2


def sides(network: Network) -> Sequence[tuple[int, int]]:
    """(height, width) of the features before each convolution of the body, and after the last."""
    found = [(network.height, network.width)]
    for conv in network.body:
        height, width = found[-1]
        found.append((-(-height // conv.stride), -(-width // conv.stride)))
    return found
