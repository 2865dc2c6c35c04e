"""Vectors: as the model gives them, or of length 1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.manifest import Input
from runtime.engines import TensorSpec
from runtime.tasks import Vector, View
from runtime.tasks.embed import make_decode
from tests.naive import Array, manifest_of
from wire.troubles import Refused

WANTED = Input(8, 8, "rgb", "NHWC", "float32")
VIEW = View(8, 8, 0, 0, 1, 1)


def decode(
    head: str, output: Array, scale: float | None = None, zero_point: int | None = None
) -> Any:
    spec = TensorSpec("embedding", output.shape, output.dtype.name, scale, zero_point)
    return make_decode(manifest_of("embed", WANTED, head=head), (spec,), ())((output,), VIEW)


@given(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=40),
       st.sampled_from([(1, -1), (1, -1, 1, 1), (-1,), (1, 1, 1, -1)]))  # fmt: skip
def test_a_vector_against_plain_loops(numbers: list[float], shape: tuple[int, ...]) -> None:
    output = np.array(numbers, np.float32).reshape(shape)
    length = math.sqrt(sum(number * number for number in numbers))
    (vector,) = decode("vector", output)
    assert isinstance(vector, Vector) and vector.values == tuple(numbers)
    assert vector.name == "embedding" and vector.length == pytest.approx(length, rel=1e-6)
    if length == 0:
        assert decode("unit-vector", output) == ()
        return
    (unit,) = decode("unit-vector", output)
    assert unit.length == pytest.approx(length, rel=1e-6)
    assert unit.values == pytest.approx([number / length for number in numbers], abs=1e-7)


def test_a_quantised_vector_is_real() -> None:
    output = np.array([[3, 7, -125]], np.int8)
    (vector,) = decode("vector", output, 0.5, 3)
    assert vector.values == (0, 2, -64)
    (unit,) = decode("unit-vector", output, 0.5, 3)
    assert unit.length == pytest.approx(math.hypot(2, 64))
    assert math.hypot(*unit.values) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("head", ["vector", "unit-vector"])
def test_a_number_that_is_none_is_no_vector(bad: float, head: str) -> None:
    assert decode(head, np.array([[1, bad, 2]], np.float32)) == ()


@pytest.mark.parametrize("shapes", [[(1, 4), (1, 4)], [(2, 4)], [(1, 4, 4)], [()], [(1, 0)]])
def test_outputs_that_are_no_vector_are_refused(shapes: list[tuple[int, ...]]) -> None:
    specs = tuple(TensorSpec(f"t{i}", shape, "float32") for i, shape in enumerate(shapes))
    with pytest.raises(Refused, match="one output of n numbers"):
        make_decode(manifest_of("embed", WANTED, head="vector"), specs, ())
