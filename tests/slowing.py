"""scripts/slow-model, to be called by tests: a script has no name that could be imported."""

from __future__ import annotations

import sys
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "slow-model"


@cache
def slow_model() -> ModuleType:
    """The script as a module."""
    loader = SourceFileLoader("slow_model", str(SCRIPT))
    spec = spec_from_loader("slow_model", loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules["slow_model"] = module  # dataclasses look there
    loader.exec_module(module)
    return module
