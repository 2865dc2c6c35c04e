"""One step of work in a process of its own: frameworks are large, print, clash and crash.

A step is a module of the workshop with one function, `step(request) -> reply`, both annotated with
a msgspec Struct. Parent: `run_step("workshop.reading.keras", request, Read, note)`. Child:
`python -m workshop.step MODULE REPLY`, with the request as JSON on its standard input.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import typing
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from runtime.limits import end_before_others
from wire.troubles import Refused, Trouble, Unavailable, one_line

ROOT = Path(__file__).resolve().parents[1]  # where `python -m workshop` is found
MARK = "@vedette "  # lines of the child that are meant for a person, among what frameworks print
LAST_LINES = 12  # of what a crashed child said
ALWAYS = {"ORT_DISABLE_TELEMETRY": "1"}  # whoever imports ONNX Runtime, and whenever
QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",  # its sums depend on the number of threads
    "CUDA_VISIBLE_DEVICES": "",  # the same answer on every machine
    "PYTHONHASHSEED": "0",
    "PYTHONWARNINGS": "ignore",
}

T = TypeVar("T")
Note = Callable[[str], None]


class Progress(Struct, frozen=True):
    """How far a step is: `done` of `total` (0: nobody knows) of what it does now."""

    what: str
    done: int = 0
    total: int = 0


class Failed(Struct, frozen=True):
    """The trouble of a step, as its process says it."""

    trouble: Literal["refused", "unavailable"]
    words: str


Tell = Callable[[Progress], None]


def run_step(
    module: str,
    request: Struct,
    gives: type[T],
    tell: Tell | None = None,
    environment: Mapping[str, str] = QUIET,
) -> T:
    """Run one step to its end. tell: hears its progress. environment: on top of ours.

    Raises what the step raised as Refused or Unavailable, and Refused where it crashed.
    """
    with TemporaryDirectory(prefix="vedette-step-") as scratch:
        reply = Path(scratch) / "reply"
        child = subprocess.Popen(
            [sys.executable, "-m", "workshop.step", module, str(reply)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            # what it leaves in the temporary folder goes with it
            env={**os.environ, **ALWAYS, **environment, "PYTHONPATH": _paths(), "TMPDIR": scratch},
            text=True, errors="replace",
        )  # fmt: skip
        try:
            last = _talk(child, msgspec.json.encode(request).decode(), tell)
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
        if not reply.is_file():
            raise _crashed(module, child.returncode, last)
        content = reply.read_bytes()
    if child.returncode == 0:
        return msgspec.json.decode(content, type=gives)
    failed = msgspec.json.decode(content, type=Failed)
    raise (Refused if failed.trouble == "refused" else Unavailable)(failed.words)


def say(what: str, done: int = 0, total: int = 0) -> None:
    """Inside a step: how far it is."""
    line = msgspec.json.encode(Progress(what, done, total)).decode()
    print(f"{MARK}{line}", file=sys.stderr, flush=True)


def _talk(child: subprocess.Popen[str], request: str, tell: Tell | None) -> list[str]:
    """Hand the request over and hear the child until it ends. Returns its last other lines."""
    assert child.stdin is not None
    assert child.stderr is not None
    last: deque[str] = deque(maxlen=LAST_LINES)
    try:
        child.stdin.write(request)
        child.stdin.close()
    except BrokenPipeError:
        pass  # it is gone already, and its last lines say why
    with child.stderr:
        for line in child.stderr:
            start, mark, told = line.partition(MARK)
            if mark and not start:
                if tell is not None:
                    tell(msgspec.json.decode(told, type=Progress))
            elif line.strip():
                last.append(line.strip())
    child.wait()
    return list(last)


def _crashed(module: str, code: int, last: list[str]) -> Trouble:
    how = f"ended with code {code}"
    if code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
    if code == -signal.SIGKILL:
        return Unavailable(f"{module} was killed: most likely it needs more memory than there is")
    said = f": {one_line(last[-1][:300])}" if last else ""
    return Refused(f"{module} {how}{said}")


def _paths() -> str:
    return os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry)


def _child(module: str, reply: Path) -> int:
    """Run the step of one module. Anything but a trouble leaves with a traceback."""
    end_before_others(None, None)  # and with who asked
    step = importlib.import_module(module).step
    request = msgspec.json.decode(sys.stdin.read(), type=typing.get_type_hints(step)["request"])
    try:
        done, code = step(request), 0
    except Trouble as trouble:
        kind: Literal["refused", "unavailable"] = (
            "refused" if isinstance(trouble, Refused) else "unavailable"
        )
        done, code = Failed(kind, str(trouble)), 3
    reply.write_bytes(msgspec.json.encode(done))
    return code


if __name__ == "__main__":
    sys.exit(_child(sys.argv[1], Path(sys.argv[2])))
