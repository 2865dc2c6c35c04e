"""Which formats of models can run here. Asked in children: engines are large, and some crash."""

from __future__ import annotations

import os
import signal
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
    return tuple(each for each in fitting if engine_trouble(engine_kind or BY_FORMAT[each]) is None)


def engine_trouble(kind: str) -> str | None:
    """Why an engine does not work here and what to install, or None if it does."""
    paths = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
    try:
        child = subprocess.run(
            [sys.executable, "-m", "runtime.formats", kind], cwd=ROOT, timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": paths}, text=True, errors="replace",
        )  # fmt: skip
    except OSError as error:
        return f"{kind} cannot be tried: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"{kind} is not loaded within {PATIENCE_S:.0f} s"
    if child.returncode < 0:
        return f"{kind} crashes when it is loaded ({signal.Signals(-child.returncode).name})"
    said = child.stdout.strip() or f"{kind} cannot be loaded"
    return said if child.returncode else None


if __name__ == "__main__":
    os.nice(10)
    why_not = engine_reason(sys.argv[1])
    print(why_not or "")
    sys.exit(why_not is not None)
