"""Writes a trained network as a TFLite file in which everything is int8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from network import Conv, Layer, Network

Pictures = npt.NDArray[np.float32]


def converted(network: Network, body: list[Layer], heads: list[Layer]) -> tf.lite.TFLiteConverter:
    """A converter for the plain network: input (1, height, width, 1), one output per head."""

    def convolve(x: tf.Tensor, layer: Layer, conv: Conv) -> tf.Tensor:
        y = tf.nn.conv2d(x, layer.kernel, conv.stride, "SAME", dilations=conv.dilation)
        return tf.nn.bias_add(y, layer.bias)

    @tf.function(
        input_signature=[tf.TensorSpec((1, network.height, network.width, 1), name="picture")]
    )
    def forward(picture: tf.Tensor) -> list[tf.Tensor]:
        x = picture
        for conv, layer in zip(network.body, body, strict=True):
            y = convolve(x, layer, conv)
            x = tf.nn.relu(x + y if conv.residual else y)
        outputs = []
        for head, layer in zip(network.heads, heads, strict=True):
            y = tf.reduce_mean(x, (1, 2), keepdims=True) if head.pooled else x
            y = convolve(y, layer, Conv(head.filters, 1))
            y = tf.reshape(y, (1, head.filters)) if head.pooled else y
            outputs.append(getattr(tf.nn, head.activation)(y))
        return outputs

    module = tf.Module()
    module.forward = forward
    return tf.lite.TFLiteConverter.from_concrete_functions(
        [forward.get_concrete_function()], module
    )


def write_int8(converter: tf.lite.TFLiteConverter, file: Path, pictures: Pictures) -> None:
    """Calibrate on pictures (n, height, width) in 0 to 1 and write the file."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([one[None, :, :, None]] for one in pictures)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    file.write_bytes(converter.convert())
