"""`vedette fleet pack`: make a bundle of a model folder or model file."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from fleet.pack.pack import Packed, Wanted, pack
from wire.command_line import Parser
from wire.troubles import one_line

QUIET_S = 2.0  # work that is done sooner needs no words


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _end)
    packed = pack(_wanted(words), Noting(time.monotonic).note)
    if words.json:
        print(msgspec.json.encode(packed).decode())
    else:
        print(in_words(packed))
    return 0


def _end(number: int, _: object) -> None:
    """Asked to end, by a build server mostly: as after Ctrl-C, nothing is left behind."""
    sys.exit(128 + number)


class Noting:
    """Says on standard error what goes on, once it lasts."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said_s = clock()

    def note(self, line: str) -> None:
        """line: what goes on now."""
        now_s = self._clock()
        if now_s - self._said_s >= QUIET_S:
            self._said_s = now_s
            print(f"vedette: {one_line(line)}", file=sys.stderr, flush=True)


def in_words(packed: Packed) -> str:
    """What was packed, as a person reads it."""
    there = ", which was there already" if packed.unchanged else ""
    golden = (
        f"{packed.check.golden} of {packed.check.golden} right" if packed.check.golden else "none"
    )
    lines = [
        f"{packed.name} {packed.version}: {packed.task}, {packed.format}{there}",
        f"  file    {packed.output}  ({packed.size / 1000:,.0f} kB)",
        f"  digest  {packed.digest}",
        f"  runs    on {packed.check.engine}, {packed.check.inference_us / 1000:.2f} ms here, "
        f"{packed.check.peak_rss_mb:.0f} MB at most",
        f"  golden  {golden}",
    ]
    if packed.made is not None:
        lines += [f"    {each.picture}: {each.found}: {each.source}" for each in packed.made.chosen]
    if packed.guessed:
        lines.append("  guessed, as there is no manifest. Wrong normalisation or order of colours "
                     "makes a model blind: check this:")  # fmt: skip
        lines += [f"    {line}" for line in packed.guessed]
    if packed.filled:
        lines.append("  the manifest lacked this, the model says it:")
        lines += [f"    {line}" for line in packed.filled]
    lines += [f"  note: {line}" for line in packed.doubts]
    return "\n".join(map(one_line, lines))


def _wanted(words: argparse.Namespace) -> Wanted:
    return Wanted(
        words.path, words.output, words.name, words.version, words.labels, words.golden,
        words.golden_count, words.force,
    )  # fmt: skip


def parser() -> argparse.ArgumentParser:
    outer = Parser(
        prog="vedette fleet pack",
        description="Make a bundle of a model: complete its manifest from the model's own tensors, "
        "make golden samples of a folder of pictures, try it in a process of its own, and write it "
        "as one file. The folder itself is not changed.",
    )
    outer.add_argument(
        "path", type=Path, metavar="FOLDER|MODEL_FILE",
        help="a folder with a manifest.toml, or a .tflite or .onnx file",
    )  # fmt: skip
    outer.add_argument(
        "--output", type=Path, metavar="FILE",
        help="default: NAME-VERSION-FORMAT.zip in the current folder",
    )  # fmt: skip
    outer.add_argument("--name", metavar="N", help="default: the manifest's, or the file's")
    outer.add_argument("--version", metavar="V", help="default: the manifest's")
    outer.add_argument("--labels", type=Path, metavar="FILE", help="one label a line")
    outer.add_argument(
        "--golden", type=Path, metavar="FOLDER",
        help="make golden samples of these pictures (of a model that takes rows: of this .csv), in "
        "place of those that are there",
    )  # fmt: skip
    outer.add_argument("--golden-count", type=int, default=6, metavar="N", help="default: 6")
    outer.add_argument("--force", action="store_true", help="replace a bundle that is there")
    outer.add_argument("--json", action="store_true", help="print one JSON object")
    return outer
