"""A manifest that contradicts its model: each kind of contradiction gets a line of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from models.manifest import Decoding, Input, Manifest, Output
from runtime.contract import check_contract
from runtime.engines import Engine, TensorSpec
from wire.troubles import Refused

TAKES = TensorSpec("input", (1, 48, 64, 3), "int8", 1 / 255, -128)
SCORES = TensorSpec("scores", (1, 3), "int8", 1 / 256, -128)
GRID = (TensorSpec("s", (1, 6, 8, 2), "float32"), TensorSpec("b", (1, 6, 8, 4), "float32"))
INPUT = Input(64, 48, "rgb", "NHWC", "int8", scale=1 / 255, zero_point=-128)
OUTPUT = Output("scores", (1, 3), "int8", 1 / 256, -128)
MANIFEST = Manifest(
    1, "m", "1", "classify", "tflite", "m.tflite", INPUT, (OUTPUT,),
    Decoding(head="logits"), "labels.txt",
)  # fmt: skip
LABELS = ("a", "b", "c")


@dataclass
class Loaded:
    takes: TensorSpec = TAKES
    gives: tuple[TensorSpec, ...] = (SCORES,)

    def input(self) -> Any: ...
    def run(self) -> Any: ...
    def close(self) -> None: ...


def check(
    manifest: Manifest = MANIFEST, engine: Engine | None = None, labels: tuple[str, ...] = LABELS
) -> None:
    check_contract(manifest, engine or Loaded(), labels, "m.tflite")


def eats(**changed: Any) -> Manifest:
    return msgspec.structs.replace(MANIFEST, input=msgspec.structs.replace(INPUT, **changed))


def gives(**changed: Any) -> Manifest:
    return msgspec.structs.replace(MANIFEST, outputs=(msgspec.structs.replace(OUTPUT, **changed),))


def detects(**changed: Any) -> Manifest:
    return msgspec.structs.replace(
        MANIFEST, task="detect", outputs=(), decoding=Decoding(head="fcos"), **changed
    )


def test_what_agrees_passes() -> None:
    check()
    check(labels=())
    check(msgspec.structs.replace(MANIFEST, outputs=()))
    check(detects(), Loaded(gives=GRID), ("cat", "dog"))
    check(eats(scale=1 / 255 * (1 + 1e-6)))  # as many digits as a text has


def test_a_scale_that_the_file_does_not_tell_is_the_manifests_business() -> None:
    check(engine=Loaded(takes=replace(TAKES, scale=None, zero_point=None)))


@pytest.mark.parametrize(
    ("manifest", "engine", "labels", "said"),
    [
        (eats(width=32), Loaded(), LABELS,
         "[input] says (1, 48, 32, 3) (NHWC), the model takes (1, 48, 64, 3)"),
        (eats(width=48, height=64), Loaded(), LABELS,
         "[input] says (1, 64, 48, 3) (NHWC), the model takes (1, 48, 64, 3)"),
        (eats(colour="grey"), Loaded(), LABELS,
         "[input] says (1, 48, 64, 1) (NHWC), the model takes (1, 48, 64, 3)"),
        (eats(layout="NCHW"), Loaded(), LABELS,
         "[input] says (1, 3, 48, 64) (NCHW), the model takes (1, 48, 64, 3): the model is NHWC"),
        (MANIFEST, Loaded(takes=replace(TAKES, shape=(1, 3, 48, 64))), LABELS,
         "[input] says (1, 48, 64, 3) (NHWC), the model takes (1, 3, 48, 64): the model is NCHW"),
        (eats(dtype="uint8", zero_point=0), Loaded(), LABELS,
         "[input] dtype is uint8, the model's is int8"),
        (eats(zero_point=-127), Loaded(), LABELS,
         "[input] scale = 0.00392156863, zero_point = -127, the model has scale = 0.00392156863, "
         "zero_point = -128: write that"),
        (eats(scale=None, zero_point=None), Loaded(), LABELS,
         "[input] gives no scale and zero_point, the model has scale = 0.00392156863, "
         "zero_point = -128: write that"),
        (MANIFEST, Loaded(gives=(SCORES, SCORES)), LABELS,
         "the manifest has 1 [[outputs]], the model 2"),
        (gives(shape=(1, 4)), Loaded(), LABELS,
         "output 'scores' says int8 (1, 4), the model gives int8 (1, 3)"),
        (gives(dtype="uint8", zero_point=0), Loaded(), LABELS,
         "output 'scores' says uint8 (1, 3), the model gives int8 (1, 3)"),
        (gives(scale=0.1), Loaded(), LABELS,
         "output 'scores' scale = 0.1, zero_point = -128, the model has scale = 0.00390625, "
         "zero_point = -128: write that"),
        (msgspec.structs.replace(MANIFEST, outputs=()), Loaded(gives=GRID), LABELS,
         "task classify needs one output, it has 2"),
        (msgspec.structs.replace(MANIFEST, outputs=()),
         Loaded(gives=(replace(SCORES, shape=(1, 0)),)), LABELS,
         "output 'scores' is empty: there are no scores"),
        (MANIFEST, Loaded(), ("a", "b"),
         "labels.txt has 2 labels, the model 3 classes: one label a line, in their order"),
        (detects(), Loaded(gives=GRID), LABELS,
         "labels.txt has 3 labels, the model 2 classes: one label a line, in their order"),
        (detects(), Loaded(), LABELS,
         "the fcos head needs 2 outputs of rank 4: scores and boxes"),
    ],
)  # fmt: skip
def test_each_contradiction_has_its_line(
    manifest: Manifest, engine: Engine, labels: tuple[str, ...], said: str
) -> None:
    with pytest.raises(Refused) as told:
        check(manifest, engine, labels)
    assert str(told.value) == f"m.tflite: {said}"
