"""Kills what changes a depot's folder at every step: START PLACE OPERATION [FILE...]

As store_steps.py does it for the store of a device; see there what is left at each step.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
from pathlib import Path

from fleet.signer import Signer
from tests.depot_folder import FLEET
from tests.story.store_steps import Disk, die_at

MOST_STEPS = 500


def operate(depot: Path, operation: str, *files: str) -> None:
    """What a depot's process does. files: of the operator."""
    signer = Signer(depot)
    try:
        if operation == "deploy":
            signer.deploy(FLEET, "w1", Path(files[0]).read_bytes())
        else:
            contents = [Path(file).read_bytes() for file in files]
            arrived = {}
            for content in contents[2:]:
                digest = hashlib.sha256(content).hexdigest()
                arrived[digest] = signer.place.incoming / digest
                if not arrived[digest].exists() or arrived[digest].read_bytes() != content:
                    arrived[digest].write_bytes(content)
            signer.take_release([contents[0]] if contents[0] else [], contents[1], arrived)
    finally:
        signer.close()


def child(root: Path, step: int, words: list[str]) -> None:
    disk = Disk(root)
    die_at(step, disk, root.parent)
    operate(root, *words)
    disk.cut(root.parent)


def main(start: Path, place: Path, words: list[str]) -> int:
    for step in range(1, MOST_STEPS):
        root = place / str(step) / "killed"
        shutil.copytree(start, root, symlinks=True)
        pid = os.fork()
        if pid == 0:
            child(root, step, words)
            return 0
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code != -signal.SIGKILL:
            (place / str(step)).rename(place / "end")
            return code
    raise AssertionError("it never ends")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
