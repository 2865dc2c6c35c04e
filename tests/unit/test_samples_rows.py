"""Tables as samples: which columns, which truth, and the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.row import Row
from tests.graphs import onnx_rows
from wire.troubles import Refused
from workshop.comparing.accuracy import accuracy_of
from workshop.samples import Samples
from workshop.samples.opening import open_samples
from workshop.samples.tensors import prepared, write_tensors

TABLE = "who,b,a,class\nx,2,1,lo\ny,4,3,hi\nz,,5,lo\nw,8,seven,hi\nv,10,9,hi\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text(TABLE)
    return tmp_path / "t.csv"


def rows_of(samples: Samples) -> list[list[float]]:
    return [sample.frame.pixels.view(np.float32)[0].tolist() for sample in samples]


def classes_of(samples: Samples) -> list[tuple[int, str]]:
    return [(box.index, box.label) for sample in samples for box in sample.truth or ()]


def test_a_column_called_class_is_the_truth_and_text_is_no_number(table: Path) -> None:
    samples = open_samples(str(table))
    assert (samples.truth, samples.labels, len(samples)) == ("classes", ("hi", "lo"), 4)
    assert [sample.name for sample in samples] == ["row 1", "row 2", "row 3", "row 5"]
    assert {sample.frame.layout.columns for sample in samples} == {("b", "a")}
    assert str(rows_of(samples)) == "[[2.0, 1.0], [4.0, 3.0], [nan, 5.0], [10.0, 9.0]]"
    assert classes_of(samples) == [(1, "lo"), (0, "hi"), (1, "lo"), (0, "hi")]
    assert samples.left_out == ("row 4: column a: 'seven' is no number that float32 can hold",)


def test_the_models_labels_say_which_class_is_which(table: Path) -> None:
    samples = open_samples(str(table), ("Lo", "mid", "HI"))
    assert classes_of(samples) == [(0, "Lo"), (2, "HI"), (0, "Lo"), (2, "HI")]
    with pytest.raises(Refused, match="'lo' is none of the model's 1 classes"):
        open_samples(str(table), ("hi",))


def test_the_words_say_which_column_is_what(table: Path) -> None:
    for words in (f"{table}?truth=who&columns=a,b", f"rows://{table}?truth=who&columns=a,b"):
        samples = open_samples(words)
        assert samples.labels == ("v", "w", "x", "y", "z")
        assert rows_of(samples)[0] == [1, 2]
    assert open_samples(f"{table}?truth=b&columns=a").labels == ("", "2", "4", "8", "10")


def test_a_table_without_names_or_truth(tmp_path: Path) -> None:
    path = tmp_path / "n.CSV"
    path.write_text("1;2\n3;4\n")
    samples = open_samples(str(path))
    assert (samples.truth, samples.labels, rows_of(samples)) == ("none", (), [[1, 2], [3, 4]])
    assert [sample.truth for sample in samples] == [None, None]
    named = open_samples(f"{path}?columns=a,kind&truth=kind")
    assert (rows_of(named), classes_of(named)) == ([[1], [3]], [(0, "2"), (1, "4")])


def test_a_part_by_chance_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n" + "".join(f"{n}\n" for n in range(100)))
    one, same, other = (open_samples(str(path), (), 10, seed) for seed in (1, 1, 2))
    assert rows_of(one) == rows_of(same) == sorted(rows_of(one)) != rows_of(other)
    assert one.digest == same.digest != other.digest
    path.write_text("a\n" + "".join(f"{n + 1}\n" for n in range(100)))
    assert open_samples(str(path), (), 10, 1).digest != one.digest


def test_a_part_numbers_the_classes_as_the_whole_does(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,class\n" + "".join(f"{n},kind {n}\n" for n in range(9)))
    part = open_samples(str(path), (), 1, 3)
    assert len(part) == 1 and len(part.labels) == 9
    ((index, label),) = classes_of(part)
    assert label == f"kind {index}"


@pytest.mark.parametrize(
    ("text", "options", "why"),
    [
        ("a\nx\n", "", "0 numbers in a row"),
        ("a,class\n1,x\n", "?truth=kind", "no column 'kind' for the truth: there are a, class"),
        ("class\n1\n", "", "no numbers beside the truth"),
        ("a,b\n1,2\n", "?columns=c", "c is missing"),
        ("a,b\n", "", "no rows"),
        ("a,b\n1,2\n", "?rate=3", "there is no option 'rate'"),
        ("a,b\n1,2\n", "?columns=a&truth=", "no column ''"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(
    tmp_path: Path, text: str, options: str, why: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(Refused, match=why):
        open_samples(f"{tmp_path}/t.csv{options}")


def test_rows_are_prepared_for_calibration_as_the_model_takes_them(
    table: Path, tmp_path: Path
) -> None:
    row = Row((1, 2), "int8", ("a", "b"), mean=(1.0, 2.0), std=(2.0, 4.0), scale=0.1, zero_point=3)
    samples = open_samples(f"{table}?truth=who&columns=a,b", (), None)
    first = next(iter(prepared(samples, row)))
    assert first.tolist() == [[0, 0]]
    assert write_tensors(samples, row, tmp_path / "t.npy") == (4, 2)
    written = np.load(tmp_path / "t.npy")
    assert written[1].tolist() == [1, 0.5]
    assert np.isnan(written[2, 1])


def test_a_classifier_of_rows_is_judged(tmp_path: Path) -> None:
    """It says hi where a is above b; what columns the table has beside does not matter."""
    folder = tmp_path / "m"
    folder.mkdir()
    onnx_rows.linear(folder / "m.onnx", [[-1.0, 1.0], [1.0, -1.0]], [0.0, 0.0], softmax=True)
    (folder / "labels.txt").write_text("lo\nhi\n")
    (folder / "manifest.toml").write_text(
        'schema = 1\nname = "m"\nversion = "1"\ntask = "classify"\nformat = "onnx"\n'
        'file = "m.onnx"\nlabels = "labels.txt"\n[decoding]\nhead = "probabilities"\n'
        '[row]\nshape = [1, 2]\ndtype = "float32"\ncolumns = ["a", "b"]\n'
    )
    (tmp_path / "t.csv").write_text("b,x,a,class\n1,9,2,hi\n2,9,1,lo\n5,9,6,hi\n3,9,2,hi\n")
    assert accuracy_of(folder, open_samples(str(tmp_path / "t.csv"))) == 0.75
