"""Lets depots take releases and wishes, to be recorded. Run by test_depot.

    python -m tests.power.depot_life FOLDER WORDS

WORDS is a file of JSON: by name of a depot's folder below FOLDER an operation and its files. Says
`NAME begins` and `NAME ends`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from fleet.signer.signer import Signer
from tests.depot_folder import FLEET
from tests.power.recorder import mark


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


def main(folder: Path, words: dict[str, list[str]]) -> None:
    for name, told in words.items():
        mark(f"{name} begins")
        operate(folder / name, *told)
        mark(f"{name} ends")


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_bytes()))
