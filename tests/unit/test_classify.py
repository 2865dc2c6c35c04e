"""The best classes of any scores: in order, each once, with its real score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.manifest import Decoding, Input, Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Class, View
from runtime.tasks.classify import make_decode

VIEW = View(1, 1, 0, 0, 1, 1)


def decoded(stored: np.ndarray[Any, Any], head: str, top_k: int = 3, **quantised: Any) -> Any:
    manifest = Manifest(
        1, "m", "1", "classify", "tflite", "m.tflite", Input(1, 1, "rgb", "NHWC", "uint8"),
        decoding=Decoding(head=head, top_k=top_k),  # type: ignore[arg-type]
    )  # fmt: skip
    spec = TensorSpec("scores", stored.shape, stored.dtype.name, **quantised)
    return make_decode(manifest, (spec,), ("zero", "one"))((stored,), VIEW)


@given(arrays.arrays(np.int8, st.integers(1, 30)), st.integers(1, 40))
def test_quantised_scores_are_ranked_like_a_plain_sort(
    stored: np.ndarray[Any, Any], top_k: int
) -> None:
    found = decoded(stored, "probabilities", top_k, scale=1 / 256, zero_point=-128)
    order = np.argsort(-stored.astype(int), kind="stable")[:top_k].tolist()
    assert [each.index for each in found] == order  # each class once, also among equal scores
    assert [each.score for each in found] == [(int(stored[i]) + 128) / 256 for i in order]


@given(arrays.arrays(np.float32, st.integers(1, 20), elements=st.floats(-50, 50, width=32)))
def test_logits_become_probabilities(stored: np.ndarray[Any, Any]) -> None:
    found = decoded(stored, "logits", stored.size)
    exact = np.exp(stored.astype(float) - stored.max())
    exact /= exact.sum()
    assert [each.score for each in found] == pytest.approx(sorted(exact, reverse=True), abs=1e-5)


def test_labels_where_they_reach_and_numbers_beyond() -> None:
    found = decoded(np.array([[0.1, 0.2, 0.7]], np.float32), "probabilities")
    assert found == (
        Class(2, "2", pytest.approx(0.7)),
        Class(1, "one", pytest.approx(0.2)),
        Class(0, "zero", pytest.approx(0.1)),
    )


@pytest.mark.parametrize("head", ["logits", "probabilities"])
def test_scores_that_are_no_numbers_are_not_told_as_answers(head: str) -> None:
    with np.errstate(invalid="ignore"):
        found = decoded(np.array([np.nan, np.nan, np.nan], np.float32), head)
    assert found == ()
