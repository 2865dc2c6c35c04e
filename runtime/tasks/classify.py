"""Classify: one score per class, quantised or not; the top k with their labels."""

from __future__ import annotations

from math import inf, isfinite

import numpy as np

from models.manifest import Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Class, Decode, Found, Tensor, View
from runtime.tasks.scores import check_size, dequantise, described, label_of

FLOAT_MIN = float(np.finfo(np.float64).min)


def make_decode(
    manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]
) -> Decode:
    """Takes one output of n scores, any shape. The head "logits" applies a softmax.

    Best first; equal scores in the order of their classes. Scores that are no numbers (NaN, or
    infinite) find nothing: they say nothing about any class.
    """
    spec = described(manifest, gives)[0]
    count = int(np.prod(spec.shape))
    top_k = min(manifest.decoding.top_k, count)
    least = manifest.decoding.min_score
    logits = manifest.decoding.head == "logits"
    names = tuple(label_of(labels, index) for index in range(count))
    # Wider than what is stored, so that a class that was taken is lower than any that was not.
    left = np.empty(count, np.int16 if spec.dtype in ("int8", "uint8") else np.float64)
    scores = np.empty(count, np.float32)
    lowest = np.iinfo(np.int16).min if left.dtype == np.int16 else -inf
    floats = left.dtype == np.float64
    scale, zero_point = spec.scale or 1.0, spec.zero_point or 0

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        check_size(spec, outputs[0])
        stored = outputs[0].reshape(-1)
        # Only the best are worked out: stored scores are in the order of the real ones. Sorting or
        # dequantising all of 1,001 costs 110 us in a cold cache, this way costs 40.
        np.copyto(left, stored)
        if floats:
            np.maximum(left, FLOAT_MIN, out=left)  # minus infinity must not look taken
            if not isfinite(left.max()):  # of anything with a NaN in it: NaN
                return ()
        if logits:
            _softmax(spec, stored, scores)
        found = []
        for _ in range(top_k):
            index = int(left.argmax())
            left[index] = lowest
            score = float(scores[index]) if logits else (float(stored[index]) - zero_point) * scale
            if score >= least:
                found.append(Class(index, names[index], score))
        return tuple(found)

    return decode


def _softmax(spec: TensorSpec, stored: Tensor, scores: Tensor) -> None:
    with np.errstate(all="ignore"):  # logits further apart, or higher, than float32 reaches
        dequantise(spec, stored, scores)
        np.subtract(scores, scores.max(), out=scores)
        np.exp(scores, out=scores)
        np.divide(scores, scores.sum(), out=scores)
