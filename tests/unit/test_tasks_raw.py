"""Raw: what the tensors hold, as it is, NaN and infinity and sizes that change included."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from models.manifest import Input, Manifest, Output
from runtime.engines import TensorSpec
from runtime.tasks import View
from runtime.tasks.raw import make_decode

VIEW = View(1, 1, 0, 0, 1, 1)
MANIFEST = Manifest(
    1, "m", "1", "raw", "tflite", "m.tflite", Input(1, 1, "rgb", "NHWC", "uint8")
)  # fmt: skip


def decoded(stored: Any, **quantised: Any) -> Any:
    spec = TensorSpec("t", stored.shape, stored.dtype.name, **quantised)
    (stats,) = make_decode(MANIFEST, (spec,), ())((stored,), VIEW)
    return stats


def test_real_values_of_a_quantised_tensor() -> None:
    stats = decoded(np.array([[-128, 0, 127]], np.int8), scale=0.5, zero_point=-128)
    assert (stats.name, stats.shape) == ("t", (1, 3))
    assert (stats.minimum, stats.maximum) == (0, 127.5)
    assert stats.mean == pytest.approx((0 + 64 + 127.5) / 3)


def test_the_manifests_word_holds_where_the_engine_tells_no_scale() -> None:
    said = replace(MANIFEST, outputs=(Output("t", (1, 2), "int8", 0.5, -128),))
    decode = make_decode(said, (TensorSpec("t", (1, 2), "int8"),), ())
    (stats,) = decode((np.array([[-128, 127]], np.int8),), VIEW)
    assert (stats.minimum, stats.maximum) == (0, 127.5)


@pytest.mark.parametrize("dtype", ["bool", "int64", "float16", "float64", "uint32"])
def test_any_type_of_number(dtype: str) -> None:
    stats = decoded(np.array([0, 1, 1], dtype))
    assert (stats.minimum, stats.maximum, stats.mean) == (0, 1, pytest.approx(2 / 3))


def test_what_is_no_number_is_shown() -> None:
    assert math.isnan(decoded(np.array([1, np.nan], np.float32)).mean)
    stats = decoded(np.array([-np.inf, np.inf], np.float32))
    assert (stats.minimum, stats.maximum) == (-math.inf, math.inf) and math.isnan(stats.mean)
    assert decoded(np.array([1e300, 2.0])).maximum == math.inf  # more than float32 holds


def test_an_empty_tensor_and_one_that_grows() -> None:
    assert decoded(np.zeros((0, 4), np.float32)).shape == (0, 4)
    decode = make_decode(MANIFEST, (TensorSpec("t", (2,), "float32"),), ())
    for size in (2, 5, 0, 3):
        (stats,) = decode((np.full(size, 2, np.float32),), VIEW)
        assert stats.shape == (size,) and stats.mean == (2 if size else 0)
