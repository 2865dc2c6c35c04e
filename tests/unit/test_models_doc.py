"""docs/models.md: every example of it is a manifest that is taken, every key and head is in it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from models import manifest
from models.consistency import HEADS
from models.manifest import Anchors, Decoding, Golden, Input, Manifest
from models.row import Row
from tests.laws.sources import ROOT

TEXT = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
ABOVE = """\
schema = 1
name = "m"
version = "1"
task = "detect"
format = "onnx"
file = "m.onnx"
[input]
width = 300
height = 300
colour = "rgb"
layout = "NHWC"
dtype = "float32"
"""


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_taken(example: str) -> None:
    told = re.match(r"# task (\w+)", example)
    above = ABOVE.replace("detect", told[1]) if told else ABOVE
    if "[row]" in example:
        above = above.partition("[input]")[0]
    taken = manifest.parse(above + example, "docs/models.md")
    assert taken.decoding.head in example


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("struct", [Input, Row, Decoding, Anchors, Manifest])
def test_every_key_is_described(struct: Any) -> None:
    missing = [key for key in struct.__struct_fields__ if f"`{key}`" not in TEXT]
    tables = {"input", "row", "outputs", "decoding", "limits", "floors", "card", "anchors", "made"}
    assert set(missing) <= tables
    assert all(f"[{table}" in TEXT or f".{table}" in TEXT for table in missing)


def test_every_head_that_finds_boxes_is_described() -> None:
    assert [head for head in HEADS["detect"] if f"| `{head}` |" not in TEXT] == []


def test_every_head_is_named_and_every_key_of_a_golden_sample() -> None:
    heads = {head for possible in HEADS.values() for head in possible} - {"none"}
    assert [head for head in sorted(heads) if f"`{head}`" not in TEXT] == []
    assert [key for key in Golden.__struct_fields__ if key not in TEXT] == []
