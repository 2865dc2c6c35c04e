"""Sizes of a network's input, what it does to it first, and the inputs that it is asked with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wire.troubles import Refused
from workshop.reading import Port, Request
from workshop.reading.reference import random_inputs, write_reference
from workshop.reading.shapes import Open, fixed_port
from workshop.reading.tf_front import Front
from workshop.reading.tf_labels import labels_in


@pytest.mark.parametrize(
    ("shape", "wanted", "fixed"),
    [
        ((None, 8, 8, 3), None, (1, 8, 8, 3)),
        ((1, 8, 8, 3), (1, 8, 8, 3), (1, 8, 8, 3)),
        ((None, None, None, 3), (1, 4, 5, 3), (1, 4, 5, 3)),
        ((None, None, None, 3), (4, 5, 3), (1, 4, 5, 3)),
        (None, (1, 7), (1, 7)),
    ],
)
def test_sizes_are_fixed(
    shape: Open, wanted: tuple[int, ...] | None, fixed: tuple[int, ...]
) -> None:
    assert fixed_port("m", "x", shape, "float32", wanted) == Port("x", fixed, "float32")


@pytest.mark.parametrize(
    ("shape", "dtype", "wanted", "says"),
    [
        ((None, None, None, 3), "float32", None, "--input-shape 1,HEIGHT,WIDTH,3"),
        ((None, None, 7), "float32", None, "--input-shape 1,SIZE1,7"),
        ((None, 8, 8, 3), "float32", (1, 9, 8, 3), "cannot be (1, 9, 8, 3)"),
        ((None, 8, 8, 3), "float32", (8, 8), "cannot be (8, 8)"),
        ((8, 8, 8, 3), "float32", None, "no batch of 1"),
        ((None, 8), "float32", (2, 8), "no batch of 1"),
        (None, "float32", None, "does not say the shape"),
        ((1, 8), "int64", None, "is int64; the runtime gives"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    shape: Open, dtype: str, wanted: tuple[int, ...] | None, says: str
) -> None:
    with pytest.raises(Refused) as caught:
        fixed_port("m", "x", shape, dtype, wanted)
    assert says in str(caught.value)


def test_what_comes_first_is_one_scale_and_one_shift() -> None:
    front = Front().then("DIV", 127.5, True)
    front = front and front.then("SUB", [1.0, 1.0, 1.0], True)
    assert front is not None
    assert front.words() == ("inputs times 0.00784314, plus -1",)
    assert front.reach == 255
    assert Front().then("SUB", 1.0, False) == Front(np.array([-1.0]), np.array([1.0]))
    assert Front().words() == ()
    assert Front().reach == 1
    assert Front().then("MUL", np.ones((2, 3)), True) is None
    assert Front().then("DIV", 1.0, False) is None
    turned = Front(np.array([1.0, 2.0]), np.array([3.0, 4.0])).around()
    assert turned.words()[1] == "inputs times (2, 1), plus (4, 3)"


def test_inputs_are_drawn_by_a_seed() -> None:
    floats = random_inputs(Port("x", (1, 50), "float32"), 3, 255.0, 1)
    assert floats.shape == (3, 1, 50)
    assert floats.dtype == np.float32
    assert 200 < floats.max() <= 255
    assert (floats == random_inputs(Port("x", (1, 50), "float32"), 3, 255.0, 1)).all()
    assert (floats != random_inputs(Port("x", (1, 50), "float32"), 3, 255.0, 2)).any()
    integers = random_inputs(Port("x", (1, 500), "int8"), 1, 1.0, 1)
    assert integers.min() < -100
    assert integers.max() > 100


def test_wanted_inputs_must_fit(tmp_path: Path) -> None:
    file = tmp_path / "inputs.npz"
    np.savez(file, **{"0": np.zeros((2, 1, 4), np.float32)})
    request = Request("onnx", "m", "onnx", str(tmp_path), probe_inputs=str(file))
    with pytest.raises(Refused, match="the network takes"):
        write_reference(request, Port("x", (1, 3), "float32"), 1.0, lambda one: [one])
    file.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(Refused, match=r"no \.npz"):
        write_reference(request, Port("x", (1, 4), "float32"), 1.0, lambda one: [one])


def test_labels_are_those_of_the_only_file_that_is_named_so(tmp_path: Path) -> None:
    assert labels_in(tmp_path / "none") == ()
    (tmp_path / "words.txt").write_text("a\nb\n")
    assert labels_in(tmp_path) == ()
    (tmp_path / "class_names.txt").write_text("cat\ndog\n\n")
    assert labels_in(tmp_path) == ("cat", "dog")
    (tmp_path / "labels.txt").write_text("c\n")
    assert labels_in(tmp_path) == ()
