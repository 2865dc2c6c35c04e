"""The manifest of a converted model: by its tensors, by a model like it, and by wish."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from models import bundle, manifest
from models.manifest import Input, Manifest
from runtime.describing import complete
from runtime.engines import BY_FORMAT, EngineOptions, open_engine
from runtime.inferring import infer_manifest
from runtime.locating import resolve
from runtime.opening import read_labels
from wire.troubles import Refused
from workshop.converting import Wanted
from workshop.converting.training import Training
from workshop.reading import Read

LABELS = "labels.txt"


@dataclass(frozen=True)
class Like:
    """Another model's folder and what it says of itself."""

    folder: Path
    manifest: Manifest
    labels: tuple[str, ...]


@contextmanager
def like_of(words: str | None) -> Iterator[Like | None]:
    """The model that `--like` names: a folder, a folder of variants, a bundle or a zoo name."""
    if words is None:
        yield None
        return
    path = resolve(words)
    with tempfile.TemporaryDirectory(prefix="vedette-like-") as scratch:
        if path.suffix == ".zip" and path.is_file():
            bundle.unpack(path, Path(scratch) / "model")
            path = Path(scratch) / "model"
        variants = sorted(path.glob(f"*/{manifest.FILE_NAME}"))
        if variants and not (path / manifest.FILE_NAME).exists():
            path = variants[0].parent
        described = manifest.load(path)
        yield Like(path, described, read_labels(described, path))


def write_labels(folder: Path, wanted: Wanted, like: Like | None, read: Read) -> tuple[str, ...]:
    """Lay the labels beside the model: those that were given, of the model like it, or of the
    source. Returns them. Raises Refused."""
    labels = read.labels
    if like is not None and like.labels:
        labels = like.labels
    if wanted.labels is not None:
        shutil.copyfile(wanted.labels, folder / LABELS)
    elif labels:
        (folder / LABELS).write_text("".join(f"{each}\n" for each in labels), encoding="utf-8")
    else:
        return ()
    return read_labels(_with_labels(), folder)


def _with_labels() -> Manifest:
    """Enough of a manifest to read a file of labels by."""
    plain = Input(1, 1, "grey", "NHWC", "float32")
    return Manifest(1, "model", "1", "raw", "onnx", "model.onnx", plain, labels=LABELS)


def described(
    file: Path, wanted: Wanted, like: Like | None, training: Training
) -> tuple[Manifest, tuple[str, ...]]:
    """The manifest of the float32 file, labels beside it, and what was guessed, a line each.

    Raises Refused where the parts contradict each other.
    """
    engine = open_engine(BY_FORMAT[wanted.to], file, EngineOptions(threads=1))
    try:
        inferred, guesses = infer_manifest(file, engine)
    finally:
        engine.close()
    if like is not None:
        inferred, guesses = _after(inferred, like), ()
    known = None if inferred.row is not None else training.on(inferred.input)
    if known is not None:
        inferred = replace(inferred, input=known.input)
        guesses = tuple(each for each in guesses if not each.startswith("assumed:"))
        guesses += (f"preprocessing as {training.source} says", *known.notes)
    if wanted.labels is not None:
        guesses = tuple(each for each in guesses if not each.startswith("labels from"))
    inferred = _as_wished(inferred, wanted)
    path = file.parent / f"{inferred.name}.{wanted.to}"
    return manifest.parse(
        manifest.as_text(replace(inferred, file=path.name)), f"the manifest of {wanted.source}"
    ), guesses


def _after(inferred: Manifest, like: Like) -> Manifest:
    """What the other model's manifest says, on this model's tensors."""
    said = like.manifest
    seen = inferred.input
    if said.row is None and inferred.row is None:
        seen = _as_trained(seen, said.input)
    return replace(
        said,
        format=inferred.format,
        file=inferred.file,
        input=seen,
        outputs=(),
        labels=inferred.labels,
        golden=(),
        plans=(),
        card=replace(said.card, accuracy=()),
        made=None,
    )


def _as_trained(tensor: Input, said: Input) -> Input:
    """How a picture is brought to this tensor: size, layout and type are the tensor's own."""
    return replace(
        tensor,
        colour=said.colour if tensor.colour != "grey" else "grey",
        mean=said.mean,
        std=said.std,
        fit=said.fit,
        resize=said.resize if tensor.shape == said.shape else None,
        interpolation=said.interpolation,
        padding=said.padding,
    )


def _as_wished(described: Manifest, wanted: Wanted) -> Manifest:
    tables = manifest.as_tables(described)
    tables["name"] = wanted.name or (described.name if wanted.like else _name(wanted.source))
    tables["version"] = wanted.version or ("1" if wanted.like is None else described.version)
    if wanted.task is not None:
        tables["task"] = wanted.task
        if wanted.task != described.task:
            tables.pop("decoding", None)
    if wanted.head is not None:
        tables["decoding"] = tables.get("decoding", {}) | {"head": wanted.head}
    try:
        return msgspec.convert(tables, Manifest)
    except msgspec.ValidationError as error:
        raise Refused(f"this is not how a model is described: {error}") from None


def _name(source: str) -> str:
    """What the source is called, as far as a model may be."""
    last = source.partition("?")[0].rpartition(":")[2].rstrip("/").rpartition("/")[2]
    stem = last.rpartition(".")[0] or last
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-")[:64] or "model"


def quantised(described: Manifest, file: Path) -> Manifest:
    """The same manifest for another precision of the file: types and scales are the file's own."""
    bare = replace(described, file=file.name, outputs=())
    engine = open_engine(BY_FORMAT[described.format], file, EngineOptions(threads=1))
    try:
        takes = engine.takes
        if bare.row is not None:
            bare = replace(
                bare,
                row=msgspec.convert(
                    msgspec.to_builtins(bare.row) | _stored(takes.dtype), type(bare.row)
                ),
            )
        else:
            seen = msgspec.to_builtins(bare.input) | _stored(takes.dtype)
            bare = replace(bare, input=msgspec.convert(seen, Input))
        whole, _ = complete(bare, engine, str(file))
    finally:
        engine.close()
    return whole


def _stored(dtype: str) -> dict[str, object]:
    return {"dtype": dtype, "scale": None, "zero_point": None}
