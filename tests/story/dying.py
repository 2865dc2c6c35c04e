"""`vedette fleet init` that dies, as by a power cut, before it changes the disk for the n-th time.

python -m tests.story.dying N FOLDER
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import vedette

CALLS = ("fsync", "rename", "mkdir")  # of os: what they do is for good


def main(steps: int, folder: str) -> int:
    left = steps

    def dying(name: str) -> None:
        call = getattr(os, name)

        def instead(*words: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*words, **more)

        setattr(os, name, instead)

    for name in CALLS:
        dying(name)
    return vedette.main(["fleet", "init", "--dir", folder, "--json"])


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
