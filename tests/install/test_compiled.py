"""What an installation does not compile is never imported: that would cost time at every start."""

from __future__ import annotations

import subprocess
import sys

import pytest
from installing.release import NOT_COMPILED

from tests.laws.sources import ROOT

LOADED = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(*(str(getattr(one, "__file__", "")) for one in list(sys.modules.values())), sep="\\n")
"""


@pytest.mark.parametrize(
    ("service", "engine"),
    [
        ("agent.commands.agent", "tuf.ngclient"),
        ("runtime.commands.service", "ai_edge_litert.interpreter"),
        ("runtime.commands.service", "onnxruntime"),
    ],
)
def test_nothing_that_a_service_imports_is_left_out(service: str, engine: str) -> None:
    pytest.importorskip(engine.partition(".")[0])
    words = [sys.executable, "-c", LOADED, service, engine]
    files = subprocess.check_output(words, cwd=ROOT, text=True, timeout=60).split("\n")
    assert any("site-packages" in path for path in files)
    assert [path for path in files if NOT_COMPILED.search(path)] == []


def test_what_is_left_out() -> None:
    place = "/opt/vedette/releases/1.0.0-1/lib/python3.11/site-packages"
    for name in ("pygments/lexers/c.py", "numpy/lib/tests/test_io.py", "google/protobuf/any.py"):
        assert NOT_COMPILED.search(f"{place}/{name}")
    for name in ("numpy/linalg/__init__.py", "runtime/loop.py", "vedette.py", "googlething.py"):
        assert not NOT_COMPILED.search(f"{place}/{name}")
