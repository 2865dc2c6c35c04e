"""Kills what changes a depot's folder at every step: START PLACE OPERATION [FILE...]

As store_steps.py does it for the store of a device; see there what is left at each step.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from fleet.signer.signer import Signer
from tests.depot_folder import FLEET
from tests.story.store_steps import kill_at_every_step


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


def main(start: Path, place: Path, words: list[str]) -> int:
    return kill_at_every_step(start, place, lambda root: operate(root, *words))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
