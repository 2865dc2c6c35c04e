"""`vedette model convert IN --to FORMAT`: of a trained model a model folder, small and proven."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import get_args

import msgspec

from runtime.commands.flags import positive
from runtime.stopping import leave_on_sigterm
from wire.command_line import Parser
from wire.troubles import one_line
from workshop.commands.progress import progress
from workshop.converting import Converted, Wanted
from workshop.converting.making import convert
from workshop.quantizing import Method, Suits
from workshop.reading import Format

PRECISIONS = ("float32", "float16", "dynamic", "int8", "int8x16")
TASKS = ("classify", "regress", "detect", "segment", "pose", "embed", "raw")


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    leave_on_sigterm()
    named = vars(words)
    as_json = named.pop("json")
    wanted = msgspec.convert(named, Wanted)
    with progress() as tell:
        done = convert(wanted, tell)
    print(msgspec.json.encode(done).decode() if as_json else in_words(done))
    return 0


def in_words(done: Converted) -> str:
    """What was made, as a person reads it."""
    lines = [
        f"{done.out}: {done.file}, {done.precision}, {done.size / 1000:,.1f} kB" + _share(done),
        f"  digest      {done.digest}",
        f"  the source  says the same as the float32 file within {done.difference:.1e}",
        f"  one run     {done.inference_us / 1000:,.2f} ms on this machine (median of 5)",
    ]
    if done.judged is not None:
        one = done.judged
        before = "" if done.precision == "float32" else f"; float32 {100 * one.float32:.2f} %"
        lines.append(f"  {one.metric:<10}  {100 * one.made:.2f} % on {one.samples} samples{before}")
    if done.agreement is not None:
        both = done.agreement
        verdict = "agree" if both.agrees else "DO NOT agree"
        lines.append(
            f"  training and runtime {verdict}: {both.mean:.2f}/255 apart on average on "
            f"{both.pictures} pictures, most on {both.worst} ({both.worst_mean:.2f}/255)"
        )
        lines += [f"    {note}" for note in both.notes]
    if done.mixed is not None:
        lines.append(
            f"  mixed       {len(done.mixed.layers)} of {done.mixed.of} layers stay float32; "
            f"{len(done.mixed.tried)} sets were tried"
        )
    kept = [each for each in done.layers if each.precision == "float32" and each.why == "kept"]
    lines += [f"  kept        {each.name} ({each.kind}) is float32" for each in kept]
    if done.golden:
        lines.append(f"  golden      {done.golden} samples")
    if done.guesses:
        lines += ["", "  nobody has said this, it was inferred (--like MODEL knows):"]
        lines += [f"    {guess}" for guess in done.guesses]
    lines += [f"  note: {note}" for note in done.notes]
    lines += ["", f"  next: vedette fleet pack {done.out}"]
    return "\n".join(map(one_line, lines))


def _share(done: Converted) -> str:
    if done.precision == "float32":
        return ""
    return f" ({100 * done.size / done.float_size:.0f} % of float32)"


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(each) for each in text.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: as in 1,224,224,3")
    return shape


def _names(text: str) -> tuple[str, ...]:
    return tuple(each for each in text.split(",") if each)


def _share_of_1(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a share, 0.005 for half a point")
    return value


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette model convert",
        description="Make a model folder that the runtime runs of a trained model: Keras (.keras, "
        ".h5), SavedModel, PyTorch (.pt2, TorchScript, package.module:attribute), ONNX, TFLite or "
        "scikit-learn. The float32 file is proven against the source framework first. Needs "
        "pip install 'vedette[workshop]'.",
    )
    parser.add_argument("source", metavar="IN", help="the trained model")
    parser.add_argument("--to", required=True, choices=get_args(Format), help="format")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="model folder to be written")
    parser.add_argument(
        "--replace",
        dest="replacing",
        action="store_true",
        help="put it in place of a model folder that is there",
    )
    _add_precision(parser)
    _add_description(parser)
    parser.add_argument(
        "--json", action="store_true", help="print what was made as one JSON object"
    )
    return parser


def _add_precision(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("precision")
    group.add_argument(
        "--precision",
        default="float32",
        choices=PRECISIONS,
        help="of weights and activations (default: %(default)s)",
    )
    group.add_argument(
        "--calibrate",
        metavar="SAMPLES",
        help="pictures, video or camera from which int8 learns ranges",
    )
    group.add_argument(
        "--calibrate-count",
        type=positive,
        default=200,
        metavar="N",
        help="at most so many of them (default: %(default)s)",
    )
    group.add_argument(
        "--method",
        default="minmax",
        choices=get_args(Method),
        help="how ranges follow from them (default: %(default)s)",
    )
    group.add_argument(
        "--percentile",
        type=float,
        default=99.99,
        metavar="P",
        help="of --method percentile (default: %(default)s)",
    )
    group.add_argument(
        "--suits",
        default="tensorrt",
        choices=get_args(Suits),
        help="what an .onnx of int8 is best for: TensorRT wants activations symmetric, a CPU is "
        "quicker and more exact with others, which TensorRT refuses (default: %(default)s)",
    )
    _add_mixed(group)


def _add_mixed(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--keep",
        type=_names,
        default=(),
        metavar="LAYERS",
        help="stay float32: names or patterns, with commas between",
    )
    group.add_argument(
        "--whole", action="store_true", help="refuse where a layer cannot be lowered"
    )
    group.add_argument(
        "--data", metavar="SAMPLES", help="samples with a truth, to judge before and after"
    )
    group.add_argument("--data-count", type=positive, metavar="N", help="at most so many of them")
    group.add_argument(
        "--keep-within",
        type=_share_of_1,
        metavar="SHARE",
        help="find the few layers to keep so that accuracy on --data is at most "
        "this much below float32's: 0.005 is half a point",
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of all chance (0)")


def _add_description(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what the tensors do not say")
    group.add_argument(
        "--like", metavar="MODEL", help="a model folder, bundle or zoo name whose manifest tells it"
    )
    group.add_argument("--name", metavar="NAME", help="of the model")
    group.add_argument("--version", metavar="V", help="of the model")
    group.add_argument("--task", choices=TASKS, help="what it finds")
    group.add_argument("--head", metavar="HEAD", help="what its outputs mean: docs/models.md")
    group.add_argument("--labels", metavar="FILE", help="its classes, one a line")
    group.add_argument(
        "--preprocessing",
        metavar="WHAT",
        help="what training did to its pictures: preprocessor_config.json, "
        "config.json of timm, a .toml, or module:function, which is asked",
    )
    group.add_argument(
        "--input-shape",
        type=_shape,
        metavar="N,N,...",
        help="where the source leaves it open, as 1,224,224,3",
    )
    group.add_argument("--signature", metavar="NAME", help="of a SavedModel that has several")
    group.add_argument(
        "--trusted",
        action="store_true",
        help="run the code that a pickle (.pkl, .joblib) of yours brings",
    )
    group.add_argument(
        "--tolerance",
        type=float,
        default=1e-4,
        metavar="SHARE",
        help="allowed between source and float32 file (default: %(default)g)",
    )
    group.add_argument(
        "--golden",
        type=int,
        default=4,
        metavar="N",
        help="golden samples to make of the samples (default: %(default)s)",
    )
