"""`vedette model compare`: accuracy, agreement, latency, size and memory of several models."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from runtime.commands.flags import add_engine_options, duration_s, engine_options, positive
from runtime.stopping import leave_on_sigterm
from wire.command_line import Parser
from wire.durable import write_durably
from wire.troubles import Refused, one_line
from workshop.commands.progress import progress
from workshop.comparing.contest import Wish, compare_all
from workshop.comparing.fail_if import Condition
from workshop.comparing.figures import NAMES, OF_CLASS, OF_DEVICE, figures_of
from workshop.comparing.known import Known, classes_of
from workshop.comparing.names import Named, check_names, named
from workshop.comparing.report import as_html
from workshop.comparing.results import Comparison, Gate
from workshop.comparing.words import in_words

FAILS = 3  # exit code: a --fail-if is true
OF_ASK = (
    "key", "broker", "fleet", "username", "password_file", "ca_file", "certificate_file",
    "key_file", "timeout",
)  # fmt: skip
DESCRIPTION = """\
Run several models on the same samples, and show what each is worth: accuracy
or mAP, agreement, latency and memory (each in a process of its own, in
turns), size, confusions, classes and layers. Needs no framework."""
EXIT_CODES = """\
exit code: 0 measured, 1 something is not there, 2 refused, 3 a --fail-if is true
"""
NO_FILES = {"broker": "URL", "fleet": "NAME", "username": "NAME", "timeout": "S"}


def main(argv: Sequence[str]) -> int:
    words = parser().parse_intermixed_args(argv)
    leave_on_sigterm()
    models = named(words.models, words.engine)
    check_names(models)
    conditions = [Condition(each) for each in words.fail_if]
    if conditions:
        _check(conditions, models, words.device)
    if words.report is not None:
        _check_writable(words.report)
    with progress() as tell:
        comparison = compare_all(_wish(words, models), tell, note)
    refusal = _unanswered(comparison)
    try:
        comparison = _with_gates(comparison, conditions)
    except Refused as trouble:  # what was measured is shown all the same
        refusal = refusal or trouble
    if words.report is not None:
        _write(words.report, as_html(comparison))
    print(msgspec.json.encode(comparison).decode() if words.json else in_words(comparison))
    if refusal is not None:
        raise refusal
    for gate in comparison.gates:
        if gate.fails:
            note(f"fails: {gate.condition} ({gate.figures})")
    return FAILS if any(gate.fails for gate in comparison.gates) else 0


def _check(
    conditions: Sequence[Condition], models: Sequence[Named], devices: Sequence[str]
) -> None:
    names = [each.name for each in models]
    known = Known(names, list(NAMES), OF_CLASS, OF_DEVICE, classes_of(models), devices)
    for condition in conditions:
        condition.check(known)


def _wish(words: argparse.Namespace, models: Sequence[Named]) -> Wish:
    names = [each.name for each in models]
    reference = words.reference or names[0]
    if reference not in names:
        raise Refused(f"--reference {reference}: is none of {', '.join(names)}")
    return Wish(
        models, reference, words.data, words.limit, words.seed, engine_options(words),
        words.min_score, words.seconds, not words.no_layers, words.device, _asking(words),
    )  # fmt: skip


def _unanswered(comparison: Comparison) -> Refused | None:
    """Without the reference there is nothing to hold the others against: no success, for CI."""
    for row in comparison.models:
        if row.name == comparison.reference and row.trouble is not None:
            return Refused(f"{row.name}, the reference, has no figures: {row.trouble}")
    return None


def _asking(words: argparse.Namespace) -> list[str]:
    """What `vedette ask` is told of the broker and the key."""
    told = []
    for name in OF_ASK:
        value = getattr(words, f"ask_{name}")
        if value is not None:
            told += [f"--{name.replace('_', '-')}={value}"]
    return told


def _with_gates(comparison: Comparison, conditions: Sequence[Condition]) -> Comparison:
    figures = figures_of(comparison)
    judged = [condition.judge(figures) for condition in conditions]
    gates = tuple(Gate(each.condition, each.fails, each.figures) for each in judged)
    return replace(comparison, gates=gates)


def note(text: str) -> None:
    print(f"vedette: {one_line(text)}", file=sys.stderr, flush=True)


def _check_writable(path: Path) -> None:
    """Before anything is measured. Raises Refused."""
    if not path.parent.is_dir():
        raise Refused(f"{path}: there is no folder {path.parent}: make it first")
    if path.is_dir():
        raise Refused(f"{path}: is a folder: name a file, as {path / 'report.html'}")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise _not_written(path, error) from None


def _write(path: Path, text: str) -> None:
    try:
        write_durably(path, text.encode())
    except OSError as error:
        raise _not_written(path, error) from None


def _not_written(path: Path, error: OSError) -> Refused:
    return Refused(f"{path}: cannot be written: {error.strerror}: name another file")


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def parser() -> argparse.ArgumentParser:
    wide = max(map(len, NAMES))
    figures = "\n".join(f"  {name:<{wide}}  {what}" for name, what in NAMES.items())
    parser = Parser(
        prog="vedette model compare",
        description=DESCRIPTION,
        epilog=f"figures of --fail-if:\n{figures}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "models", nargs="+", metavar="[NAME=]MODEL",
        help="model folder, bundle (.zip), .tflite or .onnx file, or the name of a zoo model; a "
        "folder of variants stands for all of them; NAME: what it is called here (default: its "
        "file's or folder's name)",
    )  # fmt: skip
    parser.add_argument(
        "--data", required=True, metavar="SAMPLES",
        help="a folder per class, COCO or YOLO labels, plain pictures or a video (no truth: "
        "agreement only), synthetic://640x480?digits=1, or another camera",
    )  # fmt: skip
    parser.add_argument("--limit", type=positive, metavar="N", help="take so many samples at most")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="which ones (default: 0)")
    parser.add_argument(
        "--reference", metavar="NAME", help="what the others are held against (default: the first)"
    )
    parser.add_argument(
        "--min-score", type=share, metavar="S",
        help="in place of the manifests': 0.05 draws a detector's curve to its end",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=duration_s, default=3.0, metavar="S",
        help="about so long for the latency of each model (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument("--no-layers", action="store_true", help="do not look inside the networks")
    parser.add_argument(
        "--fail-if", action="append", default=[], metavar="CONDITION",
        help='exit with 3 where it is true: "int8.top1 < float.top1 - 0.01"; several may be given',
    )  # fmt: skip
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="write a page with plots")
    parser.add_argument("--json", action="store_true", help="print all figures as one JSON object")
    add_engine_options(parser)
    _add_devices(parser)
    return parser


def _add_devices(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "latency on devices", "by `vedette ask DEVICE bench`; the options below are its own"
    )
    group.add_argument(
        "--device", action="append", default=[], metavar="DEVICE[/PIPELINE]",
        help="measure the live loop of an enrolled device that runs one of the models; several",
    )  # fmt: skip
    for name in OF_ASK:
        group.add_argument(
            f"--{name.replace('_', '-')}", dest=f"ask_{name}", metavar=NO_FILES.get(name, "FILE")
        )
