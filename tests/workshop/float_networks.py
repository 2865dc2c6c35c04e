"""Float32 networks in the shapes of MobileNetV2 and YOLO as files, for what makes them smaller.

`python float_networks.py tflite|onnx FOLDER`: TensorFlow and PyTorch crash in one process, so they
get one each.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def float_networks(kind: str, folder: Path) -> None:
    """Write mobilenet and yolo into `folder`; as .tflite also `curved`, with an ELU, which
    ai-edge-quantizer has no integer form of."""
    words = [sys.executable, __file__, kind, str(folder)]
    told = subprocess.run(words, cwd=ROOT, stderr=subprocess.PIPE)
    assert told.returncode == 0, told.stderr.decode()[-2000:]


def _tflite(folder: Path) -> None:
    import keras
    import tensorflow as tf

    from tests.workshop import tf_networks

    layers = [keras.layers.Conv2D(4, 3), keras.layers.ELU(), keras.layers.Conv2D(2, 1)]
    models: dict[str, Any] = {
        "mobilenet": tf_networks.mobilenet_like(),
        "yolo": tf_networks.yolo_like(),
        "curved": keras.Sequential([keras.Input((8, 8, 3)), *layers]),
    }
    for name, model in models.items():
        one = keras.Input(batch_shape=(1, *model.input_shape[1:]))
        converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(one, model(one)))
        (folder / f"{name}.tflite").write_bytes(converter.convert())


def _onnx(folder: Path) -> None:
    import torch

    from tests.workshop import torch_networks

    given = torch.rand(1, 3, torch_networks.SIDE, torch_networks.SIDE)
    for name, kind in (("mobilenet", torch_networks.MobileNet), ("yolo", torch_networks.Yolo)):
        network = torch_networks.seeded(kind)
        torch.onnx.export(
            network, (given,), folder / f"{name}.onnx", opset_version=17, dynamo=False
        )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    {"tflite": _tflite, "onnx": _onnx}[sys.argv[1]](Path(sys.argv[2]))
