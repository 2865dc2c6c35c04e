"""`python -m runtime check FOLDER`: the commands of the runtime that other processes run."""

from __future__ import annotations

import sys

from runtime.commands import check
from wire.troubles import exit_code

if __name__ == "__main__":
    words = sys.argv[1:]
    if words[:1] != ["check"]:
        print("usage: python -m runtime check FOLDER [--json]", file=sys.stderr)
        sys.exit(2)
    sys.exit(exit_code(check.main, words[1:]))
