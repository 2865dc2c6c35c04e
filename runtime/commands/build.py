"""`python -m runtime build FILE`: build what an engine needs to run a model on this very device.

Its percents come as lines. The one who asks goes on serving meanwhile.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from models.plans import Plan
from runtime.commands.check import OF_THE_MACHINE
from runtime.commands.flags import positive
from runtime.engines import tensorrt
from runtime.limits import limit_this_process
from wire.troubles import Unavailable
from wire.unreadable import UNREADABLE, why


def main(argv: Sequence[str]) -> int:
    words = _parser().parse_args(argv)
    limit_this_process(None, words.seconds)
    try:
        tensorrt.build(
            Path(words.path), words.shape, words.plan, lambda percent: print(percent, flush=True)
        )
    except OSError as error:
        if error.errno not in OF_THE_MACHINE:
            raise
        raise Unavailable(f"{words.path}: what is built cannot be kept: {error.strerror}") from None
    return 0


def _shape(text: str) -> tuple[int, ...]:
    return tuple(positive(side) for side in text.split("x"))


def _plan(text: str) -> Plan:
    try:
        return msgspec.json.decode(text, type=Plan)
    except UNREADABLE as error:
        raise argparse.ArgumentTypeError(why(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runtime build", description=__doc__)
    parser.add_argument("path", help="the .onnx file, for engine tensorrt")
    parser.add_argument(
        "--shape", type=_shape, default=(), metavar="1x3x224x224",
        help="of the input, where the model leaves it open",
    )  # fmt: skip
    parser.add_argument(
        "--plan", type=_plan, action="append", default=[], metavar="JSON",
        help="a plan that lies beside the file and whose signature was checked, as the manifest "
        "describes it: taken instead, if it is exactly for this device",
    )  # fmt: skip
    parser.add_argument("--seconds", type=positive, metavar="N", help="limit; default: none")
    return parser
