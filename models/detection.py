"""What a manifest may not say of a head that finds boxes: keys that the head has no use for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wire.toml_lines import KeyPath

if TYPE_CHECKING:
    from models.manifest import Anchors, Decoding, Input, Manifest

# What the box values of each head can be; the first is meant where the manifest says nothing.
BOXES = {
    "yolov5": ("pixels", "shares"),
    "yolov8": ("pixels", "shares"),
    "yolox": ("grid", "pixels", "shares"),
    "yolov10": ("pixels", "shares"),
    "ssd-raw": ("offsets", "shares", "pixels"),
}
ACTIVATIONS = {
    "yolov5": ("none", "sigmoid"),
    "yolov8": ("none", "sigmoid"),
    "yolox": ("none", "sigmoid"),
    "ssd-raw": ("none", "sigmoid", "softmax"),
}
MAPS = ("probabilities", "logits", "classes")  # of task segment; consistency.py holds the tasks
MOST_ANCHORS = 250_000


def boxes_of(decoding: Decoding) -> str:
    """What the box values of a head in `BOXES` are."""
    return decoding.boxes or BOXES[decoding.head][0]


def anchors_per_cell(anchors: Anchors) -> tuple[int, ...]:
    """How many boxes stand in each cell of each grid."""
    more = anchors.interpolated_scale_aspect_ratio > 0
    each = len(anchors.aspect_ratios) + more
    first = 3 if anchors.reduce_boxes_in_lowest_layer else each
    return (first, *(each for _ in anchors.strides[1:]))


def anchor_count(anchors: Anchors, eats: Input) -> int:
    """How many boxes the rule makes for an input of this size."""
    return sum(
        -(-eats.width // stride) * -(-eats.height // stride) * count
        for stride, count in zip(anchors.strides, anchors_per_cell(anchors), strict=True)
    )


def detection(manifest: Manifest) -> Iterator[tuple[KeyPath, str]]:
    """Everything that is wrong in what is said of boxes: which key to change, and why."""
    decoding = manifest.decoding
    yield from _choices(decoding)
    if decoding.head == "ssd-raw" and boxes_of(decoding) == "offsets":
        if (decoding.anchors is None) == (decoding.anchors_file is None):
            yield (
                ("decoding", "anchors"),
                "head 'ssd-raw' needs either a table [decoding.anchors] or an anchors_file, unless "
                "boxes are 'shares' or 'pixels'",
            )
    else:
        for key in ("anchors", "anchors_file"):
            if getattr(decoding, key) is not None:
                yield ("decoding", key), "only offsets of head 'ssd-raw' need anchors: remove it"
    yield from _variances(decoding)
    if decoding.anchors is not None:
        yield from _rule(decoding.anchors, manifest.input)


def _choices(decoding: Decoding) -> Iterator[tuple[KeyPath, str]]:
    head = decoding.head
    if decoding.boxes is not None and decoding.boxes not in BOXES.get(head, ()):
        possible = " or ".join(BOXES.get(head, ()))
        advice = f"use {possible}" if possible else "remove it"
        yield ("decoding", "boxes"), f"{decoding.boxes!r} does not fit head {head!r}: {advice}"
    allowed = ACTIVATIONS.get(head, ("none",))
    if decoding.activation not in allowed:
        yield (
            ("decoding", "activation"),
            f"{decoding.activation!r} does not fit head {head!r}: use {' or '.join(allowed)}",
        )
    if decoding.background != "none" and head not in ("ssd-raw", *MAPS):
        yield (
            ("decoding", "background"),
            "only head 'ssd-raw' and maps of classes have a class for it: remove it",
        )


def _variances(decoding: Decoding) -> Iterator[tuple[KeyPath, str]]:
    if len(decoding.variances) not in (2, 4):
        yield (
            ("decoding", "variances"),
            f"{len(decoding.variances)} values: give 2 (centre, size) or 4 (x, y, width, height)",
        )
    if not all(map(math.isfinite, decoding.variances)):
        yield ("decoding", "variances"), "not a number that can be used here"


def _rule(anchors: Anchors, eats: Input) -> Iterator[tuple[KeyPath, str]]:
    numbers = {
        "min_scale": (anchors.min_scale,),
        "max_scale": (anchors.max_scale,),
        "aspect_ratios": anchors.aspect_ratios,
        "interpolated_scale_aspect_ratio": (anchors.interpolated_scale_aspect_ratio,),
    }
    for key, values in numbers.items():
        if not all(map(math.isfinite, values)):
            yield ("decoding", "anchors", key), "not a number that can be used here"
    count = anchor_count(anchors, eats)
    if count > MOST_ANCHORS:
        yield (
            ("decoding", "anchors", "strides"),
            f"these make {count} anchors; {MOST_ANCHORS} can be used",
        )
