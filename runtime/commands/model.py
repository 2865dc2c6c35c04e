"""`vedette model show PATH`: what a model is, what it eats and gives, and whether it keeps it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from models import manifest
from models.manifest import Manifest, Measured
from models.row import Row
from runtime.building import build_now
from runtime.child import try_in_child
from runtime.commands import model_plan
from runtime.commands.flags import add_engine_options, engine_options
from runtime.engines import TensorSpec
from runtime.golden import check_golden
from runtime.locating import Located, locate, resolve
from runtime.loop import Model
from runtime.opening import open_model
from wire.command_line import Parser
from wire.troubles import Refused, one_line

INFERRED = "Inferred from the model file, not known: correct what is wrong."


@dataclass(frozen=True)
class Card:
    """A model as it is shown. golden: how many samples were checked and are right."""

    file: str
    bytes: int
    digest: str
    engine: str
    manifest: Manifest
    guesses: tuple[str, ...]
    takes: TensorSpec
    gives: tuple[TensorSpec, ...]
    labels: tuple[str, ...]
    golden: int


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    done: int = words.do(words)
    return done


def _show(words: argparse.Namespace) -> int:
    with locate(resolve(words.path), words.engine) as located:
        options = engine_options(words)
        build_now(located, model_plan.say)
        try_in_child(located, options)
        model = open_model(located, options)
        try:
            card = _card(located, model)
        finally:
            model.engine.close()
        if words.write_manifest:
            _write(located, card)
    print(msgspec.json.encode(card).decode() if words.json else in_words(card))
    return 0


def _card(located: Located, model: Model) -> Card:
    return Card(
        str(located.file),
        located.file.stat().st_size,
        model.digest,
        model.engine_kind,
        model.manifest,
        model.guesses,
        model.engine.takes,
        model.engine.gives,
        model.labels,
        check_golden(model, located.folder),
    )


def _write(located: Located, card: Card) -> None:
    """Write the inferred manifest beside a bare model file; one that is there stays."""
    path = located.folder / manifest.FILE_NAME
    if located.manifest is not None or path.exists():
        raise Refused(f"{path} is there already: edit it, or remove it first")
    notes = [INFERRED, *(f"- {guess}" for guess in card.guesses)]
    try:
        manifest.write(located.folder, card.manifest, notes)
    except OSError as error:
        raise Refused(f"{path}: cannot be written: {error.strerror}") from None


def in_words(card: Card) -> str:
    """The card as a person reads it."""
    described = card.manifest
    lines = [
        f"{described.name} {described.version}: {described.task}, {described.format}, "
        f"{card.bytes / 1000:,.0f} kB, for {card.engine}",
        f"  file    {card.file}",
        f"  digest  {card.digest}",
        "",
        f"  takes   {_tensor(card.takes)}",
        f"          {_preparation(described)}",
    ]
    lines += [f"  gives   {_tensor(spec)}" for spec in card.gives]
    if card.labels:
        shown = ", ".join(card.labels[:8]) + (", ..." if len(card.labels) > 8 else "")
        lines.append(f"  labels  {len(card.labels)}: {shown}")
    if card.guesses:
        lines += ["", "  there is no manifest; this was inferred:"]
        lines += [f"    {guess}" for guess in card.guesses]
        lines.append("    (vedette model show --write-manifest writes it down, to be edited)")
    for plan in described.plans:
        lines.append(f"  plan    {plan.file}: {plan.tensorrt} on {plan.architecture} {plan.l4t}")
    for one in described.card.accuracy:
        lines.append(f"  right   {accuracy_words(one)}")
    golden = f"{card.golden} of {card.golden} right" if card.golden else "none in the manifest"
    return "\n".join(map(one_line, [*lines, "", f"  golden samples: {golden}"]))


def accuracy_words(measured: Measured) -> str:
    """How right a model was, as its card has it."""
    samples = "" if measured.samples is None else f", {measured.samples} samples"
    return f"{measured.metric} {100 * measured.value:.4g} % on {measured.on}{samples}"


def _preparation(described: Manifest) -> str:
    wanted = described.takes
    mean, std = (", ".join(f"{each:g}" for each in values) for values in (wanted.mean, wanted.std))
    if isinstance(wanted, Row):
        columns = ", ".join(wanted.columns[:8]) + (", ..." if len(wanted.columns) > 8 else "")
        scaled = f"(number - {mean}) / {std}" if len(wanted.mean) == 1 else "scaled by column"
        scaled = "as they are" if (wanted.mean, wanted.std) == ((0.0,), (1.0,)) else scaled
        return f"a row of {columns or f'{wanted.count} numbers'}; {scaled}"
    return (
        f"{wanted.width}x{wanted.height} {wanted.colour}, {wanted.fit}, {wanted.interpolation}; "
        f"(pixel - {mean}) / {std}"
    )


def _tensor(spec: TensorSpec) -> str:
    shape = "x".join(map(str, spec.shape))
    if spec.scale is None:
        return f"{spec.name}: {spec.dtype} {shape}"
    return (
        f"{spec.name}: {spec.dtype} {shape}, real = (stored - {spec.zero_point}) * {spec.scale:.6g}"
    )


def parser() -> argparse.ArgumentParser:
    outer = Parser(
        prog="vedette model",
        description="Look at models.",
        epilog="and of the workshop: vedette model convert (from Keras, PyTorch, ONNX, ...; on a "
        "workstation, with pip install 'vedette[workshop]'), vedette model compare, vedette model "
        "loadtest",
    )
    verbs = outer.add_subparsers(required=True, metavar="VERB")
    show = verbs.add_parser(
        "show", help="manifest, tensors, size, quantisation, golden check",
        description="Open a model in a child process, then show what it is and check its golden "
        "samples.",
    )  # fmt: skip
    show.add_argument("path", metavar="PATH", help="model folder, bundle, model file or zoo name")
    add_engine_options(show)
    show.add_argument(
        "--write-manifest", action="store_true", help="write the inferred manifest.toml"
    )
    show.add_argument("--json", action="store_true", help="print the card as one JSON object")
    show.set_defaults(do=_show)
    model_plan.add_parser(verbs)
    return outer
