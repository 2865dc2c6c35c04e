"""Models of scikit-learn: regressions, small pipelines and trees, by skl2onnx.

A pickle runs code of whoever made it when it is read: only with the user's word. One of skops does
not, as long as all in it is of scikit-learn.
"""

from __future__ import annotations

import copy
import os
import sys
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from wire.troubles import Refused, Unavailable
from workshop.reading import Read, Request
from workshop.reading.archives import kind_of_pickle
from workshop.reading.onnx import finish
from workshop.reading.onnx_classical import in_usual_operators
from workshop.reading.onnx_finishing import input_port
from workshop.reading.onnx_rows import parts_of, typical_rows
from workshop.reading.packages import first_line, import_quietly
from workshop.reading.reference import Tensor
from workshop.step import say

STEPS = 4
OPSETS = {"": 17, "ai.onnx.ml": 3}
ZIP = b"PK\x03\x04"
TRUST = (
    "a pickle runs code of whoever made it when it is read: if you made it or trust who did, say "
    "--trusted; else have it saved with skops.io.dump, which holds no code"
)
OPTIONS: tuple[dict[str, bool], ...] = (
    {"raw_scores": True, "zipmap": False}, {"raw_scores": True}, {"zipmap": False}, {},
)  # fmt: skip


def step(request: Request) -> Read:
    """Read an estimator or pipeline. Raises Refused for what is not trusted or not converted."""
    say("reading the model with scikit-learn", 0, STEPS)
    sklearn = import_quietly("sklearn")
    warnings.filterwarnings("ignore")
    where = request.path
    estimator = _loaded(request)
    if not hasattr(estimator, "predict") or not hasattr(estimator, "n_features_in_"):
        raise Refused(
            f"{where}: holds a {type(estimator).__name__}, which predicts nothing or is not fitted"
            ": save the fitted estimator or pipeline"
        )
    count = int(estimator.n_features_in_)
    model = in_usual_operators(_converted(where, estimator, count), is_classifier(estimator))
    rows = Path(request.into) / "rows.npz"
    if request.probe_inputs is None:
        with zipfile.ZipFile(rows, "w") as archive, archive.open("0.npy", "w") as file:
            np.save(file, typical_rows(estimator, count, request.probes, request.seed))
        request = msgspec.structs.replace(request, probe_inputs=str(rows))
    steps = [
        f"read by scikit-learn {sklearn.__version__}: {_described(estimator)}, {count} columns",
        "converted to ONNX by skl2onnx, its operators in those of neural networks where there are",
    ]
    takes = input_port(import_quietly("onnx"), model)
    try:
        return finish(
            request, model, takes, lambda one: [answer(estimator, one)], tuple(steps),
            tuple(map(str, getattr(estimator, "classes_", ()))), ("scikit-learn", "skl2onnx"),
            tuple(map(str, getattr(estimator, "feature_names_in_", ()))),
        )  # fmt: skip
    finally:
        rows.unlink(missing_ok=True)


def is_classifier(estimator: Any) -> bool:
    return hasattr(estimator, "classes_")


def answer(estimator: Any, one: Tensor) -> Tensor:
    """Of one row (1, columns): probabilities, else scores, of each class; else what it predicts."""
    one = _as_table(estimator, one)
    if not is_classifier(estimator):
        return np.asarray(estimator.predict(one), np.float32).reshape(1, -1)
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(one), np.float32)
    scores = np.asarray(estimator.decision_function(one), np.float32)
    return np.stack([-scores, scores], 1) if scores.ndim == 1 else scores


def _as_table(estimator: Any, one: Tensor) -> Any:
    """As it was fitted: columns by name are found in a table of pandas alone."""
    names = list(getattr(estimator, "feature_names_in_", ()))
    if not any(hasattr(each, "transformers_") for each in parts_of(estimator)) or not names:
        return one
    try:
        return import_quietly("pandas").DataFrame(one, columns=names)
    except Unavailable:
        raise Unavailable(
            "pandas is missing, whose columns the model was fitted on: pip install pandas"
        ) from None


def _loaded(request: Request) -> Any:
    path = Path(request.path)
    with open(path, "rb") as file:
        is_skops = file.read(4) == ZIP
    if is_skops:
        return _of_skops(request, path)
    kind_of_pickle(path)  # refused if it is no model of scikit-learn
    if not request.trusted:
        raise Refused(f"{path}: {TRUST}")
    if request.folder:
        os.chdir(request.folder)
        sys.path.insert(0, request.folder)
    try:
        return import_quietly("joblib").load(path)
    except ModuleNotFoundError as error:
        raise Unavailable(f"{path}: needs the package {error.name}: install it") from None
    except Exception as error:  # whatever unpickling runs
        raise Refused(
            f"{path}: cannot be read by scikit-learn {import_quietly('sklearn').__version__}: "
            f"{first_line(error)}: install the version that it was saved by"
        ) from None


def _of_skops(request: Request, path: Path) -> Any:
    skops = import_quietly("skops.io")
    foreign = skops.get_untrusted_types(file=path)
    if foreign and not request.trusted:
        raise Refused(
            f"{path}: holds what is not of scikit-learn ({', '.join(foreign[:3])}), which may run "
            "code: if you trust who made it, say --trusted"
        )
    return skops.load(path, trusted=foreign)


def _converted(where: str, estimator: Any, count: int) -> Any:
    """The ONNX model with one input (1, columns)."""
    skl2onnx = import_quietly("skl2onnx")
    tensor = import_quietly("skl2onnx.common.data_types").FloatTensorType([1, count])
    plain = _by_place(estimator)
    last = plain
    while hasattr(last, "steps"):
        last = last.steps[-1][1]
    choices = OPTIONS if is_classifier(estimator) else OPTIONS[-1:]
    if hasattr(estimator, "predict_proba"):
        choices = OPTIONS[-2:]
    reason = ""
    for options in choices:
        try:
            return skl2onnx.to_onnx(
                plain, initial_types=[("input", tensor)], target_opset=OPSETS,
                options={id(last): options} if options else None,
            )  # fmt: skip
        except NameError as error:  # it has not that option
            reason = first_line(error)
        except Exception as error:  # its converters raise of all kinds
            raise Refused(_why(where, plain, error)) from None
    raise Refused(f"{where}: skl2onnx cannot convert it: {reason}")


def _why(where: str, estimator: Any, error: Exception) -> str:
    said = first_line(error)
    for one in parts_of(estimator):
        if type(one).__name__ in str(error):
            return (
                f"{where}: skl2onnx cannot convert {type(one).__name__}: {said}: use one of the "
                "estimators that it knows"
            )
    return f"{where}: skl2onnx cannot convert it: {said}"


def _by_place(estimator: Any) -> Any:
    """The same with columns by place where they are named: the input is one tensor of all."""
    names = list(getattr(estimator, "feature_names_in_", ()))
    if not names:
        return estimator
    plain = copy.deepcopy(estimator)
    for one in parts_of(plain):
        if hasattr(one, "transformers_"):
            own = list(getattr(one, "feature_names_in_", names))
            one.transformers_ = [
                (name, inner, _places(own, columns)) for name, inner, columns in one.transformers_
            ]
    return plain


def _places(names: list[str], columns: Any) -> Any:
    if isinstance(columns, str):
        return [names.index(columns)]
    if isinstance(columns, Sequence | np.ndarray) and all(isinstance(x, str) for x in columns):
        return [names.index(each) for each in columns]
    return columns


def _described(estimator: Any) -> str:
    steps = getattr(estimator, "steps", None)
    return " and ".join(type(one).__name__ for _, one in steps or [("", estimator)])
