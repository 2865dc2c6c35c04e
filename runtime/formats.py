"""Which formats of models can run here. Asked in a child: engines are large once imported."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec

from runtime.child import ROOT
from runtime.engines import BY_FORMAT, engine_reason

PATIENCE_S = 120.0


def working_formats(engine_kind: str | None) -> tuple[str, ...]:
    """The formats for which an engine works, the best first. engine_kind: if no other may be used.

    Empty if that cannot be found out.
    """
    paths = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)
    try:
        child = subprocess.run(
            [sys.executable, "-m", "runtime.formats"], cwd=ROOT, timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": paths},
        )  # fmt: skip
        working = msgspec.json.decode(child.stdout, type=tuple[str, ...])
    except (OSError, subprocess.TimeoutExpired, msgspec.MsgspecError):
        return ()
    if engine_kind == "null":
        return tuple(BY_FORMAT)
    return tuple(each for each in working if engine_kind in (None, BY_FORMAT.get(each)))


def main() -> None:
    os.nice(10)
    working = [each for each, kind in BY_FORMAT.items() if engine_reason(kind) is None]
    print(msgspec.json.encode(working).decode())


if __name__ == "__main__":
    main()
