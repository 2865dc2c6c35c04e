"""From what a user names (folder, bundle or bare model file) to one model file and its manifest."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models import bundle, manifest
from models.manifest import Manifest
from runtime.engines import BY_FORMAT, FOR_FORMAT, KINDS, engine_reason
from wire.likely import did_you_mean
from wire.troubles import Refused, Trouble, Unavailable

BARE_ENDINGS = {".tflite": "tflite", ".onnx": "onnx"}
PLAN_ENDINGS = (".plan", ".engine", ".trt")  # as TensorRT's own tools and Ultralytics write them
ZOO = Path(manifest.__file__).parent / "zoo"


@dataclass(frozen=True)
class Located:
    """A model on disk. `manifest` is None for a bare file: it is inferred when it is opened.

    known: one of our own, opened without a trial in a child process first. is_signed: its bytes are
    those of a bundle that the fleet's release keys signed.
    """

    file: Path
    engine_kind: str
    manifest: Manifest | None
    digest: str
    known: bool
    is_signed: bool = False

    @property
    def folder(self) -> Path:
        return self.file.parent


@contextmanager
def locate(path: Path, engine_kind: str | None = None) -> Iterator[Located]:
    """Find the model that `path` names; a bundle is unpacked for as long as the `with` lasts.

    A folder of variants (subfolders with a manifest each) gives the first that an engine here can
    run, or the one for `engine_kind`. Raises Refused for what is no model, Unavailable if no engine
    for it is installed.
    """
    if engine_kind is not None and engine_kind not in KINDS:
        raise Refused(f"there is no engine {engine_kind!r}: use one of {', '.join(KINDS)}")
    if os.path.isdir(path):  # as all of these, no error where it cannot even be looked at
        yield _in_folder(_pick_variant(path, engine_kind), engine_kind)
    elif path.suffix.lower() in BARE_ENDINGS and os.path.isfile(path) and _described_beside(path):
        yield _in_folder(path.parent, engine_kind)
    elif path.suffix.lower() in BARE_ENDINGS and os.path.isfile(path):
        kind = _engine_for(BARE_ENDINGS[path.suffix.lower()], engine_kind, path)
        yield Located(path, kind, None, file_digest(path), known=False)
    elif path.suffix.lower() == ".zip" and os.path.isfile(path):
        with tempfile.TemporaryDirectory(prefix="vedette-") as folder:
            unpacked = Path(folder) / "model"
            bundle.unpack(path, unpacked)
            try:
                yield _in_folder(unpacked, engine_kind)
            except Trouble as trouble:  # the user knows only the bundle
                raise type(trouble)(str(trouble).replace(str(unpacked), str(path))) from None
    elif not os.path.exists(path):
        raise not_there(path)
    elif path.suffix.lower() in PLAN_ENDINGS:
        raise Refused(
            f"{path}: a TensorRT plan is native code, and comes in a signed bundle only: give the "
            ".onnx file that it was built of"
        )
    else:
        raise Refused(
            f"{path} is no model: give a folder with a manifest.toml, a bundle (.zip), "
            "or a .tflite or .onnx file"
        )


def resolve(words: str) -> Path:
    """A path as the user typed it; the bare name of a zoo model works too, as `digits`."""
    path = Path(os.path.expanduser(words))
    if not os.path.exists(path) and words in zoo():
        return ZOO / words
    return path


def zoo() -> list[str]:
    """The names of the models that come with Vedette."""
    return sorted(each.name for each in ZOO.iterdir() if each.is_dir())


def not_there(path: Path) -> Refused:
    """What to say where nothing is; a bare name may be meant for a model of the zoo."""
    hint = did_you_mean(str(path), zoo())
    return Refused(
        f"there is no model at {path}{hint} (models that come with Vedette: {', '.join(zoo())})"
    )


def file_digest(path: Path) -> str:
    """sha256 of a file, as hex."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise Refused(f"{path}: cannot be read: {error.strerror}") from None
    return digest.hexdigest()


def _described_beside(path: Path) -> bool:
    """Whether the manifest in a model file's own folder is about this very file."""
    try:
        text = (path.parent / manifest.FILE_NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return f'"{path.name}"' in text


def _in_folder(folder: Path, engine_kind: str | None) -> Located:
    described = manifest.load(folder)
    file = folder / described.file
    if not file.is_file():
        raise Refused(
            f"{folder}: the manifest names {described.file}, which is not there: "
            "put it beside the manifest, or correct `file`"
        )
    kind = _engine_for(described.format, engine_kind, file)
    known = ZOO in folder.resolve().parents
    return Located(file, kind, described, bundle.folder_digest(folder), known)


def _pick_variant(path: Path, engine_kind: str | None) -> Path:
    if (path / manifest.FILE_NAME).exists():
        return path
    variants = sorted(each.parent for each in path.glob(f"*/{manifest.FILE_NAME}"))
    if not variants:
        raise Refused(f"{path}: no {manifest.FILE_NAME} in this folder, nor in the folders in it")
    formats = {folder: manifest.load(folder).format for folder in variants}
    order = sorted(variants, key=lambda folder: list(BY_FORMAT).index(formats[folder]))
    if engine_kind is not None:
        fitting = [folder for folder in order if engine_kind in FOR_FORMAT[formats[folder]]]
        if not fitting:
            there = ", ".join(sorted(formats.values()))
            raise Refused(f"{path}: no variant for engine {engine_kind}: there are {there}")
        return fitting[0]
    reasons = {folder: engine_reason(BY_FORMAT[formats[folder]]) for folder in order}
    for folder, reason in reasons.items():
        if reason is None:
            return folder
    raise Unavailable(f"{path}: no engine here: " + "; ".join(filter(None, reasons.values())))


def _engine_for(model_format: str, wanted: str | None, file: Path) -> str:
    usual = BY_FORMAT[model_format]
    if wanted is None or wanted in FOR_FORMAT[model_format]:
        return wanted or usual
    raise Refused(f"{file}: engine {wanted} cannot run {model_format}: use {usual}")
