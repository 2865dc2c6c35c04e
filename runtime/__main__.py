"""`python -m runtime check PATH` and the like: the commands that other processes run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from wire.troubles import exit_code

COMMANDS = {
    "build": "runtime.commands.build",
    "check": "runtime.commands.check",
    "describe": "runtime.commands.describe",
    "goldens": "runtime.commands.goldens",
    "measure": "runtime.commands.measure",
}


def main(words: Sequence[str]) -> int:
    if not words or words[0] not in COMMANDS:
        known = "|".join(COMMANDS)
        print(f"usage: python -m runtime {known} PATH ... [--json]", file=sys.stderr)
        return 2
    code: int = importlib.import_module(COMMANDS[words[0]]).main(words[1:])
    return code


if __name__ == "__main__":
    sys.exit(exit_code(main, sys.argv[1:]))
