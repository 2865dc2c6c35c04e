"""Detect: boxes in source pixels, best first, from whatever head the manifest names.

What is no box is not found: a coordinate or score is NaN or infinite, right is not right of left,
nothing of it lies in the frame.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from models.manifest import Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Decode, detect_fcos, detect_ssd_raw, detect_yolo
from runtime.tasks.anchors import Anchors
from runtime.tasks.scores import described

HEADS = {
    "ssd": "runtime.tasks.detect_ssd",
    "ssd-raw": "runtime.tasks.detect_ssd_raw",
    "fcos": "runtime.tasks.detect_fcos",
    "yolov5": "runtime.tasks.detect_yolo",
    "yolov8": "runtime.tasks.detect_yolo",
    "yolox": "runtime.tasks.detect_yolo",
    "yolov10": "runtime.tasks.detect_end_to_end",
}


def make_decode(
    manifest: Manifest,
    gives: tuple[TensorSpec, ...],
    labels: tuple[str, ...],
    anchors: Anchors | None = None,
) -> Decode:
    """The decoder that the manifest's head names. Raises Refused if the outputs do not fit it.

    anchors: what the manifest's anchors_file holds, where it names one.
    """
    gives = described(manifest, gives)
    if manifest.decoding.head == "ssd-raw":
        return detect_ssd_raw.make_head(manifest, gives, labels, anchors)
    decode: Decode = importlib.import_module(HEADS[manifest.decoding.head]).make_head(
        manifest, gives, labels
    )
    return decode


def class_count(
    manifest: Manifest, gives: Sequence[TensorSpec], labels: tuple[str, ...]
) -> int | None:
    """How many classes the outputs tell apart, where they show it. Raises Refused if they do not
    fit the head. labels: settle which way an output lies, where its shape alone does not."""
    head = manifest.decoding.head
    if head == "fcos":
        return detect_fcos.class_count(gives)
    if head == "ssd-raw":
        return detect_ssd_raw.class_count(manifest, gives)
    if head in detect_yolo.AHEAD:
        return detect_yolo.class_count(manifest, gives, labels)
    return None
