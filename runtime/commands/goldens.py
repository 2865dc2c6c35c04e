"""`python -m runtime goldens FOLDER PICTURES`: make golden samples of pictures, or of rows.

Writes them and the manifest that names them into the model folder. In a process of its own: the
one who asks survives whatever the model does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from runtime.commands.flags import add_engine_options, engine_options, positive
from runtime.goldens import Wish, make_goldens
from runtime.limits import add_limit_options, limit_this_process
from wire.troubles import Refused, one_line

PROGRESS = "progress: "  # begins each line on stderr that says how far we are


def main(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    limit_this_process(options.memory_mb, options.seconds)
    try:
        wish = Wish(options.count, _say)
        made = make_goldens(options.folder, options.pictures, engine_options(options), wish)
    except MemoryError:
        raise Refused(f"{options.folder}: needs more memory than it may have") from None
    if options.json:
        print(msgspec.json.encode(made).decode())
        return 0
    for each in made.chosen:
        print(one_line(f"{each.picture}: {each.source}: {each.found}"))
    print(f"{len(made.chosen)} of {made.looked_at} pictures")
    return 0


def _say(line: str) -> None:
    print(f"{PROGRESS}{line}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runtime goldens", description=__doc__)
    parser.add_argument("folder", type=Path, help="model folder with a whole manifest")
    parser.add_argument(
        "pictures",
        type=Path,
        help="folder of pictures, also in folders below; of a model that takes rows a CSV file",
    )
    parser.add_argument("--count", type=positive, default=6, metavar="N", help="default: 6")
    add_engine_options(parser)
    add_limit_options(parser)
    parser.add_argument("--json", action="store_true", help="print what was made as one JSON line")
    return parser
