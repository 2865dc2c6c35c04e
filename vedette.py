"""The front door: names a command, imports its room only then, and says troubles in one line."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from wire.likely import did_you_mean
from wire.troubles import Unavailable, exit_code
from wire.version import VERSION

ROOMS = ("agent", "fleet", "models", "runtime", "wire", "workshop")
INSTALL = "install what pyproject.toml names (pip install 'vedette[litert]', or scripts/setup)"

COMMANDS = {
    "run": ("runtime.commands.run", "run a model on a camera and show what it finds"),
    "bench": ("runtime.commands.bench", "measure the loop against the bare engine, in one run"),
    "doctor": (
        "runtime.commands.doctor",
        "what is missing on this machine, and what mends it",
    ),
    "cameras": ("runtime.commands.cameras", "list the cameras of this machine and what they offer"),
    "model": ("runtime.commands.model", "show a model: manifest, tensors, golden check"),
    "model convert": (
        "workshop.commands.convert",
        "make a small model of a trained one: Keras, PyTorch, ONNX, ...",
    ),
    "model compare": (
        "workshop.commands.compare",
        "accuracy, latency, size and memory of several models",
    ),
    "model loadtest": (
        "workshop.commands.loadtest",
        "how a model holds up as rate, pipelines and threads rise",
    ),
    "runtime": ("runtime.commands.service", "service: run one pipeline of vedette.toml"),
    "agent": ("agent.commands.agent", "service: join this device's runtimes to the broker"),
    "enroll": ("agent.commands.enroll", "make this device part of a fleet, with its NAME.vedette"),
    "check-config": ("runtime.commands.check_config", "read vedette.toml and say what it means"),
    "support": ("runtime.commands.support", "a bundle for a bug report, without secrets"),
    "watch": ("fleet.commands.watch", "see telemetry, faults and results of the fleet arrive"),
    "ask": ("fleet.commands.ask", "command a device: status, snapshot, restart, watch, set, bench"),
    "fleet": ("fleet.commands.fleet", "keys, bundles and rollouts: what an operator does"),
}


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join(
        ["usage: vedette COMMAND [options]   (vedette COMMAND --help says more)", "", *lines]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. 0: done. 1: something is not there or failed. 2: the request is wrong."""
    # ONNX Runtime's wheels report to their maker from their import on, whoever imports them
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        print(f"vedette {VERSION}")
        return 0
    if " ".join(words[:2]) in COMMANDS:
        words[:2] = [" ".join(words[:2])]
    if words[0] not in COMMANDS:
        hint = did_you_mean(words[0], COMMANDS)
        print(f"vedette: there is no command {words[0]!r}{hint}\n{usage()}", file=sys.stderr)
        return 2
    return exit_code(run, words)


def run(words: Sequence[str]) -> int:
    """Import the room of the command that is named first, and run it on the other words."""
    try:
        command = importlib.import_module(COMMANDS[words[0]][0])
    except ImportError as error:
        if (error.name or "").split(".")[0] in ROOMS:
            raise
        raise Unavailable(f"cannot load a Python package: {error.msg}: {INSTALL}") from None
    code: int = command.main(words[1:])
    return code


if __name__ == "__main__":
    sys.exit(main())
