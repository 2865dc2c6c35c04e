"""Which formats can run here, by the engines that are really installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from runtime.formats import working_formats


def test_all_engines_are_here() -> None:
    assert working_formats(None) == ("tflite", "onnx")


@pytest.mark.parametrize(
    ("kind", "formats"),
    [("litert", ("tflite",)), ("onnxruntime", ("onnx",)), ("null", ("tflite", "onnx"))],
)
def test_another_engine_than_the_configured_one_is_not_used(
    kind: str, formats: tuple[str, ...]
) -> None:
    assert working_formats(kind) == formats


@pytest.mark.parametrize("code", ["raise ImportError('x')", "import os; os.abort()"])
def test_an_engine_that_cannot_be_loaded_leaves_the_others(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text(code)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert working_formats(None) == ("tflite",)


def test_the_engines_are_not_loaded_into_this_process() -> None:
    before = set(sys.modules)
    working_formats(None)
    assert set(sys.modules) == before
