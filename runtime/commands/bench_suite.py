"""`vedette bench --suite`: what this machine can do, engine by engine and model by model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from runtime.commands.flags import duration_s, threads
from runtime.commands.run import judge_camera
from runtime.engines.accelerators import check_known
from runtime.formats import engine_trouble
from runtime.locating import zoo
from runtime.suite import FORM, EngineHere, Job, Machine, Row, Suite
from runtime.suite.against import Comparison, read
from runtime.suite.children import row_of
from runtime.suite.jobs import (
    CAMERAS,
    ENGINES,
    Wanted,
    home_of,
    impossible,
    jobs,
    usual_threads,
)
from runtime.suite.machine import this_machine
from runtime.suite.naming import named
from runtime.suite.plot import as_svg
from runtime.suite.table import as_csv, in_words, row_in_words, worse_in_words
from wire.command_line import Parser
from wire.durable import write_durably
from wire.troubles import Refused, Unavailable, one_line

SECONDS, QUICK_S = 3.0, 0.5  # for each combination
START_S = 1.5  # of each process, to say how long all will take
QUICK_CAMERAS = ("synthetic://640x480",)
SLOWER = 3  # exit code


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    comparison = words.against and Comparison(read(words.against), words.slower_by)
    for target in (words.csv, words.plot):
        if target is not None and not target.parent.is_dir():
            raise Refused(f"{target}: there is no folder {target.parent}: make it first")
    suite = measure(words, comparison)
    if words.csv is not None:
        _write(words.csv, as_csv(suite))
    if words.plot is not None:
        _write(words.plot, as_svg(suite))
    if words.json:
        print(msgspec.json.encode(suite).decode())
    else:
        print(in_words(suite) + ("\n\n" + worse_in_words(suite.worse) if suite.worse else ""))
    return SLOWER if suite.worse else 0


def measure(words: argparse.Namespace, comparison: Comparison | None) -> Suite:
    """All of it, one combination after the other. Raises Refused for what cannot be meant,
    Unavailable if not one combination could be measured."""
    models = named([*([] if words.no_zoo else zoo()), *words.model])
    if not models:
        raise Refused("there is no model to measure: name a --model, or leave --no-zoo out")
    wanted, machine = _wanted(words), this_machine()
    engines = tuple(EngineHere(each, engine_trouble(each)) for each in wanted.engines)
    todo = jobs(models, wanted, [each.name for each in engines if each.trouble is None])
    seconds = words.seconds or (QUICK_S if words.quick else SECONDS)
    count = f"{len(todo)} combination{'s'[: len(todo) != 1]}"
    _say(f"{count}, {_about(len(todo) * (START_S + seconds))}")
    if comparison is not None:
        _tell_of_earlier(comparison, machine, todo)
    rows = [*_rows(todo, seconds, comparison), *impossible(models, wanted)]
    if not any(row.measured for row in rows):
        whys = [row.trouble and f"{row.of.model}: {row.trouble}" for row in rows]
        whys += [each.trouble for each in engines]
        raise Unavailable(
            "nothing could be measured: " + "; ".join(dict.fromkeys(filter(None, whys)))
        )
    if comparison is None:
        return Suite(FORM, machine, engines, tuple(rows))
    lost = [each.name for each in engines if each.trouble is not None]
    comparison.judge_lost(lost, [model.name for model in models])
    return Suite(FORM, machine, engines, tuple(rows), tuple(comparison.worse))


def _rows(todo: Sequence[Job], seconds: float, comparison: Comparison | None) -> list[Row]:
    rows = []
    for number, job in enumerate(todo, 1):

        def again(job: Job = job) -> Row:
            return row_of(job, seconds, _say)

        row = again()
        if comparison is not None:
            row = comparison.judge(row, again)
        _say(f"{number} of {len(todo)}: {row_in_words(row)}")
        rows.append(row)
    return rows


def _tell_of_earlier(comparison: Comparison, machine: Machine, todo: Sequence[Job]) -> None:
    known = comparison.known_of(job.of for job in todo)
    if not known:
        raise Refused(
            "nothing of this was measured in the earlier run: give the same --model, --camera and "
            "--threads"
        )
    _say(f"{known} of them are compared with the earlier run")
    then = comparison.earlier.machine
    if (then.processor, then.cores) != (machine.processor, machine.cores):
        _say(f"the earlier run was on another machine: {then.processor}, {then.cores} cores")


def _wanted(words: argparse.Namespace) -> Wanted:
    """Raises Refused for an accelerator that nobody knows; one that is not here has a row."""
    for accelerator in words.accelerator:
        if home_of(accelerator) == "onnxruntime":
            check_known("onnxruntime", [accelerator])
    for camera in words.camera:
        judge_camera(camera)
    return Wanted(
        tuple(dict.fromkeys(words.engine)) or ENGINES,
        tuple(dict.fromkeys(words.accelerator)),
        tuple(dict.fromkeys(words.threads)) or usual_threads(),
        tuple(dict.fromkeys(words.camera)) or (QUICK_CAMERAS if words.quick else CAMERAS),
    )


def _about(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {round(seconds / 60)} minutes"


def _write(path: Path, text: str) -> None:
    try:
        write_durably(path, text.encode())
    except OSError as error:
        raise Refused(f"{path}: cannot be written: {error.strerror}: name another file") from None


def _say(line: str) -> None:
    print(f"vedette: {one_line(line)}", file=sys.stderr, flush=True)


def percent(text: str) -> float:
    """How much slower is not yet slower."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage from 0 up")
    return number


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette bench --suite",
        description="Measure every engine that works here with every model, camera and number of "
        "threads, each in a process of its own: a model that crashes is a row that says so.",
        epilog=f"Exit code 0: measured; {SLOWER}: with --against, something got slower or does not "
        "run any more; 1: nothing could be measured; 2: refused.",
    )
    parser.add_argument(
        "--model", action="append", default=[], metavar="PATH",
        help="beside the zoo's: a model folder, bundle, .tflite or .onnx file, or a folder of "
        "these; may be given several times",
    )  # fmt: skip
    parser.add_argument("--no-zoo", action="store_true", help="only the models of --model")
    parser.add_argument(
        "--engine", action="append", default=[], choices=ENGINES,
        help="default: all that work here; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--accelerator", action="append", default=[], metavar="NAME",
        help="also with this LiteRT delegate (edgetpu, gpu, a library) or ONNX Runtime provider "
        "(cuda, tensorrt); may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--threads", action="append", default=[], type=threads, metavar="N",
        help="default: 1, and cores - 1; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--camera", action="append", default=[], metavar="URI",
        help=f"default: {', '.join(CAMERAS)}; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=duration_s, metavar="S",
        help=f"for each combination; default: {SECONDS:g}, with --quick {QUICK_S:g}",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true", help=f"short, and with {QUICK_CAMERAS[0]} alone"
    )
    parser.add_argument("--json", action="store_true", help="print all of it as one JSON object")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write the rows as CSV")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="also draw them as SVG")
    parser.add_argument(
        "--against", type=Path, metavar="FILE.json",
        help="compare with what an earlier run printed with --json",
    )  # fmt: skip
    parser.add_argument(
        "--slower-by", type=percent, default=15.0, metavar="PERCENT",
        help="with --against: how much more time is called slower (default: %(default)g)",
    )  # fmt: skip
    return parser
