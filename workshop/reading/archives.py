"""What a zip file or a pickle holds, told by names in it: nothing is unpickled."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickletools
import zlib
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from wire.troubles import Refused
from workshop.reading import Kind

DAMAGED = "is damaged or not whole: copy or save it again"
EXPORT = "save it with torch.export.save(torch.export.export(model, (input,)), 'model.pt2')"
GIVE_MODULE = "write package.module:Class?weights={path} with the class that they belong to"
LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save before 1.6
MOST_PICKLE = 4_000_000  # bytes looked at
# torch's own names in what it saves of plain tensors: what else is named is code of somebody
OF_TENSORS = ("torch._utils.", "torch._tensor.", "torch.storage.", "collections.OrderedDict")
DTYPES = ("float32", "float16", "bfloat16", "float64", "int64", "int32", "int8", "uint8", "bool")
OF_STORAGE = ("Storage", "dtype", "Size", "device", *DTYPES)
ZLIB = (b"x\x01", b"x^", b"x\x9c", b"x\xda")  # joblib's compress=
LZ4 = b"\x04\x22\x4d\x18"


def kind_of_zip(path: Path) -> Kind:
    """Raises Refused for what cannot be read, with what to do."""
    try:
        with ZipFile(path) as archive:
            return _kind_of_names(path, archive)
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise Refused(f"{path}: {DAMAGED}") from None


def _kind_of_names(path: Path, archive: ZipFile) -> Kind:
    names = archive.namelist()
    inner = {name.partition("/")[2] for name in names} | set(names)  # torch's have a folder around
    if {"config.json", "model.weights.h5"} <= inner:
        return "keras"
    if "schema.json" in names:
        return "sklearn"
    if "models/model.json" in inner or "serialized_exported_program.json" in inner:
        return "exported_program"
    if any(name.startswith("models/") for name in inner):
        raise Refused(f"{path}: holds several programs, none called model: {EXPORT}")
    if any(name.startswith("data/aotinductor/") for name in inner):
        raise Refused(f"{path}: was compiled for one processor: {EXPORT}")
    if "constants.pkl" in inner:
        return "torchscript"
    if "data.pkl" in inner:
        inside = next(name for name in names if name.rpartition("/")[2] == "data.pkl")
        with archive.open(inside) as file:
            raise _refused_torch(path, globals_of(file.read(MOST_PICKLE)))
    if "MAR-INF/MANIFEST.json" in names:
        raise Refused(f"{path}: is an archive of TorchServe: unpack it and give the model in it")
    raise Refused(f"{path}: is a zip file with no model in it: unpack it and give the model")


def kind_of_pickle(path: Path) -> Kind:
    """Of a pickle, compressed or not. Raises Refused for what cannot be read, with what to do."""
    content = _start_of(path)
    if content is None:  # nothing here decompresses it, and joblib is who would write it
        return "sklearn"
    if content.startswith(LEGACY_TORCH):
        raise _refused_torch(path, globals_of(content))
    names = globals_of(content)
    if any(name.startswith("sklearn.") for name in names):
        return "sklearn"
    if any(name.startswith("torch.") for name in names):
        raise _refused_torch(path, names)
    held = f"{names[0]} and no model of scikit-learn" if names else "no model of scikit-learn"
    raise Refused(f"{path}: is a pickle that holds {held}: give it as .onnx")


def _start_of(path: Path) -> bytes | None:
    with open(path, "rb") as file:
        head = file.read(8)
        file.seek(0)
        try:
            if head.startswith(ZLIB):
                return zlib.decompressobj().decompress(file.read(MOST_PICKLE), MOST_PICKLE)
            if head.startswith(b"\x1f\x8b"):
                return gzip.GzipFile(fileobj=file).read(MOST_PICKLE)
            if head.startswith(b"BZh"):
                return bz2.BZ2File(file).read(MOST_PICKLE)
            if head.startswith((b"\xfd7zXZ\x00", b"]\x00\x00")):
                return lzma.LZMAFile(file).read(MOST_PICKLE)
        except (zlib.error, EOFError, OSError, lzma.LZMAError):
            raise Refused(f"{path}: {DAMAGED}") from None
        return None if head.startswith(LZ4) else file.read(MOST_PICKLE)


def _refused_torch(path: Path, names: list[str]) -> Refused:
    """Why a file of torch.save is not read: weights alone are no network, and a pickled module runs
    code of whoever made the file when it is read."""
    foreign = [name for name in names if not _of_tensors(name)]
    if not foreign:
        return Refused(f"{path}: holds weights and no network: {GIVE_MODULE.format(path=path)}")
    if any(name.startswith("ultralytics.") for name in names):
        return Refused(
            f"{path}: is a pickled module of Ultralytics, which runs code when it is read: "
            f"export it with yolo export model={path.name} format=onnx"
        )
    return Refused(
        f"{path}: is a pickled module ({foreign[0]}), which runs code when it is read: {EXPORT}, "
        "or save its state_dict() and write package.module:Class?weights=FILE"
    )


def _of_tensors(name: str) -> bool:
    return name.startswith(OF_TENSORS) or (
        name.startswith("torch.") and name.count(".") == 1 and name.endswith(OF_STORAGE)
    )


def globals_of(pickled: bytes) -> list[str]:
    """The classes and functions that a pickle names (`module.name`), as far as it can be walked."""
    return list(dict.fromkeys(_globals(pickled)))


def _globals(pickled: bytes) -> Iterator[str]:
    file = io.BytesIO(pickled)
    strings = [""]  # as they were pushed; the last two are what STACK_GLOBAL takes
    memo: dict[int, str] = {}
    try:
        while file.tell() < len(pickled):  # torch wrote several pickles, one after the other
            for code, value, _ in pickletools.genops(file):
                if code.name == "GLOBAL":
                    yield str(value).replace(" ", ".")
                elif code.name == "STACK_GLOBAL":
                    yield ".".join(strings[-2:])
                elif code.name in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
                    memo[len(memo) if value is None else int(value)] = (
                        strings[-1] if strings else ""
                    )
                elif code.name in ("GET", "BINGET", "LONG_BINGET"):
                    strings.append(memo.get(int(value or 0), ""))
                elif isinstance(value, str):
                    strings.append(value)
    except (ValueError, UnicodeDecodeError, IndexError, KeyError, RecursionError):
        return  # cut off, or joblib's arrays between two codes
