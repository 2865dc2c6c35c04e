"""Classify: one score per class, quantised or not; the top k with their labels."""

from __future__ import annotations

import numpy as np

from models.manifest import Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Class, Decode, Found, Tensor, View
from runtime.tasks.scores import dequantise, label_of


def make_decode(
    manifest: Manifest, gives: tuple[TensorSpec, ...], labels: tuple[str, ...]
) -> Decode:
    """Takes one output of n scores, any shape. The head "logits" applies a softmax."""
    spec = gives[0]
    count = int(np.prod(spec.shape))
    top_k = min(manifest.decoding.top_k, count)
    least = manifest.decoding.min_score
    logits = manifest.decoding.head == "logits"
    scores = np.empty(count, np.float32)

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        dequantise(spec, outputs[0].reshape(-1), scores)
        if logits:
            np.subtract(scores, scores.max(), out=scores)
            np.exp(scores, out=scores)
            np.divide(scores, scores.sum(), out=scores)
        if top_k == 1:
            best = [int(scores.argmax())]
        else:
            rough = np.argpartition(scores, -top_k)[-top_k:]
            best = rough[np.argsort(-scores[rough], kind="stable")].tolist()
        return tuple(
            Class(index, label_of(labels, index), score)
            for index, score in zip(best, scores[best].tolist(), strict=True)
            if score >= least
        )

    return decode
