"""Ranges of activations by MinMax, percentile and entropy; which layers and tensors are meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wire.troubles import Refused
from workshop.quantizing.layers import chosen, heads
from workshop.quantizing.onnx_network import Node
from workshop.quantizing.ranges import gathered, kept_ranges, write_ranges

RNG = np.random.default_rng(3)
BELL = [RNG.normal(0, 1, 20_000).astype(np.float32) for _ in range(10)]
OUTLIER = [*BELL, np.array([300.0], np.float32)]


def runs(values: list[np.ndarray]) -> list[dict[str, np.ndarray]]:
    return [{"x": each} for each in values]


def test_minmax_is_all_that_was_seen() -> None:
    low, high = gathered(runs(OUTLIER), "minmax", 0)["x"]
    assert low == min(float(each.min()) for each in BELL)
    assert high == 300.0


def test_a_percentile_cuts_half_of_the_rest_at_either_end() -> None:
    low, high = gathered(runs(BELL), "percentile", 99.0)["x"]
    whole = np.concatenate(BELL)
    assert low == pytest.approx(np.percentile(whole, 0.5), abs=0.01)
    assert high == pytest.approx(np.percentile(whole, 99.5), abs=0.01)


def test_a_percentile_of_100_cuts_nothing() -> None:
    assert gathered(runs(BELL), "percentile", 100)["x"] == pytest.approx(
        gathered(runs(BELL), "minmax", 0)["x"], abs=0.01
    )


@pytest.mark.parametrize("percentile", [50, 0, 100.5])
def test_a_percentile_that_is_none_is_refused(percentile: float) -> None:
    with pytest.raises(Refused, match=r"99\.99"):
        gathered(runs(BELL), "percentile", percentile)


def test_entropy_lets_an_outlier_go_and_keeps_the_rest() -> None:
    low, high = gathered(runs(OUTLIER), "entropy", 0)["x"]
    assert 3 < high < 100
    assert low == pytest.approx(min(float(each.min()) for each in BELL), abs=0.5)


def test_entropy_is_not_misled_by_the_zeros_of_a_relu() -> None:
    clipped = [np.maximum(each - 1, 0) for each in BELL]  # five of six are zero
    _, high = gathered(runs(clipped), "entropy", 0)["x"]
    assert high > np.percentile(np.concatenate(clipped), 99)


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_heads_are_never_clipped(method: str) -> None:
    found = gathered(runs(OUTLIER), method, 99.0, heads={"x"})  # type: ignore[arg-type]
    assert found["x"][1] == 300.0


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy"])
def test_the_order_of_samples_does_not_matter(method: str) -> None:
    forth = gathered(runs(OUTLIER), method, 99.9)["x"]  # type: ignore[arg-type]
    back = gathered(runs(OUTLIER[::-1]), method, 99.9)["x"]  # type: ignore[arg-type]
    assert forth == back


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy"])
def test_what_is_always_zero_has_a_range_of_nothing(method: str) -> None:
    zeros = [np.zeros(10, np.float32), np.zeros(0, np.float32)]
    assert gathered(runs(zeros), method, 99.9)["x"] == (0.0, 0.0)  # type: ignore[arg-type]
    specks = [np.array([0, 1e-42], np.float32)]
    low, high = gathered(runs(specks), method, 99.9)["x"]  # type: ignore[arg-type]
    assert 0 <= low <= high <= 1e-41


def test_what_is_no_number_is_refused_and_an_infinite_padding_is_not() -> None:
    padded = np.array([-np.inf, 1.0, 2.0, 3.4e38], np.float32)
    assert gathered(runs([padded]), "minmax", 0)["x"] == (1.0, 2.0)
    with pytest.raises(Refused, match=r"x: .*no number"):
        gathered(runs([np.array([1, np.nan], np.float32)]), "minmax", 0)


def test_ranges_are_kept_for_the_method_that_they_are_of(tmp_path: Path) -> None:
    file = tmp_path / "ranges.json"
    assert kept_ranges(file, "minmax") is None
    write_ranges(file, "minmax", {"x": (-1.0, 2.5)})
    assert kept_ranges(file, "minmax") == {"x": (-1.0, 2.5)}
    with pytest.raises(Refused, match="by minmax, not by entropy"):
        kept_ranges(file, "entropy")
    file.write_text("{}")
    with pytest.raises(Refused, match="no file of ranges"):
        kept_ranges(file, "minmax")


def test_heads_reach_back_to_the_last_weights() -> None:
    steps = [
        Node("a", "Conv", ("in", "w"), ("conv",)),
        Node("b", "Relu", ("conv",), ("relu",)),
        Node("c", "Conv", ("relu", "w2"), ("logits",)),
        Node("d", "Sigmoid", ("logits",), ("scores",)),
        Node("e", "Concat", ("scores", "boxes"), ("out",)),
    ]
    assert heads(steps, ("out",), ("Conv",)) == {"out", "scores", "boxes", "logits"}


def test_layers_are_meant_by_name_or_pattern() -> None:
    names = ["block_1/conv", "block_1/add", "block_2/conv", "odd[1]"]
    assert chosen(names, ["block_1/*"], "m") == {"block_1/conv", "block_1/add"}
    assert chosen(names, ["*/conv", "odd[1]"], "m") == {"block_1/conv", "block_2/conv", "odd[1]"}
    with pytest.raises(Refused, match=r"m: no layer 'block_1/cnv' to keep.*block_1/conv"):
        chosen(names, ["block_1/cnv"], "m")
