"""`python -m runtime build FILE`: build what an engine needs to run a model on this very device.

Its percents come as lines. The one who asks goes on serving meanwhile.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from runtime.engines import tensorrt
from runtime.limits import limit_this_process


def main(argv: Sequence[str]) -> int:
    words = _parser().parse_args(argv)
    limit_this_process(None, None)
    tensorrt.build(Path(words.path), lambda percent: print(percent, flush=True))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runtime build", description=__doc__)
    parser.add_argument("path", help="the .onnx file, for engine tensorrt")
    return parser
