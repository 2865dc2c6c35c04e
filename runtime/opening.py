"""Open a model: engine, prepare and decode joined, checked against the manifest, warmed up."""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import partial
from pathlib import Path

from models.manifest import Manifest
from models.plain import open_plain
from runtime.contract import check_contract, declared_input, declared_outputs
from runtime.engines import Engine, EngineOptions, open_engine
from runtime.inferring import LARGEST_LABELS, infer_manifest, packed_labels
from runtime.labels import labels_in
from runtime.locating import Located
from runtime.loop import Model
from runtime.prepare import aim_of, make_prepare
from runtime.prepare_row import aim_of_row, make_row_prepare
from runtime.tasks.anchors import read_anchors
from wire.troubles import Refused, Trouble

WHAT_FAILS = (Trouble, OSError, MemoryError)  # when a model is opened
DECODERS = {
    "classify": "runtime.tasks.classify",
    "regress": "runtime.tasks.regress",
    "detect": "runtime.tasks.detect",
    "segment": "runtime.tasks.segment",
    "pose": "runtime.tasks.pose",
    "embed": "runtime.tasks.embed",
    "raw": "runtime.tasks.raw",
}


def open_model(located: Located, options: EngineOptions) -> Model:
    """Load, check against the manifest and warm up. The caller closes `model.engine`.

    Raises Refused if the file is bad or contradicts its manifest, Unavailable if its engine is
    missing.
    """
    return model_of(located, engine_of(located, options))


def model_of(located: Located, engine: Engine) -> Model:
    """The model that this engine has loaded. Closes the engine if it is not the manifest's.

    Raises Refused."""
    try:
        return _join(located, engine)
    except BaseException:
        engine.close()
        raise


def engine_of(located: Located, options: EngineOptions) -> Engine:
    """The model file, loaded with what its manifest declares. Raises as open_model does."""
    if located.manifest is None:
        return open_engine(located.engine_kind, located.file, options)
    takes = declared_input(located.manifest.takes)
    gives = declared_outputs(located.manifest)
    declared = replace(options, takes=takes, gives=gives)
    return open_engine(located.engine_kind, located.file, declared)


def _join(located: Located, engine: Engine) -> Model:
    guesses: tuple[str, ...] = ()
    manifest = located.manifest
    if manifest is None:
        manifest, guesses = infer_manifest(located.file, engine)
    labels = read_labels(manifest, located.folder)
    if not labels:
        labels = packed_labels(located.file)
        guesses += ("labels from the metadata in the file",) if labels and guesses else ()
    check_contract(manifest, engine, labels, str(located.file))
    make_decode = importlib.import_module(DECODERS[manifest.task]).make_decode
    anchors = None
    if manifest.decoding.anchors_file is not None:
        anchors = read_anchors(located.folder / manifest.decoding.anchors_file)
        make_decode = partial(make_decode, anchors=anchors)
    try:
        decode = make_decode(manifest, engine.gives, labels)
    except Refused as trouble:
        raise Refused(f"{located.file}: {trouble}") from None
    return Model(
        manifest,
        located.digest,
        labels,
        guesses,
        engine,
        located.engine_kind,
        make_prepare(manifest.input) if manifest.row is None else make_row_prepare(manifest.row),
        decode,
        aim_of(manifest.input) if manifest.row is None else aim_of_row(manifest.row),
        anchors,
    )


def read_labels(manifest: Manifest, folder: Path) -> tuple[str, ...]:
    """What the manifest's label file holds; nothing where it names none. Raises Refused."""
    if manifest.labels is None:
        return ()
    path = folder / manifest.labels
    try:
        with open_plain(path) as file:
            text = file.read(LARGEST_LABELS + 1).decode("utf-8-sig")
    except OSError as error:
        raise Refused(f"{path}: labels cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Refused(f"{path}: labels are not UTF-8 text: save the file as UTF-8") from None
    if len(text) > LARGEST_LABELS:
        raise Refused(f"{path}: larger than {LARGEST_LABELS // 1000} kB: these are no labels")
    return labels_in(text)
