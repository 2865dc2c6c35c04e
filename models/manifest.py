"""The manifest: what a model is, what it eats and what its outputs mean. Parsed once, frozen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tomli_w
from msgspec import Meta, Struct

from models.consistency import contradictions
from models.made import Made
from models.plain import open_plain
from models.plans import Plan
from models.row import Row
from models.toml_layout import compact
from wire.complaints import FLAT_NAME_PATTERN, refusal
from wire.durable import write_durably
from wire.names import Name, Version
from wire.troubles import Refused, one_line
from wire.typed_toml import LARGEST, as_utf8, tables_of, typed

FILE_NAME = "manifest.toml"

FlatName = Annotated[str, Meta(pattern=FLAT_NAME_PATTERN)]
TensorName = Annotated[str, Meta(max_length=256)]
Side = Annotated[int, Meta(ge=1, le=8192)]
Dimension = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Count = Annotated[int, Meta(ge=1, le=100_000)]
Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Words = Annotated[str, Meta(max_length=300)]
Label = Annotated[str, Meta(min_length=1, max_length=64)]
Place = Annotated[int, Meta(ge=0, le=511)]
DType = Literal[
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
    "float16", "float32", "float64",
]  # fmt: skip


class Input(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a picture becomes the input tensor.

    real = (pixel - mean) / std, pixel 0 to 255, per channel in the order of `colour` (one value
    stands for all channels); stored = round(real / scale) + zero_point where the model is
    quantised. `fit` says how the frame is brought to width x height; `resize`, of fit crop: its
    shorter side is brought to so many pixels first, of which the middle is taken; `padding` is the
    pixel value beside a letterboxed picture.
    """

    width: Side
    height: Side
    colour: Literal["rgb", "bgr", "grey"]
    layout: Literal["NHWC", "NCHW"]
    dtype: Literal["uint8", "int8", "float32"]
    mean: Annotated[tuple[float, ...], Meta(max_length=3)] = (0.0,)
    std: Annotated[tuple[Positive, ...], Meta(max_length=3)] = (1.0,)
    scale: Positive | None = None
    zero_point: int | None = None
    fit: Literal["letterbox", "stretch", "crop"] = "letterbox"
    interpolation: Literal[
        "nearest", "nearest-exact", "bilinear", "area", "antialias", "antialias-bicubic",
    ] = "bilinear"  # fmt: skip
    padding: Annotated[int, Meta(ge=0, le=255)] = 0
    resize: Side | None = None

    @property
    def channels(self) -> int:
        return 1 if self.colour == "grey" else 3

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the input tensor."""
        picture = (self.height, self.width)
        if self.layout == "NHWC":
            return (1, *picture, self.channels)
        return (1, self.channels, *picture)


NO_PICTURE = Input(0, 0, "grey", "NHWC", "float32")  # of a model that takes rows: nobody writes it


class Output(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One output tensor, as the model file has it."""

    name: TensorName
    shape: Annotated[tuple[Dimension, ...], Meta(max_length=8)]
    dtype: DType
    scale: Positive | None = None
    zero_point: int | None = None


class Anchors(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """SSD's default boxes, made by rule, in the words of TensorFlow's ssd_anchor_generator.

    A grid of ceil(side / stride) cells for each stride, one after the other; the scale goes evenly
    from min_scale to max_scale, in shares of the shorter side. interpolated_scale_aspect_ratio: of
    one more box with a scale between this grid's and the next; 0: there is none.
    Source: Liu et al. 2016 (arXiv:1512.02325), section 2.2.
    """

    strides: Annotated[tuple[Count, ...], Meta(min_length=1, max_length=16)]
    min_scale: Positive = 0.2
    max_scale: Positive = 0.95
    aspect_ratios: Annotated[tuple[Positive, ...], Meta(min_length=1, max_length=16)] = (
        1.0, 2.0, 0.5, 3.0, 0.3333,
    )  # fmt: skip
    interpolated_scale_aspect_ratio: Annotated[float, Meta(ge=0)] = 1.0
    reduce_boxes_in_lowest_layer: bool = True


class Decoding(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the outputs mean; docs/models.md has a table of heads.

    head: classify: "probabilities" | "logits"; regress: "values"; raw: "none"; detect: "ssd"
    (TFLite's post-process op) | "ssd-raw" (without it: boxes and scores) | "fcos" (scores and edge
    distances per grid cell) | "yolov5" | "yolov8" | "yolox" | "yolov10" (end to end).
    boxes: what the model's box values are, unless it is what the head usually gives. nms: which
    boxes may suppress each other, those of one class or all. activation: what is still to be
    applied to scores. background: where scores have a class for "nothing", of head ssd-raw.
    segment: "probabilities" | "logits" | "classes" | "yolov8"; pose: "movenet" | "yolov8" |
    "heatmaps"; embed: "vector" | "unit-vector". min_share: of the picture, smaller regions are not
    found. mask_side: the most cells of a mask across and down. keypoints: names, in the model's
    order; skeleton: which are joined, pairs of places in it, from 0.
    box_order (of offsets "yxhw", of corners "xywh" unless said), variances (of centre and size, or
    of x, y, width, height) and the anchors, by rule or from a file, say how the boxes of head
    ssd-raw are read.
    """

    head: Literal[
        "probabilities", "logits", "ssd", "ssd-raw", "fcos", "yolov5", "yolov8", "yolox",
        "yolov10", "classes", "movenet", "heatmaps", "vector", "unit-vector", "values",
        "none",
    ] = "none"  # fmt: skip
    top_k: Count = 5
    min_score: Share = 0.0
    max_overlap: Share = 0.5
    max_boxes: Count = 100
    nms: Literal["class-aware", "class-agnostic"] = "class-aware"
    boxes: Literal["pixels", "shares", "grid", "offsets"] | None = None
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    background: Literal["none", "first", "last"] = "none"
    box_order: Literal["yxhw", "xywh"] | None = None
    variances: Annotated[tuple[Positive, ...], Meta(max_length=4)] = (0.1, 0.2)
    anchors: Anchors | None = None
    anchors_file: FlatName | None = None
    min_share: Share = 0.001
    mask_side: Annotated[int, Meta(ge=1, le=1024)] = 128
    keypoints: Annotated[tuple[Label, ...], Meta(max_length=512)] = ()
    skeleton: Annotated[tuple[tuple[Place, Place], ...], Meta(max_length=1024)] = ()


class Golden(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A picture in the bundle and the answer expected for it (`Found` as JSON in `answer`).

    Of a model that takes rows the picture is a CSV file of one row. The top class must agree and
    scores, shares and lengths lie within `tolerance`, values within that share of the largest;
    boxes and masks must overlap by min_overlap, the points of a pose be as near (OKS); vectors have
    min_cosine.
    """

    picture: FlatName
    answer: FlatName
    tolerance: Share = 0.1
    min_overlap: Share = 0.6
    min_cosine: Share = 0.95


class Limits(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the model may cost on a device."""

    p95_ms: Positive | None = None
    memory_mb: Positive | None = None


class Floors(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What no deployment may ask less of, when this model is tried on a device.

    trial_s: the shortest trial, in seconds. first_result_s: the first result comes within. The
    model must give fps_share of the frames per second of the one before; its mean score may be
    score_drop lower; error_share of its results may hold a score that is no number.
    """

    trial_s: Annotated[float, Meta(gt=0, le=604_800)] | None = None
    first_result_s: Annotated[float, Meta(gt=0, le=3600)] | None = None
    fps_share: Share | None = None
    score_drop: Share | None = None
    error_share: Share | None = None


class Measured(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How right the model was: the share, by a metric ("top1", "map50") on some pictures."""

    metric: Name
    value: Share
    on: Words
    samples: Count | None = None


class Card(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What people should know of a model. No device looks at it.

    Source: M. Mitchell et al., Model Cards for Model Reporting, 2019; this is its shortest form.
    """

    summary: Words = ""
    licence: Words = ""
    accuracy: Annotated[tuple[Measured, ...], Meta(max_length=16)] = ()


class Manifest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A whole manifest. Files are named flat: everything lies in one folder. A model takes either a
    picture (`input`) or a row (`row`)."""

    schema: Literal[1]
    name: Name
    version: Version
    task: Literal["classify", "regress", "detect", "segment", "pose", "embed", "raw"]
    format: Literal["tflite", "onnx"]
    file: FlatName
    input: Input = NO_PICTURE
    outputs: Annotated[tuple[Output, ...], Meta(max_length=64)] = ()
    decoding: Decoding = Decoding()
    labels: FlatName | None = None
    golden: Annotated[tuple[Golden, ...], Meta(max_length=64)] = ()
    plans: Annotated[tuple[Plan, ...], Meta(max_length=16)] = ()
    boards: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()
    limits: Limits = Limits()
    floors: Floors = Floors()
    card: Card = Card()
    made: Made | None = None
    row: Row | None = None

    @property
    def takes(self) -> Input | Row:
        """What the model is given: a picture, or a row of numbers."""
        return self.input if self.row is None else self.row

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that belongs to the model: the manifest first, the others sorted by name."""
        named = {self.file} | {name for one in self.golden for name in (one.picture, one.answer)}
        named |= {plan.file for plan in self.plans}
        if self.labels is not None:
            named.add(self.labels)
        if self.decoding.anchors_file is not None:
            named.add(self.decoding.anchors_file)
        return (FILE_NAME, *sorted(named))


def parse(text: str, where: str) -> Manifest:
    """Read a manifest. Raises Refused with file, line and key of what is wrong in it."""
    manifest = typed(tables_of(text, where), Manifest, text, where)
    for path, what in contradictions(manifest):
        raise refusal(where, text, path, what)
    return manifest


def load(folder: Path) -> Manifest:
    """The manifest of a model folder. Raises Refused."""
    path = folder / FILE_NAME
    try:
        with open_plain(path) as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}: a model folder needs a {FILE_NAME}") from None
    return from_bytes(content, str(path))


def from_bytes(content: bytes, where: str) -> Manifest:
    """Read a manifest as it lies in a file or a bundle. Raises Refused."""
    return parse(as_utf8(content, where), where)


def write(folder: Path, manifest: Manifest, notes: Sequence[str] = ()) -> None:
    """Write the manifest of a model folder durably. notes: comments, a line each. Raises Refused if
    it contradicts itself."""
    write_durably(folder / FILE_NAME, as_text(manifest, notes).encode("utf-8"))


def as_text(manifest: Manifest, notes: Sequence[str] = ()) -> str:
    """The manifest as TOML, defaults left out, in the order of the fields, below its notes.

    Raises Refused for a manifest that `parse` would not give back as it is.
    """
    above = "".join(f"# {one_line(note)}\n" for note in notes)
    text = above + compact(tomli_w.dumps(as_tables(manifest)))
    if parse(text, FILE_NAME) != manifest:
        raise Refused(f"{FILE_NAME}: cannot be written so that it reads back the same")
    return text


def as_tables(manifest: Manifest) -> dict[str, Any]:
    """The manifest as plain tables, defaults left out: what a TOML writer takes."""
    tables: dict[str, Any] = msgspec.to_builtins(manifest)
    row = {"row": tables.pop("row")} if "row" in tables else {}
    return row | tables  # what goes in before what comes out
