"""Models of scikit-learn as .onnx and, the linear ones, as .tflite."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler
from sklearn.svm import LinearSVC

from tests.laws.sources import ROOT
from tests.workshop.proven import NEAR, largest_difference
from wire.troubles import Refused
from workshop.reading import Format, Read, Request
from workshop.reading.kinds import kind_of
from workshop.reading.sklearn import step

FLOWERS, KINDS = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[KINDS]
PEOPLE, GROWTH = load_diabetes(return_X_y=True, scaled=False)

CLASSIFIERS: dict[str, Any] = {
    "logistic": LogisticRegression(max_iter=500),
    "scaled": make_pipeline(StandardScaler(), LogisticRegression()),
    "network": make_pipeline(MinMaxScaler(), MLPClassifier((8,), max_iter=50, random_state=1)),
    "ridge": RidgeClassifier(),
    "svm": make_pipeline(StandardScaler(), LinearSVC()),
    "forest": RandomForestClassifier(8, random_state=1),
}
REGRESSIONS: dict[str, Any] = {
    "linear": make_pipeline(StandardScaler(), LinearRegression()),
    "squares": make_pipeline(StandardScaler(), PCA(4), PolynomialFeatures(2), Ridge()),
    "boosted": GradientBoostingRegressor(n_estimators=20, random_state=1),
}


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(ROOT)
    yield


def read(estimator: Any, to: Format, into: Path, trusted: bool = True) -> Read:
    path = into / "own.joblib"
    joblib.dump(estimator, path)
    assert kind_of(str(path)) == "sklearn"
    return step(Request("sklearn", str(path), to, str(into), trusted=trusted))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(tmp_path: Path, name: str) -> None:
    made = read(CLASSIFIERS[name].fit(FLOWERS, NAMES), "onnx", tmp_path)
    assert largest_difference(made) <= NEAR
    assert made.labels == ("setosa", "versicolor", "virginica")
    assert [port.shape for port in (*made.takes, *made.gives)] == [(1, 4), (1, 3)]
    with np.load(made.reference) as reference:
        assert np.ptp(reference["out0"], 0).max() > 0.01  # rows that make a difference


@pytest.mark.parametrize("name", REGRESSIONS)
def test_regressions(tmp_path: Path, name: str) -> None:
    made = read(REGRESSIONS[name].fit(PEOPLE, GROWTH), "onnx", tmp_path)
    assert largest_difference(made) <= NEAR * GROWTH.max()
    assert [port.shape for port in (*made.takes, *made.gives)] == [(1, 10), (1, 1)]


def test_two_classes_and_scores_of_them(tmp_path: Path) -> None:
    for estimator in (LogisticRegression(), RidgeClassifier()):
        made = read(estimator.fit(FLOWERS[:100], KINDS[:100]), "onnx", tmp_path)
        assert largest_difference(made) <= NEAR
        assert made.labels == ("0", "1")
        assert made.gives[0].shape == (1, 2)


def test_linear_ones_are_made_of_operators_that_everything_knows(tmp_path: Path) -> None:
    made = read(CLASSIFIERS["scaled"].fit(FLOWERS, NAMES), "onnx", tmp_path)
    assert {node.domain for node in onnx.load(made.file).graph.node} == {""}


@pytest.mark.parametrize("name", ["scaled", "network"])
def test_linear_ones_and_networks_become_tflite(tmp_path: Path, name: str) -> None:
    made = read(CLASSIFIERS[name].fit(FLOWERS, NAMES), "tflite", tmp_path)
    assert largest_difference(made) <= NEAR


def test_trees_are_told_to_have_no_form_in_tflite(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"no operator TreeEnsembleClassifier .*: try --to onnx"):
        read(CLASSIFIERS["forest"].fit(FLOWERS, NAMES), "tflite", tmp_path)


def test_columns_by_name_are_taken_by_place(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    columns = ["length", "width", "petal", "sepal"]
    chosen = ColumnTransformer(
        [("own", StandardScaler(), ["petal", "length"]), ("as they are", "passthrough", ["width"])]
    )
    table = pandas.DataFrame(FLOWERS, columns=columns)
    made = read(make_pipeline(chosen, LogisticRegression()).fit(table, NAMES), "onnx", tmp_path)
    assert largest_difference(made) <= NEAR
    assert made.columns == tuple(columns)


def test_a_pickle_is_read_only_with_the_users_word(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"runs code .* --trusted; .* skops.io.dump"):
        read(LogisticRegression().fit(FLOWERS, NAMES), "onnx", tmp_path, trusted=False)


class Hostile:
    def __reduce__(self) -> Any:
        return (print, ("ran", LogisticRegression()))


def test_nothing_of_a_pickle_runs_without_it(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "own.pkl").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(Refused, match="--trusted"):
        step(Request("sklearn", str(tmp_path / "own.pkl"), "onnx", str(tmp_path)))
    assert "ran" not in capsys.readouterr().out.split()


def test_skops_needs_no_word(tmp_path: Path) -> None:
    path = tmp_path / "own.skops"
    skops.io.dump(CLASSIFIERS["scaled"].fit(FLOWERS, NAMES), path)
    assert kind_of(str(path)) == "sklearn"
    made = step(Request("sklearn", str(path), "onnx", str(tmp_path)))
    assert largest_difference(made) <= NEAR


def test_what_predicts_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="predicts nothing or is not fitted"):
        read(StandardScaler().fit(FLOWERS), "onnx", tmp_path)
    with pytest.raises(Refused, match="predicts nothing or is not fitted"):
        read(LogisticRegression(), "onnx", tmp_path)
