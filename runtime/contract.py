"""Does a model keep what its manifest promises? Shapes, types, quantisation, labels, head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.manifest import Input, Manifest
from runtime.engines import Engine, TensorSpec
from wire.troubles import Refused


def check_contract(manifest: Manifest, engine: Engine, labels: tuple[str, ...], where: str) -> None:
    """Raises Refused that names the first contradiction, and what each side says."""
    check_input(manifest.input, engine.takes, where)
    _check_outputs(manifest, engine.gives, where)
    if manifest.task == "classify":
        if len(engine.gives) != 1:
            raise Refused(f"{where}: task classify needs one output, it has {len(engine.gives)}")
        count = int(np.prod(engine.gives[0].shape))
        if labels and len(labels) != count:
            raise Refused(
                f"{where}: {manifest.labels} has {len(labels)} labels, but output "
                f"{engine.gives[0].name!r} has {count} scores: one label a line, in their order"
            )


def declared_input(wanted: Input) -> TensorSpec:
    """The input tensor that a manifest declares."""
    picture = (wanted.height, wanted.width)
    channels = (wanted.channels,)
    shape = (1, *picture, *channels) if wanted.layout == "NHWC" else (1, *channels, *picture)
    return TensorSpec("input", shape, wanted.dtype, wanted.scale, wanted.zero_point)


def declared_outputs(manifest: Manifest) -> tuple[TensorSpec, ...]:
    """The output tensors that a manifest declares."""
    return tuple(
        TensorSpec(each.name, each.shape, each.dtype, each.scale, each.zero_point)
        for each in manifest.outputs
    )


def check_input(wanted: Input, takes: TensorSpec, where: str) -> None:
    """Raises Refused where the manifest's input is not the model's."""
    promised = declared_input(wanted)
    if promised.shape != takes.shape:
        flipped = tuple(np.array(takes.shape)[[0, 2, 3, 1]]) if len(takes.shape) == 4 else ()
        hint = f": the model is {_other(wanted.layout)}" if flipped == promised.shape else ""
        raise Refused(
            f"{where}: [input] says {promised.shape} ({wanted.layout}), the model takes "
            f"{takes.shape}{hint}"
        )
    if promised.dtype != takes.dtype:
        raise Refused(f"{where}: [input] dtype is {promised.dtype}, the model's is {takes.dtype}")
    if takes.scale is not None and not _same_quantisation(promised, takes):
        raise Refused(
            f"{where}: [input] scale {promised.scale}, zero_point {promised.zero_point}; the "
            f"model's are {takes.scale:.9g}, {takes.zero_point}"
        )


def _check_outputs(manifest: Manifest, gives: Sequence[TensorSpec], where: str) -> None:
    promised = declared_outputs(manifest)
    if not promised:
        return
    if len(promised) != len(gives):
        raise Refused(
            f"{where}: the manifest has {len(promised)} [[outputs]], the model {len(gives)}"
        )
    for said, real in zip(promised, gives, strict=True):
        if (said.shape, said.dtype) != (real.shape, real.dtype):
            raise Refused(
                f"{where}: output {said.name!r} says {said.dtype} {said.shape}, the model gives "
                f"{real.dtype} {real.shape}"
            )
        if real.scale is not None and not _same_quantisation(said, real):
            raise Refused(
                f"{where}: output {said.name!r} says scale {said.scale}, zero_point "
                f"{said.zero_point}; the model's are {real.scale:.9g}, {real.zero_point}"
            )


def _same_quantisation(said: TensorSpec, real: TensorSpec) -> bool:
    if said.scale is None or real.scale is None:
        return said.scale is real.scale
    return bool(np.isclose(said.scale, real.scale, rtol=1e-5)) and (said.zero_point or 0) == (
        real.zero_point or 0
    )


def _other(layout: str) -> str:
    return "NCHW" if layout == "NHWC" else "NHWC"
