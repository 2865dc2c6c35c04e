"""Real models of scikit-learn on rows: a table through the runtime's loop answers as they do."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from skl2onnx import to_onnx
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fleet.pack.pack import Wanted, pack
from models import bundle, manifest
from models.manifest import Decoding, Manifest
from models.row import Row
from runtime.cameras import Ended, open_camera
from runtime.engines import EngineOptions
from runtime.locating import locate
from runtime.loop import Loop, Result
from runtime.opening import open_model
from runtime.tasks import Class, Value
from workshop.comparing.accuracy import accuracy_of
from workshop.samples.opening import open_samples

FLOWERS = load_iris()
PEOPLE = load_diabetes(scaled=False)
COLUMNS = tuple(name.removesuffix(" (cm)") for name in FLOWERS.feature_names)


def exported(model: Any, rows: Any, file: Path) -> None:
    """As skl2onnx gives it, one row at a time; of a classifier the probabilities alone."""
    options = {"zipmap": False} if hasattr(model, "classes_") else None
    graph = to_onnx(model, rows[:1].astype(np.float32), options=options, target_opset=17)
    for port in (*graph.graph.input, *graph.graph.output):
        port.type.tensor_type.shape.dim[0].dim_value = 1
    if options is not None:
        del graph.graph.output[0]
    onnx.save(graph, str(file))


def table(path: Path, columns: Any, rows: Any, truth: Any = None) -> Path:
    """The columns from the last to the first, and what nobody asked for."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["who", *reversed(columns), *([] if truth is None else ["class"])])
        for place, row in enumerate(rows):
            said = [] if truth is None else [truth[place]]
            writer.writerow([f"no. {place}", *map(repr, row.tolist()[::-1]), *said])
    return path


def results(folder: Path, uri: str) -> list[Result]:
    found: list[Result] = []
    with locate(folder) as located:
        model = open_model(located, EngineOptions(threads=1))
        try:
            with open_camera(uri, model.aim) as camera:
                loop = Loop(camera, model, found.append)
                with pytest.raises(Ended):
                    for _ in itertools.count():
                        loop.step(1.0)
        finally:
            model.engine.close()
    return found


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path, Path]:
    """A fitted pipeline, its model folder, and a table of rows that it has not seen."""
    own = tmp_path_factory.mktemp("iris")
    rows, kinds = FLOWERS.data, FLOWERS.target_names[FLOWERS.target]
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows[::2], kinds[::2])
    folder = own / "model"
    folder.mkdir()
    exported(model, rows, folder / "iris.onnx")
    (folder / "labels.txt").write_text("".join(f"{each}\n" for each in model.classes_))
    row = Row((1, 4), "float32", COLUMNS)
    manifest.write(
        folder,
        Manifest(1, "iris", "1", "classify", "onnx", "iris.onnx", labels="labels.txt",
                 decoding=Decoding("probabilities", top_k=3), row=row),
    )  # fmt: skip
    return model, folder, table(own / "unseen.csv", COLUMNS, rows[1::2], kinds[1::2])


def test_a_classifier_answers_as_in_scikit_learn(classifier: tuple[Any, Path, Path]) -> None:
    model, folder, unseen = classifier
    found = results(folder, f"rows://{unseen}")
    expected = model.predict_proba(FLOWERS.data[1::2])
    assert len(found) == len(expected) == 75
    for each, wanted in zip(found, expected, strict=True):
        scores = {one.index: one.score for one in each.found if isinstance(one, Class)}
        assert [scores[index] for index in range(3)] == pytest.approx(wanted.tolist(), abs=1e-5)
        assert each.found[0].label == model.classes_[wanted.argmax()]  # type: ignore[union-attr]


def test_its_accuracy_is_what_scikit_learn_says(classifier: tuple[Any, Path, Path]) -> None:
    model, folder, unseen = classifier
    samples = open_samples(str(unseen))
    assert samples.labels == tuple(model.classes_)
    truth = FLOWERS.target_names[FLOWERS.target][1::2]
    assert accuracy_of(folder, samples) == pytest.approx(model.score(FLOWERS.data[1::2], truth))


def test_fleet_pack_takes_it_with_samples_of_the_table(
    classifier: tuple[Any, Path, Path], tmp_path: Path
) -> None:
    _, folder, unseen = classifier
    target = tmp_path / "iris.zip"
    packed = pack(Wanted(folder, target, None, None, None, unseen, 6, False), lambda line: None)
    assert packed.check.golden == 6
    assert packed.doubts == () or "not sure of" in packed.doubts[0]
    said = bundle.inspect(target).manifest
    assert said.row == Row((1, 4), "float32", COLUMNS)
    assert {each.picture.rpartition(".")[2] for each in said.golden} == {"csv"}


def test_a_regression_answers_as_in_scikit_learn(tmp_path: Path) -> None:
    rows = PEOPLE.data
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(rows[::2], PEOPLE.target[::2])
    exported(model, rows, tmp_path / "m.onnx")
    columns = tuple(PEOPLE.feature_names)
    manifest.write(
        tmp_path,
        Manifest(1, "growth", "1", "regress", "onnx", "m.onnx", decoding=Decoding("values"),
                 row=Row((1, 10), "float32", columns)),
    )  # fmt: skip
    found = results(tmp_path, f"rows://{table(tmp_path / 't.csv', columns, rows[1::2])}")
    values = [one.value for each in found for one in each.found if isinstance(one, Value)]
    assert np.allclose(values, model.predict(rows[1::2]), rtol=1e-5, atol=1e-3)
