"""The best classes of any scores: in order, each once, with its real score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models.manifest import Decoding, Input, Manifest, Output
from runtime.engines import TensorSpec
from runtime.tasks import Class, View
from runtime.tasks.classify import make_decode
from wire.troubles import Refused

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


@pytest.mark.parametrize(
    ("stored", "head", "expected"),
    [
        ([1, np.inf, 2], "logits", []),  # no probability can be told
        ([1, np.nan, 2], "logits", []),
        ([0.1, np.nan, 0.9], "probabilities", []),
        ([1, -np.inf, 1], "logits", [0, 2, 1]),  # minus infinity is a class ruled out
        ([3e38, -3e38, 3e38], "logits", [0, 2, 1]),
        ([0, 0, 0], "probabilities", [0, 1, 2]),
    ],
)
def test_no_score_crashes_or_lies(stored: list[float], head: str, expected: list[int]) -> None:
    found = decoded(np.array(stored, np.float32), head)
    assert [each.index for each in found] == expected
    assert all(0 <= each.score <= 1 for each in found)


def test_logits_that_are_no_numbers_for_float32_find_nothing() -> None:
    assert decoded(np.array([1e300, 1.0, 1e300]), "logits") == ()


def test_classes_below_the_least_score_are_not_told() -> None:
    manifest = Manifest(
        1, "m", "1", "classify", "tflite", "m.tflite", Input(1, 1, "rgb", "NHWC", "uint8"),
        decoding=Decoding(head="probabilities", min_score=0.3),
    )  # fmt: skip
    spec = TensorSpec("scores", (1, 3), "uint8", 1 / 256, 0)
    decode = make_decode(manifest, (spec,), ())
    found = decode((np.array([[10, 77, 169]], np.uint8),), VIEW)
    assert [(each.index, each.score) for each in found] == [(2, 169 / 256), (1, 77 / 256)]


@pytest.mark.parametrize("head", ["probabilities", "logits"])
def test_the_manifests_word_on_quantised_scores_holds_where_the_engine_has_none(head: str) -> None:
    """ONNX Runtime does not tell scales."""
    manifest = Manifest(
        1, "m", "1", "classify", "onnx", "m.onnx", Input(1, 1, "rgb", "NHWC", "uint8"),
        decoding=Decoding(head=head, min_score=0.4),  # type: ignore[arg-type]
        outputs=(Output("scores", (1, 3), "uint8", 1 / 256, 0),),
    )  # fmt: skip
    stored = np.array([[64, 0, 192]], np.uint8)
    found: Any = make_decode(manifest, (TensorSpec("scores", (1, 3), "uint8"),), ())(
        (stored,), VIEW
    )
    exact = {"probabilities": 0.75, "logits": 1 / (1 + np.exp(-0.5) + np.exp(-0.75))}[head]
    assert [(each.index, each.score) for each in found] == [(2, pytest.approx(exact))]


def test_an_output_that_changes_its_size_is_refused() -> None:
    manifest = Manifest(
        1, "m", "1", "classify", "tflite", "m.tflite", Input(1, 1, "rgb", "NHWC", "uint8"),
        decoding=Decoding(head="logits"),
    )  # fmt: skip
    decode = make_decode(manifest, (TensorSpec("scores", (1, 3), "float32"),), ())
    with pytest.raises(Refused, match=r"'scores' changes its size, \(1, 3\) to \(1, 4\)"):
        decode((np.zeros((1, 4), np.float32),), VIEW)
