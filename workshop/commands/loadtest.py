"""`vedette model loadtest`: how a model holds up as rate, pipelines and threads rise."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from runtime.commands.flags import duration_s, positive, threads
from runtime.engines.accelerators import check_known
from runtime.locating import locate, resolve
from runtime.stopping import leave_on_sigterm
from runtime.suite.jobs import home_of
from wire.command_line import Parser
from wire.durable import write_durably
from wire.troubles import Refused
from workshop.commands.progress import progress
from workshop.loading import LoadTest
from workshop.loading.cameras import RATES, feed_of
from workshop.loading.report import as_html
from workshop.loading.rising import Plan, climb
from workshop.loading.running import Wish
from workshop.loading.table import as_text

SECONDS = 5.0
USUAL_CAMERA = "synthetic://640x480"
MOST_PIPELINES = 256

Number = TypeVar("Number", int, float)


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    leave_on_sigterm()
    if words.report is not None and not words.report.parent.is_dir():
        raise Refused(f"{words.report}: there is no folder {words.report.parent}: make it first")
    test = measured(words)
    if words.report is not None:
        _write(words.report, as_html(test))
    print(msgspec.json.encode(test).decode() if words.json else as_text(test))
    return 0


def measured(words: argparse.Namespace) -> LoadTest:
    """The whole test. Raises Refused for what cannot be meant."""
    for accelerator in words.accelerator:
        if home_of(accelerator) == "onnxruntime":
            check_known("onnxruntime", [accelerator])
    with locate(resolve(words.model), words.engine) as located:
        row = located.manifest.row if located.manifest is not None else None
    if row is not None and words.camera == USUAL_CAMERA:
        words.camera = f"rows+synthetic://{row.count}"
    wish = Wish(
        resolve(words.model).absolute(), feed_of(words.camera), words.engine,
        tuple(words.accelerator), words.seconds,
    )  # fmt: skip
    plan = Plan(_once(words.rates), _once(words.pipelines), _once(words.threads))
    with progress() as tell:
        return climb(wish, plan, words.camera, tell)


def _once(numbers: Sequence[Number]) -> tuple[Number, ...]:
    return tuple(dict.fromkeys(numbers))


def _write(path: Path, text: str) -> None:
    try:
        write_durably(path, text.encode())
    except OSError as error:
        raise Refused(f"{path}: cannot be written: {error.strerror}: name another file") from None


def several(kind: Callable[[str], Number]) -> Callable[[str], tuple[Number, ...]]:
    """Numbers between commas."""

    def read(text: str) -> tuple[Number, ...]:
        return tuple(kind(part.strip()) for part in text.split(","))

    return read


def rate(text: str) -> float:
    """Pictures per second."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not RATES[0] <= number <= RATES[1]:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of pictures per second from {RATES[0]:g} to {RATES[1]:g}"
        )
    return number


def pipelines(text: str) -> int:
    """How many pipelines."""
    number = positive(text)
    if number > MOST_PIPELINES:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {MOST_PIPELINES} pipelines")
    return number


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette model loadtest",
        description="Run a model in more and more pipelines, at higher and higher rates, and see "
        "where latency and skipped pictures bend away from what is answered. Each pipeline is a "
        "process with a runtime's own loop and a camera of its own; needs no framework, so it runs "
        "on a device as well.",
        epilog="Exit code 0: measured; 1: the model or an engine is not there; 2: refused.",
    )
    parser.add_argument(
        "model", metavar="MODEL",
        help="model folder, bundle (.zip), .tflite or .onnx file, or the name of a zoo model",
    )  # fmt: skip
    parser.add_argument(
        "--camera", default=USUAL_CAMERA, metavar="URI",
        help="synthetic://640x480, file://PATH, or of a model that takes rows rows://FILE.csv, "
        "without a rate (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--rates", type=several(rate), default=(), metavar="N,N,...",
        help="pictures per second of each pipeline; default: six, below and above what one manages",
    )  # fmt: skip
    parser.add_argument(
        "--pipelines", type=several(pipelines), default=(1, 2, 4), metavar="N,N,...",
        help="how many at a time (default: 1,2,4)",
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=several(threads), default=(1,), metavar="N,N,...",
        help="inference threads of each pipeline (default: 1)",
    )  # fmt: skip
    parser.add_argument(
        "--engine", metavar="NAME",
        help="litert, onnxruntime, tensorrt or null; default: by the format",
    )  # fmt: skip
    parser.add_argument(
        "--accelerator", action="append", default=[], metavar="NAME",
        help="LiteRT delegate library or ONNX Runtime provider; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=duration_s, default=SECONDS, metavar="S",
        help="for each load, when all of its pipelines answer (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--report", type=Path, metavar="FILE.html", help="also write tables and plots, as one file"
    )
    parser.add_argument("--json", action="store_true", help="print all of it as one JSON object")
    return parser
