"""`python -m runtime describe PATH`: the model's manifest with nothing left out.

In a process of its own: the one who asks survives whatever the model does.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import msgspec

from models import manifest
from runtime.commands.flags import add_engine_options, engine_options
from runtime.describing import describe
from runtime.limits import add_limit_options, limit_this_process
from wire.troubles import Refused, one_line


def main(argv: Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    limit_this_process(options.memory_mb, options.seconds)
    try:
        told = describe(options.path, options.engine, engine_options(options))
    except MemoryError:
        raise Refused(f"{options.path}: needs more memory than it may have") from None
    if options.json:
        print(msgspec.json.encode(told).decode())
        return 0
    for line in told.guesses:
        print(f"# guessed: {one_line(line)}")
    for line in told.filled:
        print(f"# from the model: {one_line(line)}")
    print(manifest.as_text(told.manifest), end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runtime describe", description=__doc__)
    parser.add_argument("path", help="model folder, bundle or model file")
    add_engine_options(parser)
    add_limit_options(parser)
    parser.add_argument("--json", action="store_true", help="print all of it as one JSON line")
    return parser
