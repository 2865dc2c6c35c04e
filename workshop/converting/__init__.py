"""A trained model becomes a model folder: read, proven, described, quantised, checked, written."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from workshop.preprocessing.agreement import Agreement
from workshop.quantizing import Layer, Method, Precision, Suits
from workshop.quantizing.mixed import Tried
from workshop.reading import Format

Wish = Literal["float32"] | Precision


class Wanted(Struct, frozen=True):
    """What to make of what. None: as the source, the model in `like`, or the usual says.

    source: as `workshop.reading.kinds.kind_of` takes it. out: the folder to be written. like: a
    model folder or bundle whose manifest tells what tensors cannot. labels: a file, one a line.
    preprocessing: a file that tells what training did to its pictures, or `module:function`.
    calibrate, calibrate_count: samples that int8 looks at. data: samples with a truth. keep_within:
    how much worse than float32 it may be on them, 0 to 1; mixed precision finds what to keep.
    suits: what an .onnx of int8 is best for. keep: layers that stay float32. tolerance: between the
    source framework and the float32 file, in shares of the larger of 1 and the largest value of an
    output.
    """

    source: str
    to: Format
    out: str
    precision: Wish = "float32"
    like: str | None = None
    name: str | None = None
    version: str | None = None
    task: str | None = None
    head: str | None = None
    labels: str | None = None
    preprocessing: str | None = None
    input_shape: tuple[int, ...] | None = None
    signature: str | None = None
    trusted: bool = False
    calibrate: str | None = None
    calibrate_count: int = 200
    method: Method = "minmax"
    percentile: float = 99.99
    suits: Suits = "tensorrt"
    keep: tuple[str, ...] = ()
    whole: bool = False
    data: str | None = None
    data_count: int | None = None
    keep_within: float | None = None
    tolerance: float = 1e-4
    golden: int = 4
    seed: int = 0
    replacing: bool = False


class Judged(Struct, frozen=True):
    """How right the float32 file and what was made of it are on the same samples, 0 to 1."""

    metric: str
    samples: int
    float32: float
    made: float


class Kept(Struct, frozen=True):
    """Mixed precision, and how it was found. layers: that stay float32, the most sensitive first.
    of: how many could be lowered. score: how right the model is with them. tried: in order."""

    layers: tuple[str, ...]
    of: int
    score: float
    tried: tuple[Tried, ...]


class Converted(Struct, frozen=True):
    """What was made.

    difference: of the float32 file from the source framework, as `tolerance` counts. size,
    float_size: bytes of the model file, and of the float32 one. mixed: how the layers to keep were
    found. agreement: of the training's own preprocessing with the runtime's. guesses: what nobody
    has said, a line each; notes: what else the user should know.
    """

    out: str
    digest: str
    file: str
    precision: Wish
    difference: float
    size: int
    float_size: int
    inference_us: float
    golden: int
    layers: tuple[Layer, ...]
    mixed: Kept | None
    judged: Judged | None
    agreement: Agreement | None
    guesses: tuple[str, ...]
    notes: tuple[str, ...]
