"""A copy of the user's model to work in: theirs stays as it is, whatever becomes of the packing."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from models import manifest
from wire.names import NAME_PATTERN
from wire.troubles import Refused, Unavailable

FORMATS = {".tflite": "tflite", ".onnx": "onnx"}
LABELS = "labels.txt"


def described_folder(path: Path) -> Path | None:
    """The model folder that `path` names, or None if it is a model file without a manifest.

    Raises Refused for anything else.
    """
    if path.is_dir():
        if (path / manifest.FILE_NAME).exists():
            return path
        variants = sorted(each.parent.name for each in path.glob(f"*/{manifest.FILE_NAME}"))
        if variants:
            raise Refused(f"{path}: holds several models: pack each of them: {', '.join(variants)}")
        raise Refused(
            f"{path}: no {manifest.FILE_NAME} in this folder: write one, or name the model file"
        )
    if not path.exists():
        raise Refused(f"{path}: there is no such folder or file")
    if path.suffix.lower() == ".zip":
        raise Refused(f"{path}: is packed already: vedette fleet push takes it")
    if path.suffix.lower() not in FORMATS:
        raise Refused(f"{path}: no model: name a folder with a {manifest.FILE_NAME}, or a .tflite "
                      "or .onnx file")  # fmt: skip
    beside = path.parent / manifest.FILE_NAME
    if beside.is_file() and manifest.load(path.parent).file == path.name:
        return path.parent
    return None


def copy_described(folder: Path, scratch: Path, names: Iterable[str]) -> None:
    """Copy files that a manifest names. Raises Refused for one that is not there, or a link."""
    for name in names:
        copy(folder / name, scratch / name, f"named by {folder / manifest.FILE_NAME}")


def copy_bare(file: Path, scratch: Path, name: str | None) -> tuple[Path, str]:
    """Copy a model file, and the labels that lie beside it. Returns the copy and its name.

    Raises Refused if no name was given, and that of the file cannot be one.
    """
    if name is None and not re.match(NAME_PATTERN, file.stem):
        raise Refused(f"{file}: {file.stem!r} cannot be the name of a model: give --name")
    name = file.stem if name is None else name
    target = scratch / f"{name}{file.suffix.lower()}"
    copy(file, target, "given")
    for beside in (file.with_name(LABELS), file.with_suffix(".txt")):
        if beside.is_file():
            copy(beside, scratch / LABELS, "beside the model")
            break
    return target, name


def copy(source: Path, target: Path, why: str) -> None:
    """Copy one plain file. why: what asks for it. Raises Refused, Unavailable."""
    if source.is_symlink() and why.startswith("named"):
        raise Refused(f"{source}: a link: put the file itself there")
    if not source.is_file():
        what = "not a plain file" if source.exists() else "there is no such file"
        raise Refused(f"{source}: {what} ({why})")
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise Unavailable(f"{error.filename or target}: {error.strerror}: make room, or set "
                          "TMPDIR") from None  # fmt: skip


@contextlib.contextmanager
def spoken_of(scratch: Path, original: Path) -> Iterator[None]:
    """Inside, a trouble with the copy becomes one with what the user knows. original: the folder,
    or the bare model file."""
    place = original if original.is_dir() else original.parent
    try:
        yield
    except (Refused, Unavailable) as trouble:
        told = str(trouble)
        for copied in scratch.glob("*"):
            if not original.is_dir() and copied.suffix in FORMATS:
                told = told.replace(str(copied), str(original))
        told = told.replace(f"{scratch}{os.sep}", f"{place}{os.sep}")
        raise type(trouble)(told.replace(str(scratch), str(original))) from None
