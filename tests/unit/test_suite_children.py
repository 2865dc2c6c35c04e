"""What a measuring process says, whatever its drivers say beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.suite import Combination, Job
from runtime.suite.children import row_of
from tests.graphs import onnx_tiny

TALKATIVE = """
import os, sys
if "measure" in sys.orig_argv:
    os.write(1, b"[driver] found 1 device\\n")
"""


def test_a_driver_that_prints_does_not_spoil_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx_tiny.colours(tmp_path / "m.onnx")
    (tmp_path / "sitecustomize.py").write_text(TALKATIVE)
    monkeypatch.syspath_prepend(str(tmp_path))
    camera = "synthetic://64x64"
    job = Job(Combination("m", "onnxruntime", None, 1, camera), tmp_path / "m.onnx", camera)
    row = row_of(job, 0.05, lambda line: None)
    assert row.trouble is None and row.measured is not None and row.measured.pairs >= 10
