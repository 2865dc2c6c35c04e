"""Which formats of models can run here. Asked in children: engines are large, and some crash."""

from __future__ import annotations

import os
import subprocess
import sys

from runtime.child import ROOT
from runtime.engines import BY_FORMAT, FOR_FORMAT, engine_reason

PATIENCE_S = 120.0


def working_formats(engine_kind: str | None) -> tuple[str, ...]:
    """The formats for which an engine works, the best first. engine_kind: if no other may be used.
    The null engine runs every format."""
    if engine_kind == "null":
        return tuple(FOR_FORMAT)
    fitting = [each for each, kinds in FOR_FORMAT.items() if engine_kind in (None, *kinds)]
    return tuple(each for each in fitting if _works(engine_kind or BY_FORMAT[each]))


def _works(kind: str) -> bool:
    paths = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
    try:
        child = subprocess.run(
            [sys.executable, "-m", "runtime.formats", kind], cwd=ROOT, timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": paths},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return child.returncode == 0


if __name__ == "__main__":
    os.nice(10)
    sys.exit(engine_reason(sys.argv[1]) is not None)
