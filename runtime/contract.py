"""Does a model keep what its manifest promises? Shapes, types, quantisation, labels, head."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from models.manifest import Input, Manifest
from models.row import Row
from runtime.engines import Engine, TensorSpec
from runtime.tasks import detect, pose, segment
from wire.troubles import Refused

ONE_OUTPUT = ("classify", "regress")
PLURALS = {"class": "es", "value": "s"}


def check_contract(manifest: Manifest, engine: Engine, labels: tuple[str, ...], where: str) -> None:
    """Raises Refused that names the first contradiction, and what each side says."""
    check_input(manifest.takes, engine.takes, where)
    _check_outputs(manifest, engine.gives, where)
    if manifest.task in ONE_OUTPUT and len(engine.gives) != 1:
        raise Refused(f"{where}: task {manifest.task} needs one output, it has {len(engine.gives)}")
    count = _class_count(manifest, engine.gives, labels, where)
    if count == 0:
        raise Refused(f"{where}: output {engine.gives[0].name!r} is empty: there are no scores")
    if labels and count is not None and len(labels) != count:
        have = f"{len(labels)} label{'s'[: len(labels) != 1]}"
        what = "value" if manifest.task == "regress" else "class"
        raise Refused(
            f"{where}: {manifest.labels or 'its label file'} has {have}, the model {count} "
            f"{what}{PLURALS[what][: 2 * (count != 1)]}: one label a line, in their order"
        )


def _class_count(
    manifest: Manifest, gives: Sequence[TensorSpec], labels: tuple[str, ...], where: str
) -> int | None:
    """How many classes the outputs tell apart, where they show it."""
    if manifest.task in ONE_OUTPUT:
        return int(np.prod(gives[0].shape))
    try:
        if manifest.task == "detect":
            return detect.class_count(manifest, gives, labels)
        if manifest.task == "segment":
            return segment.class_count(manifest, gives, labels)
        if manifest.task == "pose":
            _check_points(manifest, pose.point_count(manifest, gives))
    except Refused as trouble:
        raise Refused(f"{where}: {trouble}") from None
    return None


def _check_points(manifest: Manifest, count: int) -> None:
    named = manifest.decoding.keypoints
    if named and len(named) != count:
        raise Refused(
            f"the manifest names {len(named)} keypoints, the model gives {count}: name each, in "
            "its order"
        )
    highest = max((max(pair) for pair in manifest.decoding.skeleton), default=0)
    if highest >= count:
        raise Refused(
            f"the skeleton joins keypoint {highest}, the model gives {count}: they count from 0"
        )


def declared_input(wanted: Input | Row) -> TensorSpec:
    """The input tensor that a manifest declares."""
    return TensorSpec("input", wanted.shape, wanted.dtype, wanted.scale, wanted.zero_point)


def declared_outputs(manifest: Manifest) -> tuple[TensorSpec, ...]:
    """The output tensors that a manifest declares."""
    return tuple(
        TensorSpec(each.name, each.shape, each.dtype, each.scale, each.zero_point)
        for each in manifest.outputs
    )


def check_input(wanted: Input | Row, takes: TensorSpec, where: str) -> None:
    """Raises Refused where the manifest's input is not the model's."""
    promised = declared_input(wanted)
    table = "[row]" if isinstance(wanted, Row) else "[input]"
    if promised.shape != takes.shape:
        laid, hint = "", ""
        if isinstance(wanted, Input):
            other = replace(wanted, layout="NCHW" if wanted.layout == "NHWC" else "NHWC")
            laid = f" ({wanted.layout})"
            hint = f": the model is {other.layout}" if other.shape == takes.shape else ""
        raise Refused(
            f"{where}: {table} says {promised.shape}{laid}, the model takes {takes.shape}{hint}"
        )
    if promised.dtype != takes.dtype:
        raise Refused(f"{where}: {table} dtype is {promised.dtype}, the model's is {takes.dtype}")
    if takes.scale is not None and not _same_quantisation(promised, takes):
        raise Refused(
            f"{where}: {table} {_quantised(promised)}, the model has {_quantised(takes)}: "
            "write that"
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
                f"{where}: output {said.name!r} {_quantised(said)}, the model has "
                f"{_quantised(real)}: write that"
            )


def _quantised(spec: TensorSpec) -> str:
    if spec.scale is None:
        return "gives no scale and zero_point"
    return f"scale = {spec.scale:.9g}, zero_point = {spec.zero_point}"


def _same_quantisation(said: TensorSpec, real: TensorSpec) -> bool:
    if said.scale is None or real.scale is None:
        return said.scale is real.scale
    return bool(np.isclose(said.scale, real.scale, rtol=1e-5)) and (said.zero_point or 0) == (
        real.zero_point or 0
    )
