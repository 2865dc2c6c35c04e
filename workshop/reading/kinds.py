"""Which kind of trained model is named: by what is in a file first, by its ending then.

Nothing is unpickled, run or imported to tell.
"""

from __future__ import annotations

import re
from pathlib import Path

from wire.troubles import Refused
from workshop.reading import Kind
from workshop.reading.archives import kind_of_pickle, kind_of_zip
from workshop.reading.protobuf import is_onnx, is_saved_model

KNOWN = (
    "known are .keras, .h5, the folder of a SavedModel, .pt2, TorchScript (.pt, .ts), "
    "package.module:attribute of a torch module, .onnx, .tflite, and .joblib, .pkl or .skops of "
    "scikit-learn"
)
AGAIN = "copy or save it again"
NAME = r"[^\W\d]\w*(\.[^\W\d]\w*)*"
IMPORT_PATH = re.compile(rf"({NAME}|[^:?]+\.py):{NAME}(\?.*)?")
HEAD = 64  # bytes: enough for all marks below
HDF5 = b"\x89HDF\r\n\x1a\n"
LFS = b"version https://git-lfs"
PACKED = (b"x", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"]\x00\x00", b"\x04\x22\x4d\x18")
PICKLES = (".joblib", ".pkl", ".pickle")
ENDINGS_READ = (
    ".keras", ".h5", ".hdf5", ".pt2", ".pt", ".pth", ".ts", ".jit", ".onnx", ".tflite", *PICKLES,
    ".skops",
)  # fmt: skip

# what is known by its ending alone, and what to do instead
OF_ITS_SOURCE = "was made for another runtime: give the model that it was made of"
COMPILED = "was compiled for one accelerator: give the model that it was made of"
ENDINGS = {
    ".safetensors": "holds weights and no network: write package.module:Class?weights={path} with "
    "the class that they belong to",
    ".ckpt": "is a checkpoint, which holds weights and no network: export the model itself, with "
    "torch.export.save or model.save() of Keras",
    ".index": "is a part of a TensorFlow checkpoint, which holds weights and no network: save the "
    "model as .keras or as a SavedModel",
    ".pb": "is a frozen graph of TensorFlow: save the model as a SavedModel, or make it ONNX with "
    "python -m tf2onnx.convert --graphdef",
    ".engine": COMPILED,
    ".plan": COMPILED,
    **dict.fromkeys(
        (".pte", ".ptl", ".mlmodel", ".ort", ".gguf", ".mnn", ".param", ".rknn"), OF_ITS_SOURCE
    ),
    ".pdmodel": "is of PaddlePaddle: make it ONNX with paddle2onnx",
}
OTHER_ENDINGS = {*ENDINGS, *ENDINGS_READ}


def kind_of(words: str) -> Kind:
    """What `words` names: a path (what is there comes first), or `package.module:attribute`.

    Raises Refused where nothing is there, or nothing that can be read, with what to do.
    """
    path = Path(words)
    if path.is_dir():
        return _of_folder(path)
    if path.is_file():
        return _of_file(path)
    if IMPORT_PATH.fullmatch(words):
        return "torch_module"
    module, dot, attribute = words.rpartition(".")
    if dot and re.fullmatch(NAME, words) and f".{attribute}".lower() not in OTHER_ENDINGS:
        raise Refused(
            f"{words}: there is no such file; a torch module is written {module}:{attribute}"
        )
    known = "" if path.suffix.lower() in OTHER_ENDINGS else f": {KNOWN}"
    raise Refused(f"{words}: there is no such file or folder{known}")


def _of_folder(path: Path) -> Kind:
    names = {each.name for each in path.iterdir()}
    if names & {"saved_model.pb", "saved_model.pbtxt"}:
        return "saved_model"
    models = sorted(
        name for name in names if Path(name).suffix.lower() in (*ENDINGS_READ, ".safetensors")
    )
    if models:
        raise Refused(f"{path}: is a folder: give the model in it, as {path / models[0]}")
    raise Refused(f"{path}: is a folder without saved_model.pb: {KNOWN}")


def _of_file(path: Path) -> Kind:
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror}") from None
    if not head:
        raise Refused(f"{path}: is empty: copy or save it again")
    if head.startswith(LFS):
        raise Refused(f"{path}: is a note of Git LFS in place of the file: run git lfs pull")
    if head[4:8] == b"TFL3":
        return "tflite"
    if head.startswith(HDF5):
        return "keras"
    if head.startswith(b"PK\x03\x04"):
        return kind_of_zip(path)
    ending = path.suffix.lower()
    if (head[0] == 0x80 and 2 <= head[1] <= 5) or (ending in PICKLES and head.startswith(PACKED)):
        return kind_of_pickle(path)
    if is_onnx(path):
        return "onnx"
    raise _unknown(path, ending)


def _unknown(path: Path, ending: str) -> Refused:
    if is_saved_model(path):
        return Refused(f"{path}: is a part of a SavedModel: give its folder, {path.parent}")
    if ending in ENDINGS:
        return Refused(f"{path}: {ENDINGS[ending].format(path=path)}")
    if ending == ".py":
        return Refused(f"{path}: is Python: name the module in it, {path}:NAME")
    if ending in ENDINGS_READ:
        return Refused(f"{path}: is called {ending} and is none, or damaged: {AGAIN}")
    return Refused(f"{path}: is no model of a kind that is known here: {KNOWN}")
