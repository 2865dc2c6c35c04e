"""What a file is, is told without a framework and without running what is in it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.laws.sources import ROOT
from wire.troubles import Refused
from workshop.reading.archives import globals_of
from workshop.reading.kinds import kind_of

ZOO = ROOT / "models" / "zoo" / "digits"
LOGISTIC = b"\x80\x02csklearn.linear_model._logistic\nLogisticRegression\n)\x81."
BOOSTED = b"\x80\x02cxgboost.sklearn\nXGBClassifier\n)\x81."
# as torch.save writes them
WEIGHTS = (
    b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(X\x06\x00\x00\x00weightq\x02ctorch._utils\n"
    b"_rebuild_tensor_v2\nq\x03((X\x07\x00\x00\x00storageq\x04ctorch\nFloatStorage\nq\x05."
)
MODULE = b"\x80\x02cmy.nets\nNet\nq\x00)\x81."
OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("net.h5", b"\x89HDF\r\n\x1a\n" + bytes(100), "keras"),
        ("iris.joblib", LOGISTIC, "sklearn"),
        ("iris.joblib", zlib.compress(LOGISTIC), "sklearn"),
        ("iris.pkl", gzip.compress(LOGISTIC, mtime=0), "sklearn"),
        ("iris.pkl", bz2.compress(LOGISTIC), "sklearn"),
        ("iris.pkl", lzma.compress(LOGISTIC), "sklearn"),
        ("iris", LOGISTIC, "sklearn"),
        ("any.bin", b"\x1c\x00\x00\x00TFL3" + bytes(20), "tflite"),
        ("any", b"\x08\x08\x3a\x02\x12\x00\x42\x02\x10\x11", "onnx"),
    ],
)
def test_a_file_is_known_by_its_content(
    tmp_path: Path, name: str, content: bytes, kind: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert kind_of(str(tmp_path / name)) == kind


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["metadata.json", "config.json", "model.weights.h5"], "keras"),
        (["net/models/model.json", "net/data/weights/weight_0"], "exported_program"),
        (["version", "serialized_exported_program.json"], "exported_program"),
        (["net/data.pkl", "net/code/__torch__.py", "net/constants.pkl"], "torchscript"),
        (["schema.json", "140012.npy"], "sklearn"),
    ],
)
def test_a_zip_is_known_by_what_is_in_it(tmp_path: Path, names: list[str], kind: str) -> None:
    assert kind_of(zip_of(tmp_path / "model.pt", dict.fromkeys(names, b""))) == kind


@pytest.mark.parametrize("words", ["net:Net", "my.nets:small.Net?weights=a.pt", "a/my net.py:net"])
def test_an_import_path_is_a_torch_module(words: str) -> None:
    assert kind_of(words) == "torch_module"


def test_models_of_the_zoo_and_folders(tmp_path: Path) -> None:
    assert [kind_of(str(*ZOO.glob(f"*/*.{each}"))) for each in ("onnx", "tflite")] == [
        "onnx", "tflite",
    ]  # fmt: skip
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01\x12\x00")
    assert kind_of(str(tmp_path)) == "saved_model"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("saved_model.pb", b"\x08\x01\x12\x00", "part of a SavedModel: give its folder"),
        ("graph.pb", b"\x0a\x00\x0a\x00", "frozen graph of TensorFlow"),
        ("net.onnx", b"<!doctype html>", "is called .onnx and is none"),
        ("net.onnx", b"\x08\x08\x3a\x09", "is called .onnx and is none"),
        ("net.onnx", b"", "is empty"),
        ("net.onnx", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("w.safetensors", b"\x10\0\0\0\0\0\0\0{}", r"\?weights=.*w.safetensors"),
        ("net.pt", b"PK\x03\x04 cut off", "damaged"),
        ("net.pt", OLD_TORCH + WEIGHTS, "weights and no network"),
        ("net.pt", OLD_TORCH + MODULE, r"pickled module \(my.nets.Net\)"),
        ("iris.joblib", zlib.compress(LOGISTIC)[:8], "no model of scikit-learn"),
        ("iris.joblib", b"x\x9c" + bytes(30), "damaged"),
        ("trees.pkl", BOOSTED, "holds xgboost.sklearn.XGBClassifier"),
        ("net.py", b"import torch", "name the module in it"),
        ("notes.txt", b"hello", "known are .keras"),
    ],
)
def test_what_cannot_be_read_is_told_with_a_way_out(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Refused, match=says) as told:
        kind_of(str(tmp_path / name))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"net/data.pkl": WEIGHTS}, "holds weights and no network"),
        ({"net/data.pkl": MODULE}, r"pickled module \(my.nets.Net\).*torch.export.save"),
        ({"net/data.pkl": MODULE.replace(b"my.nets", b"ultralytics.nn")}, "yolo export model=m.pt"),
        ({"net/data/aotinductor/model/x.so": b""}, "compiled for one processor"),
        ({"MAR-INF/MANIFEST.json": b""}, "TorchServe"),
        ({"photo.jpg": b""}, "zip file with no model in it"),
    ],
)
def test_zips_that_hold_no_network(tmp_path: Path, content: dict[str, bytes], says: str) -> None:
    with pytest.raises(Refused, match=says):
        kind_of(zip_of(tmp_path / "m.pt", content))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("nowhere/net.onnx", "no such file or folder$"),
        ("nowhere/net", "no such file or folder: known are"),
        ("nets.small.Net", "a torch module is written nets.small:Net"),
    ],
)
def test_what_is_not_there(words: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        kind_of(words)


def test_a_folder_of_something_else_names_the_model_in_it(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"without saved_model.pb"):
        kind_of(str(tmp_path))
    (tmp_path / "best.onnx").touch()
    with pytest.raises(Refused, match=r"give the model in it, as .*best.onnx"):
        kind_of(str(tmp_path))


@pytest.mark.parametrize("packed", [bytes, zlib.compress])
def test_nothing_is_unpickled_to_tell(tmp_path: Path, packed: type[bytes]) -> None:
    trace = tmp_path / "trace"
    hostile = b"\x80\x02cos\nmkdir\n(X" + len(str(trace)).to_bytes(4, "little")
    (tmp_path / "m.pkl").write_bytes(packed(hostile + str(trace).encode() + b"tR."))
    with pytest.raises(Refused, match=r"os\.mkdir"):
        kind_of(str(tmp_path / "m.pkl"))
    assert not trace.exists()


def test_names_that_a_pickle_repeats_are_found() -> None:
    """Protocol 4 keeps a module's name in its memo and takes it from there the second time."""
    again = b"\x80\x04\x8c\x01a\x94\x8c\x01b\x94\x93\x94h\x00\x8c\x01c\x94\x93\x94."
    assert globals_of(again) == ["a.b", "a.c"]


def zip_of(path: Path, content: dict[str, bytes]) -> str:
    with ZipFile(path, "w") as archive:
        for name, held in content.items():
            archive.writestr(name, held)
    return str(path)
