"""`python -m runtime measure PATH`: one combination of `vedette bench --suite`, in its own process.

The one who asks survives whatever the model does, and its memory is counted alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from runtime.cameras import Ended
from runtime.commands.flags import add_engine_options, duration_s, engine_options, positive
from runtime.limits import end_before_others
from runtime.measuring import NoFrames
from runtime.suite.measuring import measure
from wire.masking import masked
from wire.troubles import Refused, Unavailable


def main(argv: Sequence[str]) -> int:
    words = _parser().parse_args(argv)
    end_before_others(None, words.limit)
    try:
        figures = measure(
            Path(words.path), words.engine, engine_options(words), words.camera, words.seconds
        )
    except Ended:
        raise Unavailable(
            f"{masked(words.camera)}: ended before all was measured: add ?loop=yes"
        ) from None
    except NoFrames as reason:
        raise Unavailable(f"{masked(words.camera)}: {reason}") from None
    except MemoryError:
        raise Refused(f"{words.path}: needs more memory than there is") from None
    print(msgspec.json.encode(figures).decode())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runtime measure", description=__doc__)
    parser.add_argument("path", help="model folder, bundle or model file")
    add_engine_options(parser)
    parser.add_argument("--camera", required=True, metavar="URI", help="where frames come from")
    parser.add_argument(
        "--seconds", type=duration_s, default=3.0, metavar="S", help="about so long (%(default)s)"
    )
    parser.add_argument("--limit", type=positive, metavar="S", help="end after so long; or never")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, as always")
    return parser
