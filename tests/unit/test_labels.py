"""Label files as people have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.engines import EngineOptions
from runtime.labels import labels_in
from runtime.locating import locate
from runtime.opening import open_model
from tests.graphs import tflite


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("cat\ndog\n\n", ("cat", "dog")),
        ("", ()),
        ("0  person\n1  bicycle\n3  car, or van\n", ("person", "bicycle", "2", "car, or van")),
        ("0 Class 1\r\n1 Class 2\r\n", ("Class 1", "Class 2")),  # Teachable Machine
        ("0: cat\n1: dog", ("cat", "dog")),
        ("0\n1\n2\n", ("0", "1", "2")),  # digits
        ("1 cent\n2 cent\n5 cent\n", ("1 cent", "2 cent", "5 cent")),  # coins
        ("0 cat\n1 dog\nowl", ("0 cat", "1 dog", "owl")),
        ("0 cat\n2 dog\n1 owl", ("0 cat", "2 dog", "1 owl")),
        ("0 cat\n0 dog", ("0 cat", "0 dog")),
        ("0 cat\n\n1 dog", ("0 cat", "", "1 dog")),
        ("0 cat\n99999999 dog", ("0 cat", "99999999 dog")),
    ],
)
def test_what_the_lines_mean(text: str, labels: tuple[str, ...]) -> None:
    assert labels_in(text) == labels


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_bare_model_has_the_labels_of_its_numbers(tmp_path: Path, is_packed: bool) -> None:
    path = tflite.colours(tmp_path / "c.tflite")
    lines = ("0  red", "2  blue")
    if is_packed:
        tflite.pack_labels(path, lines)
    else:
        path.with_suffix(".txt").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    with locate(path) as located:
        model = open_model(located, EngineOptions(threads=1))
    model.engine.close()
    assert model.labels == ("red", "1", "blue")
