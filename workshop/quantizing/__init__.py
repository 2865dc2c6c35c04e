"""Smaller numbers: float32 files in, float16, int8 and mixed ones out.

Every quantizer is asked the same (`Request`) and answers the same (`Made`):
`run_step(QUANTIZERS["tflite"], Request(...), Made, tell)`.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from workshop.reading import Format

Precision = Literal["float16", "dynamic", "int8", "int8x16"]
Method = Literal["minmax", "entropy", "percentile"]
Suits = Literal["tensorrt", "cpu"]

QUANTIZERS: dict[Format, str] = {
    "tflite": "workshop.quantizing.tflite",
    "onnx": "workshop.quantizing.onnx",
}
SENSITIVITY = "workshop.quantizing.sensitivity"
CALIBRATED: tuple[Precision, ...] = ("int8", "int8x16")  # these look at samples first


class Request(Struct, frozen=True):
    """What to quantize. source: a float32 .tflite or .onnx with one input. file: what is written.

    float16: weights in half the bytes; sums in float32 on a CPU, in float16 on a GPU.
    dynamic: int8 weights; activations are float32 and rounded while it runs; needs no samples.
    int8: weights (per channel) and activations. A .tflite has int8 inputs and outputs, an .onnx
    float32 ones with Q/DQ nodes behind them, as `suits` says.
    int8x16: int8 weights, int16 activations, float32 inputs and outputs: for networks that lose too
    much by int8; slower than int8 wherever there are no kernels for it.

    calibration: an .npy of prepared inputs, float32, (n, *shape) or without the batch of 1 in
    shape; int8 and int8x16 need it. method: how the range of an activation follows from what it
    was on them: all of it, the clipping that loses least information (entropy), or without the
    outermost 100 - `percentile` percent. ranges: a JSON file that keeps the ranges: read if it is
    there, written if not, so that the same source is calibrated once for many requests.
    suits: of an .onnx of int8: TensorRT wants symmetric int8 activations; a CPU is quicker with
    asymmetric uint8 ones, which are more exact, too, behind a ReLU, and which TensorRT refuses.
    keep: layers that stay float32, by name or pattern ("block_1/*"). whole: refuse where any other
    layer cannot be quantized, as accelerators that run nothing but integers need it.
    """

    source: str
    file: str
    precision: Precision
    calibration: str | None = None
    method: Method = "minmax"
    percentile: float = 99.99
    ranges: str | None = None
    suits: Suits = "tensorrt"
    keep: tuple[str, ...] = ()
    whole: bool = False


class Layer(Struct, frozen=True):
    """One operator of the source. kind: as its format names it ("CONV_2D", "Conv").

    precision: what it is now. why: it stayed float32: "kept" on wish, or why it cannot be less.
    """

    name: str
    kind: str
    precision: Precision | Literal["float32"]
    why: str = ""


class Made(Struct, frozen=True):
    """What came out. file: as it was asked for. steps: what was done, a line each, for the
    manifest. tools: packages that did it, with versions. notes: what the user should know."""

    file: str
    steps: tuple[str, ...]
    tools: dict[str, str]
    layers: tuple[Layer, ...]
    notes: tuple[str, ...] = ()


class SensitivityRequest(Struct, frozen=True):
    """Which layers suffer? As Request; held: an .npy of other inputs than those of `calibration`,
    on which outputs are compared (at most `most` of them)."""

    source: str
    precision: Precision
    held: str
    calibration: str | None = None
    method: Method = "minmax"
    percentile: float = 99.99
    ranges: str | None = None
    suits: Suits = "tensorrt"
    most: int = 16


class Suffered(Struct, frozen=True):
    """What happens to the outputs when this layer alone is quantized; of several the worst.

    sqnr_db: 10 log10 of the signal's power to the error's. cosine: between the outputs.
    """

    name: str
    kind: str
    sqnr_db: float
    cosine: float


class Sensitivity(Struct, frozen=True):
    """layers: the most sensitive first. whole: all of them quantized together."""

    layers: tuple[Suffered, ...]
    whole: Suffered
    tools: dict[str, str]
