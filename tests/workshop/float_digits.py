"""The zoo's networks as float32 model folders, with pictures to calibrate on; needs TensorFlow.

The zoo has them quantized. Their weights are brought back, and then every feature is made larger or
smaller by chance and the next layer undoes it: the network computes the same, but its weights lie
on no integers any more, and features differ in size as those of other people's networks do.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from models import manifest
from models.manifest import Manifest, Output
from runtime.engines import EngineOptions, open_engine

ROOT = Path(__file__).resolve().parents[2]
ENGINES = {"tflite": "litert", "onnx": "onnxruntime"}


@dataclass(frozen=True)
class FloatDigits:
    """tflite, onnx: model folders. calibration, held: .npy of prepared pictures, float32
    (n, height, width, 1); those of .onnx have `_nchw` in their names."""

    tflite: Path
    onnx: Path
    calibration: Path
    held: Path

    def model(self, kind: str) -> Path:
        """The folder of this format."""
        return self.tflite if kind == "tflite" else self.onnx

    def samples(self, kind: str, held: bool = False) -> Path:
        """The pictures for the network of this format."""
        path = self.held if held else self.calibration
        return path if kind == "tflite" else path.with_name(f"{path.stem}_nchw.npy")


def float_digits(name: str, folder: Path, spread: float = 1.5) -> FloatDigits:
    """name: `digits` or `digits-detect`. spread: features differ by up to 2 to the power of twice
    that; 3 costs int8 some points, 5 all of them. folder: is made."""
    return several_float_digits([(name, folder, spread)])[0]


def several_float_digits(wanted: Sequence[tuple[str, Path, float]]) -> list[FloatDigits]:
    """Of each (name, folder, spread). Made in one process of their own: TensorFlow is large."""
    words = [str(word) for one in wanted for word in one]
    told = subprocess.run([sys.executable, __file__, *words], cwd=ROOT, stderr=subprocess.PIPE)
    assert told.returncode == 0, told.stderr.decode()[-2000:]
    return [
        FloatDigits(each / "tflite", each / "onnx", each / "calibration.npy", each / "held.npy")
        for _, each, _ in wanted
    ]


def folder_of(float_folder: Path, file: Path, into: Path) -> Path:
    """A model folder with `file` in place of the float network, its manifest as its tensors are."""
    described = manifest.load(float_folder)
    into.mkdir(parents=True, exist_ok=True)
    (into / "labels.txt").write_bytes((float_folder / "labels.txt").read_bytes())
    (into / described.file).write_bytes(file.read_bytes())
    engine = open_engine(ENGINES[described.format], file, EngineOptions(threads=1))
    takes, gives = engine.takes, engine.gives
    engine.close()
    seen = msgspec.structs.replace(
        described.input, dtype=takes.dtype, scale=takes.scale, zero_point=takes.zero_point
    )
    outputs = tuple(msgspec.convert(asdict(each), Output) for each in gives)
    tables = msgspec.structs.replace(described, input=seen, outputs=outputs)
    manifest.write(into, msgspec.convert(msgspec.to_builtins(tables), Manifest))
    return into


def _write(name: str, folder: Path, spread: float) -> None:
    sys.path[:0] = [str(ROOT / "scripts" / "training"), str(ROOT)]
    import numpy as np
    import publish  # type: ignore[import-not-found]
    from tflite_file import converted  # type: ignore[import-not-found]

    if name == "digits":
        from digits import NETWORK, RECIPE  # type: ignore[import-not-found]
    else:
        from digits_detect import NETWORK, RECIPE  # type: ignore[import-not-found]

    body, heads = _weights(name, NETWORK)
    body, heads = _resized(NETWORK, body, heads, spread)
    trained = publish.Trained(NETWORK, body, heads, np.zeros(0, np.uint8))
    publish.publish_float(folder / "onnx", RECIPE, trained)
    (folder / "tflite").mkdir(parents=True)
    converter = converted(NETWORK, body, heads)
    (folder / "tflite" / f"{RECIPE.name}.tflite").write_bytes(converter.convert())
    publish.describe(folder / "tflite", RECIPE, NETWORK)
    for kind, seed, count in (("calibration", 1, 96), ("held", 2, 32)):
        pictures = _pictures(name, NETWORK, np.random.default_rng(seed), count)
        np.save(folder / f"{kind}.npy", pictures[..., None])
        np.save(folder / f"{kind}_nchw.npy", pictures[:, None])


def _weights(name: str, network):  # type: ignore[no-untyped-def]
    """(body, heads) of the zoo's Q/DQ network, whose biases are floats."""
    import numpy as np
    import onnx
    from network import Layer  # type: ignore[import-not-found]
    from onnx import numpy_helper

    model = onnx.load(ROOT / "models" / "zoo" / name / "onnx" / f"{name}.onnx")
    arrays = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}

    def layer(conv: str) -> Layer:
        whole = arrays[f"{conv}.weight_quantized"].astype(np.float32)
        kernel = whole * arrays[f"{conv}.weight_scale"][:, None, None, None]
        return Layer(kernel.transpose(2, 3, 1, 0), arrays[f"{conv}.bias"])

    return (
        [layer(f"conv{number}") for number in range(len(network.body))],
        [layer(f"{head.name}.conv") for head in network.heads],
    )


def _resized(network, body, heads, spread: float):  # type: ignore[no-untyped-def]
    """The same function: a ReLU lets a positive factor through, and what is added has its own."""
    import numpy as np
    from network import Layer

    before, changed = np.ones(1, np.float32), []
    rng = np.random.default_rng(7)
    for conv, layer in zip(network.body, body, strict=True):
        after = before
        if not conv.residual:
            after = np.exp2(rng.uniform(-spread, spread, conv.filters)).astype(np.float32)
        kernel = layer.kernel / before[:, None] * after
        changed.append(Layer(kernel.astype(np.float32), (layer.bias * after).astype(np.float32)))
        before = after
    return changed, [
        Layer((head.kernel / before[:, None]).astype(np.float32), head.bias) for head in heads
    ]


def _pictures(name: str, network, rng, count: int):  # type: ignore[no-untyped-def]
    """(n, height, width) in 0 to 1, of samples that are not held out."""
    import numpy as np
    import pictures  # type: ignore[import-not-found]
    import samples  # type: ignore[import-not-found]

    from runtime.cameras.scene import Samples

    drawn = pictures.one_digit if name == "digits" else pictures.several_digits
    prepare = pictures.Preparer(network.width, network.height)
    seen = drawn(Samples(*samples.train_part()), count, prepare, rng)
    whole = np.stack([one.pixels for one in seen]).astype(np.float32) / 255
    whole[0, 0, :2] = 0, 1  # the input must hold every pixel value
    return whole


if __name__ == "__main__":
    words = sys.argv[1:]
    for one, where, wide in zip(words[::3], words[1::3], words[2::3], strict=True):
        _write(one, Path(where), float(wide))
