"""SavedModels of TensorFlow: one signature of them, run and converted by TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wire.troubles import Refused
from workshop.reading import Read, Request
from workshop.reading.packages import first_line, import_tensorflow
from workshop.reading.shapes import fixed_port
from workshop.reading.tf_freezing import Traced, safe_names
from workshop.reading.tf_labels import labels_in
from workshop.reading.tf_steps import LOADING, finish
from workshop.step import say

USUAL = "serving_default"


def step(request: Request) -> Read:
    """Read one signature of a SavedModel: the one that is asked for, the usual one or the only one.

    Raises Refused where that leaves a choice, or where it takes no single tensor.
    """
    say(LOADING, 0, 4)
    tf = import_tensorflow()
    loaded = _load(tf, request.path)
    name = _chosen(request, loaded.signatures)
    traced = _traced(request, name, loaded.signatures[name])
    steps = [f"read signature {name} by tensorflow {tf.__version__}"]
    return finish(request, traced, steps, (), (), labels_in(Path(request.path) / "assets"))


def _load(tf: Any, path: str) -> Any:
    try:
        return tf.saved_model.load(path)
    except tf.errors.NotFoundError as error:
        if missing := re.search(r"Op type not registered '([^']+)'", str(error)):
            raise Refused(
                f"{path}: needs the operator {missing[1]!r}, which is no part of TensorFlow: save "
                "it without, what comes after the network is the runtime's"
            ) from None
        raise _unreadable(path, error) from None
    except Exception as error:  # TensorFlow raises of all kinds
        raise _unreadable(path, error) from None


def _unreadable(path: str, error: Exception) -> Refused:
    return Refused(
        f"{path}: TensorFlow cannot read it: {first_line(error)}: copy it again, with its folder "
        "`variables`, or export it again"
    )


def _chosen(request: Request, signatures: Mapping[str, Any]) -> str:
    names = sorted(signatures)
    if request.signature is not None:
        if request.signature in names:
            return request.signature
        raise Refused(
            f"{request.path}: has no signature {request.signature!r}: choose one of "
            f"{', '.join(names) or 'none'}"
        )
    if USUAL in names:
        return USUAL
    if len(names) == 1:
        return names[0]
    if names:
        raise Refused(
            f"{request.path}: has several signatures: choose one with --signature: "
            f"{', '.join(names)}"
        )
    raise Refused(
        f"{request.path}: has no signature, so nothing says what goes in: save it by "
        "model.export('FOLDER'), or with tf.saved_model.save(model, 'FOLDER', signatures=function)"
    )


def _traced(request: Request, name: str, signature: Any) -> Traced:
    specs = signature.structured_input_signature[1]
    where = f"{request.path}: signature {name}"
    if len(specs) != 1:
        raise Refused(
            f"{where}: takes {len(specs)} inputs ({', '.join(sorted(specs)) or 'none'}); the "
            "runtime gives one: choose another with --signature, or save one of one input"
        )
    ((key, spec),) = specs.items()
    if spec.dtype.name == "string":
        raise Refused(
            f"{where}: takes text or files that it decodes itself; the runtime gives pixels: "
            "choose another with --signature, or save one that takes a tensor of pixels"
        )
    shape = None if spec.shape.rank is None else spec.shape.as_list()
    (plain,) = safe_names([key])
    takes = fixed_port(where, plain, shape, spec.dtype.name, request.input_shape)
    outputs = sorted(signature.structured_outputs, key=_by_number)

    def forward(one: Any) -> list[Any]:
        found = signature(**{key: one})
        return [found[each] for each in outputs]

    return Traced(request.path, takes, safe_names(outputs), forward)


def _by_number(name: str) -> tuple[tuple[str, int], ...]:
    """`output_2` comes before `output_10`: so they are numbered."""
    return tuple(
        (text, int(number or 0)) for text, number in re.findall(r"([^0-9]*)([0-9]*)", name)
    )
