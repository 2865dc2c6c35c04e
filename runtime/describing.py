"""A manifest with nothing left out: what it does not say, the model's own tensors say."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from msgspec.structs import replace as replaced

from models.manifest import Input, Manifest, Output
from models.row import Row
from runtime.contract import check_contract, declared_input
from runtime.contract import declared_outputs as promised_outputs
from runtime.engines import Engine, EngineOptions, TensorSpec, open_engine
from runtime.inferring import declared_outputs, packed_labels
from runtime.locating import Located, locate, resolve
from runtime.opening import open_model, read_labels
from wire.troubles import Refused


class Description(msgspec.Struct, frozen=True):
    """A whole manifest and where it comes from.

    guesses: a line each, if all was inferred. filled: what a manifest lacked, a line each. labels:
    how many there are, also inside of the model file.
    """

    manifest: Manifest
    engine: str
    guesses: tuple[str, ...]
    filled: tuple[str, ...]
    labels: int


def describe(path: str, engine_kind: str | None, options: EngineOptions) -> Description:
    """Open the model and complete its manifest. Raises Refused where the two contradict."""
    with locate(resolve(path), engine_kind) as located:
        if located.manifest is None:
            return _inferred(located, options)
        return _completed(located, located.manifest, options)


def _inferred(located: Located, options: EngineOptions) -> Description:
    model = open_model(located, options)
    model.engine.close()
    return Description(model.manifest, located.engine_kind, model.guesses, (), len(model.labels))


def _completed(located: Located, manifest: Manifest, options: EngineOptions) -> Description:
    declared = replace(
        options, takes=declared_input(manifest.takes), gives=promised_outputs(manifest)
    )
    engine = open_engine(located.engine_kind, located.file, declared)
    try:
        whole, filled = complete(manifest, engine, str(located.file))
        labels = read_labels(whole, located.folder) or packed_labels(located.file)
        check_contract(whole, engine, labels, str(located.file))
    finally:
        engine.close()
    return Description(whole, located.engine_kind, (), filled, len(labels))


def complete(manifest: Manifest, engine: Engine, where: str) -> tuple[Manifest, tuple[str, ...]]:
    """The manifest with the tensors' own values where it has none, and a line for each of them.

    What it says is never changed, right or wrong: `check_contract` judges that.
    """
    wanted, said = _input(manifest.takes, engine.takes)
    if manifest.outputs:
        pairs = [_output(*each) for each in zip(manifest.outputs, engine.gives, strict=False)]
        outputs = (*(output for output, _ in pairs), *manifest.outputs[len(pairs) :])
        said += tuple(line for _, line in pairs if line)
    else:
        try:
            outputs = declared_outputs(engine)
        except msgspec.ValidationError as error:
            raise Refused(f"{where}: has an output that no manifest can have: {error}") from None
        said += tuple(f"[[outputs]] {_words(spec)}" for spec in engine.gives)
    if isinstance(wanted, Row):
        return replaced(manifest, row=wanted, outputs=outputs), said
    return replaced(manifest, input=wanted, outputs=outputs), said


def _input(wanted: Input | Row, takes: TensorSpec) -> tuple[Input | Row, tuple[str, ...]]:
    unsaid = wanted.scale is None and wanted.zero_point is None
    if not unsaid or takes.scale is None or takes.dtype != wanted.dtype:
        return wanted, ()
    zero_point = takes.zero_point or 0
    whole = replaced(wanted, scale=takes.scale, zero_point=zero_point)
    table = "[row]" if isinstance(wanted, Row) else "[input]"
    return whole, (f"{table} scale = {takes.scale:.9g}, zero_point = {zero_point}",)


def _output(said: Output, real: TensorSpec) -> tuple[Output, str]:
    unsaid = said.scale is None and said.zero_point is None
    if not unsaid or real.scale is None or said.dtype != real.dtype:
        return said, ""
    zero_point = real.zero_point or 0
    whole = replaced(said, scale=real.scale, zero_point=zero_point)
    return whole, f"[[outputs]] {said.name}: scale = {real.scale:.9g}, zero_point = {zero_point}"


def _words(spec: TensorSpec) -> str:
    words = f"{spec.name}: {spec.dtype} {'x'.join(map(str, spec.shape))}"
    if spec.scale is None:
        return words
    return f"{words}, scale = {spec.scale:.9g}, zero_point = {spec.zero_point or 0}"
