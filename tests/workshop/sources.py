"""`python -m tests.workshop.sources keras|torch FOLDER`: one small network in all its forms."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path


def write_keras(folder: Path) -> None:
    """net.keras, net.h5, saved/, net.tflite."""
    import tensorflow as tf

    network = importlib.import_module("tests.workshop.tf_networks").mobilenet_like()
    network.save(folder / "net.keras")
    network.save(folder / "net.h5")
    network.export(folder / "saved")
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved"))
    (folder / "net.tflite").write_bytes(converter.convert())


def write_torch(folder: Path) -> None:
    """net.pt2, net.ts, net.pt (weights), net.onnx, and networks.py, the code that they are of."""
    import torch

    networks = importlib.import_module("tests.workshop.torch_networks")
    network = networks.seeded(networks.MobileNet)
    given = torch.rand(1, 3, networks.SIDE, networks.SIDE)
    torch.export.save(torch.export.export(network, (given,)), folder / "net.pt2")
    torch.jit.trace(network, (given,)).save(str(folder / "net.ts"))
    torch.save(network.state_dict(), folder / "net.pt")
    torch.onnx.export(network, (given,), folder / "net.onnx", dynamo=False)
    shutil.copyfile(networks.__file__, folder / "networks.py")


if __name__ == "__main__":
    {"keras": write_keras, "torch": write_torch}[sys.argv[1]](Path(sys.argv[2]))
