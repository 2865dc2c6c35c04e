"""Models that take rows of numbers: what manifests may say, what is answered, how it shows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models import manifest
from models.manifest import Decoding, Golden, Manifest, Output
from models.row import Row
from runtime.cameras import open_camera
from runtime.canvas import canvas_of
from runtime.checking import check
from runtime.confidence import Confidence
from runtime.differing import differs
from runtime.draw import draw
from runtime.engines import EngineOptions, TensorSpec
from runtime.foresight import warnings
from runtime.frames import Pixels, row_layout
from runtime.golden import check_golden
from runtime.goldens import Wish, make_goldens
from runtime.locating import locate
from runtime.loop import Loop, Model, Result
from runtime.opening import open_model
from runtime.preview import kind_of
from runtime.publishing import subject
from runtime.table import found_row
from runtime.tasks import Found, Value, View
from runtime.tasks.regress import make_decode
from runtime.things import thing
from tests.graphs import onnx_rows
from wire import config
from wire.troubles import Refused

ONE = EngineOptions(threads=1)
VIEW = View(3, 1, 0, 0, 1, 1)
WEIGHTS, BIAS = [[1.0, 2.0], [0.0, -1.0], [3.0, 0.0]], [0.5, -0.5]
TEXT = """\
schema = 1
name = "press"
version = "1"
task = "regress"
format = "onnx"
file = "m.onnx"
labels = "labels.txt"

[decoding]
head = "values"

[row]
shape = [1, 3]
dtype = "float32"
columns = ["a", "b", "c"]
"""

PICTURE = '[input]\nwidth = 1\nheight = 1\ncolour = "rgb"\nlayout = "NHWC"\ndtype = "int8"\n'


def folder_of(place: Path, text: str = TEXT, labels: str = "wear\nheat\n") -> Path:
    """A folder with the linear model of WEIGHTS and BIAS."""
    place.mkdir()
    onnx_rows.linear(place / "m.onnx", WEIGHTS, BIAS)
    (place / "manifest.toml").write_text(text)
    (place / "labels.txt").write_text(labels)
    return place


@contextmanager
def opened(path: Path) -> Iterator[Model]:
    with locate(path) as located:
        model = open_model(located, ONE)
        try:
            yield model
        finally:
            model.engine.close()


def answers(model: Model, uri: str, count: int) -> list[Found]:
    """What a model finds in so many rows of a camera."""
    results: list[Result] = []
    with open_camera(uri, model.aim) as camera:
        loop = Loop(camera, model, results.append)
        while len(results) < count:
            loop.step(1.0)
    return [each.found for each in results]


def expected(*row: float) -> list[float]:
    return (np.array(row) @ np.array(WEIGHTS) + np.array(BIAS)).tolist()


# --- the manifest ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("[row]", "[rwo]", "did you mean row"),
        ("shape = [1, 3]", "shape = [2, 3]", "row.shape: begins with 2: one row at a time"),
        ("shape = [1, 3]", "shape = [3]", "row.shape"),
        ("shape = [1, 3]", "shape = [1, 4]", "row.columns: names 3 columns, .* 4 numbers"),
        ('"b", "c"', '"b", "b"', "row.columns\\[2\\]: 'b' is named twice"),
        ('"b", "c"', '"b", " c"', "row.columns\\[2\\]: ' c' has blanks"),
        ("[row]", "[row]\nmean = [1, 2]", "row.mean: 2 values; a row of 3 takes 1 or 3"),
        ("[row]", "[row]\nstd = [0]", "row.std\\[0\\]"),
        ("[row]", "[row]\nmean = [nan]", "row.mean\\[0\\]: nan is not a number"),
        ("[row]", "[row]\nscale = 0.5\nzero_point = 1", "row.scale: a float32 tensor is not"),
        ('"regress"', '"detect"', "task: 'detect' finds places in pictures"),
        ('"values"', '"logits"', "decoding.head: 'logits' does not fit task 'regress'"),
        (
            "[row]",
            f"{PICTURE}[row]",
            "row: a model takes a picture, \\[input\\], or a row",
        ),
        (TEXT[TEXT.index("[row]") :], "", "input: missing: a table for the picture, or \\[row\\]"),
    ],
)
def test_what_contradicts_itself_is_refused(old: str, new: str, why: str) -> None:
    assert old in TEXT
    with pytest.raises(Refused, match=why):
        manifest.parse(TEXT.replace(old, new, 1), "m.toml")


def test_a_golden_sample_of_a_row_is_a_table() -> None:
    golden = 'golden = [{ picture = "g.png", answer = "g.json" }]\nlabels'
    with pytest.raises(Refused, match=r"'g.png' should end with \.csv"):
        manifest.parse(TEXT.replace("labels", golden, 1), "m.toml")
    taken = manifest.parse(TEXT.replace("labels", golden.replace("png", "csv"), 1), "m.toml")
    assert taken.files == ("manifest.toml", "g.csv", "g.json", "labels.txt", "m.onnx")
    assert manifest.parse(manifest.as_text(taken), "again") == taken


def test_a_hundred_columns_read_back(tmp_path: Path) -> None:
    names = tuple(f"mean of sensor {number}" for number in range(100))
    row = Row((1, 100), "float32", names, mean=tuple(map(float, range(100))))
    made = Manifest(1, "m", "1", "raw", "onnx", "m.onnx", row=row)
    manifest.write(tmp_path, made)
    assert manifest.load(tmp_path) == made


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            "shape = [1, 3]",
            "shape = [1, 1, 3]",
            "\\[row\\] says \\(1, 1, 3\\), .* takes",
        ),
        ('dtype = "float32"', 'dtype = "uint8"', "\\[row\\] dtype is uint8, the model's is float"),
        ('"labels.txt"', '"one.txt"', "one.txt has 1 label, the model 2 values"),
    ],
)
def test_a_model_must_be_what_its_manifest_says(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    folder = folder_of(tmp_path / "m", TEXT.replace(old, new))
    (folder / "one.txt").write_text("wear\n")
    with pytest.raises(Refused, match=why), opened(folder):
        pass


# --- what it answers ---------------------------------------------------------------------------


def test_a_regression_gives_its_values_by_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("c,a,b,kind\n3,1,2,x\n0.5,-1,7,y\n1,,1,z\n")
    with opened(folder_of(tmp_path / "m")) as model:
        found = answers(model, f"rows://{tmp_path}/t.csv", 3)
    for row, wanted in zip(found, [expected(1, 2, 3), expected(-1, 7, 0.5)], strict=False):
        assert [each.name for each in row if isinstance(each, Value)] == ["wear", "heat"]
        values = [each.value for each in row if isinstance(each, Value)]
        assert values == pytest.approx(wanted, abs=1e-6)
    assert found[2] == (), "a number is missing, and this model was not made for that"


def test_the_manifests_scaling_is_applied_by_column(tmp_path: Path) -> None:
    text = TEXT + "mean = [1, 2, 3]\nstd = [1, 2, 4]\n"
    (tmp_path / "t.csv").write_text("a,b,c\n5,6,7\n")
    with opened(folder_of(tmp_path / "m", text)) as model:
        (found,) = answers(model, f"rows://{tmp_path}/t.csv", 1)
    values = [each.value for each in found if isinstance(each, Value)]
    assert values == pytest.approx(expected(4, 2, 1), abs=1e-6)


def test_bare_files_are_understood(tmp_path: Path) -> None:
    with opened(onnx_rows.linear(tmp_path / "p.onnx", WEIGHTS, BIAS, softmax=True)) as model:
        assert (model.manifest.task, model.manifest.decoding.head) == ("classify", "probabilities")
        assert "a row of 3 numbers" in model.guesses[0]
        (found,) = answers(model, "rows+synthetic://3", 1)
        assert sum(each.score for each in found) == pytest.approx(1)  # type: ignore[union-attr, misc]
    with opened(onnx_rows.linear(tmp_path / "v.onnx", WEIGHTS, BIAS)) as model:
        assert (model.manifest.task, model.manifest.row) == ("regress", Row((1, 3), "float32"))
        (found,) = answers(model, "rows+synthetic://3", 1)
        names = [each.name for each in found if isinstance(each, Value)]
        assert names == ["answer[0]", "answer[1]"]


def test_cameras_and_models_of_other_kinds_do_not_meet(tmp_path: Path) -> None:
    with opened(folder_of(tmp_path / "m")) as model:
        with pytest.raises(Refused, match="this camera gives pictures: use rows://"):
            answers(model, "synthetic://64x48", 1)
        with pytest.raises(Refused, match="4 values in a row, and 3 numbers are taken"):
            answers(model, "rows+synthetic://4", 1)
    with (
        opened(Path(__file__).parents[2] / "models" / "zoo" / "digits" / "tflite") as model,
        pytest.raises(Refused, match="takes pictures, and this camera gives rows"),
    ):
        answers(model, "rows+synthetic://4", 1)


def test_quantised_predictions_are_real_ones_and_what_is_none_is_not_found() -> None:
    row = Row((1, 3), "int8", scale=0.5, zero_point=0)
    said = Manifest(1, "m", "1", "regress", "tflite", "m.tflite", decoding=Decoding("values"),
                    outputs=(Output("y", (1, 1), "int8", 0.25, -128),), row=row)  # fmt: skip
    decode = make_decode(said, (TensorSpec("y", (1, 1), "int8"),), ())
    assert decode((np.array([[-124]], np.int8),), VIEW) == (Value("y", 1.0),)
    floats = make_decode(said, (TensorSpec("y", (1, 2), "float32"),), ("a", "b"))
    for broken in (math.nan, math.inf):
        assert floats((np.array([[1.0, broken]], np.float32),), VIEW) == ()


def test_a_model_that_answers_nan_counts_as_broken(tmp_path: Path) -> None:
    with opened(folder_of(tmp_path / "m")) as model:
        confidence = Confidence()
        confidence.add((), model)
        confidence.add((Value("wear", 1.0),), model)
    assert (confidence.scores().broken, confidence.scores().frames) == (1, 0)


# --- checked, sampled, shown -------------------------------------------------------------------


def test_golden_samples_are_rows_of_a_table(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m")
    rows = "\n".join(f"secret {n},{n},{n / 2},{-n}" for n in range(50))
    (tmp_path / "t.csv").write_text(f"who,a,b,c\n{rows}\n")
    said: list[str] = []
    made = make_goldens(folder, tmp_path / "t.csv", ONE, Wish(3, said.append))
    assert len(made.chosen) == 3
    assert made.chosen[0].source.startswith("t row ")
    for sample in manifest.load(folder).golden:
        content = (folder / sample.picture).read_text()
        assert content.startswith("a,b,c\n") and "secret" not in content
    report = check(str(folder), None, ONE)
    assert report.golden == 3
    onnx_rows.linear(folder / "m.onnx", WEIGHTS, [BIAS[0] + 40, BIAS[1]])
    with opened(folder) as model, pytest.raises(Refused, match=r"golden-1\.csv: wear: expected"):
        check_golden(model, folder)


def test_a_model_that_answers_nan_to_any_row_is_found_out_before_it_runs(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m")
    onnx_rows.linear(folder / "m.onnx", WEIGHTS, [math.nan, 0.0])
    with pytest.raises(Refused, match="output 'answer' holds NaN or infinity"):
        check(str(folder), None, ONE)


def test_a_table_that_cannot_be_sampled_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m")
    for text, why in (
        ("a,b\n1,2\n", "c is missing"),
        ("a,b,c\n1,2,3\n1,2\n", "row 2 has 2 values, 3 are expected"),
        ("a,b,c\n", "no rows"),
        ("a,b,c\n1,,3\n", "sure of none of 1 rows"),
    ):
        (tmp_path / "t.csv").write_text(text)
        with pytest.raises(Refused, match=why):
            make_goldens(folder, tmp_path / "t.csv", ONE, Wish(3, lambda line: None))


def test_values_differ_by_more_than_a_share_of_the_largest() -> None:
    sample = Golden("g.csv", "g.json", 0.1)
    want = (Value("a", 100.0), Value("b", 0.0))
    assert differs(want, (Value("a", 109.0), Value("b", -9.0)), sample) is None
    assert differs(want, (Value("a", 100.0), Value("b", 11.0)), sample) == (
        "b: expected 0, found 11"
    )
    assert "found nan" in str(differs(want, (Value("a", math.nan), Value("b", 0.0)), sample))
    assert "expected 2 values" in str(differs(want, (Value("a", 100.0),), sample))
    assert "found 0" in str(differs(want, (), sample))


def test_values_are_told_and_a_change_in_their_first_digits_is_news() -> None:
    found = (Value("wear", 0.123456), Value("heat", math.inf))
    assert [thing(each).value for each in found] == [0.123456, None]
    assert subject(found[:1]) == subject((Value("wear", 0.1231),)) != subject((Value("wear", 0.2),))
    assert found_row(found[0]) == ("wear", "0.123456", 0.0)
    assert kind_of(found) == "values"


def test_a_row_is_shown_as_a_picture_of_its_numbers() -> None:
    layout = row_layout(30, tuple(f"column {n}" for n in range(30)))

    def drawn(values: Any, found: Found = ()) -> Pixels:
        canvas = canvas_of(layout)
        np.copyto(canvas.raw, np.array(values, np.float32).view(np.uint8)[None])
        picture: Any = cv2.imdecode(np.frombuffer(canvas.jpeg(found), np.uint8), cv2.IMREAD_COLOR)
        return picture

    zeros = drawn([0.0] * 30)
    assert (zeros != drawn([1.5, *[0.0] * 29])).any()
    assert (zeros != drawn([0.0] * 30, (Value("wear", 2.0),))).any()
    assert (zeros == drawn([*[0.0] * 29, 1.5])).all(), "the last ones have no room"
    plain = np.zeros((200, 300, 3), np.uint8)
    draw(plain, (Value("wear", 2.0),), (30, 1))
    assert plain.any()


def test_a_pipeline_of_two_kinds_is_warned_of(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "m")
    text = '[broker]\nurl = "mqtt://localhost"\n[pipeline.p]\ncamera = "{}"\nmodel = "{}"\n'

    def told(camera: str, model: str) -> bool:
        meant = config.parse(text.format(camera, model), "v.toml")
        return any("pipeline.p.camera: it gives" in line for line in warnings(meant))

    assert told("synthetic://64x48", str(folder))
    assert told("rows+mqtt://localhost/a", "digits")
    assert not told("rows+mqtt://localhost/a", str(folder))
    assert not told("synthetic://64x48", "digits")
