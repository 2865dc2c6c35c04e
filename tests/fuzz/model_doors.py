"""Doors of a model: its bundle, its manifest, and what else lies in its folder."""

from __future__ import annotations

import zlib
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from models import bundle, flatzip, manifest
from models.flatzip import Entry
from models.manifest import Golden
from runtime import jpeg
from runtime.differing import differs
from runtime.engines.onnx_outside import check_outside
from runtime.first_root import complaint_about, described
from runtime.golden import read_answer
from runtime.goldens import small_png
from runtime.inferring import packed_labels
from runtime.jpeg import BrokenPicture
from runtime.opening import read_labels
from runtime.tasks import (
    Box,
    Class,
    Found,
    Instance,
    Mask,
    Point,
    Pose,
    Region,
    Stats,
    Vector,
)
from tests.by_hand import model_of
from tests.fuzz.door import Door, Opened
from tests.laws.sources import ROOT
from tests.model_folder import FILES, MANIFEST, make_folder
from wire.complaints import FLAT_NAME_PATTERN

ZOO = ROOT / "models" / "zoo"


def open_bundle(folder: Path, last: ExitStack) -> Opened:
    """What is taken is byte for byte what packing its content gives."""
    source, path, out = make_folder(folder / "model"), folder / "tried.zip", folder / "out"
    bundle.pack(source, folder / "right.zip")

    def attempt(content: bytes) -> None:
        path.write_bytes(content)
        inspected = bundle.inspect(path)
        unpacked = bundle.unpack(path, out)
        try:
            assert unpacked == inspected
            assert bundle.folder_digest(out) == inspected.digest
        finally:
            for one in out.iterdir():
                one.unlink()
            out.rmdir()

    return Opened(attempt, ((folder / "right.zip").read_bytes(),))


def open_bundle_manifest(folder: Path, last: ExitStack) -> Opened:
    """A manifest of a stranger in an archive that is right in every byte."""
    path = folder / "tried.zip"

    def attempt(content: bytes) -> None:
        files = {"manifest.toml": content} | dict.fromkeys(FILES, b"x")
        path.write_bytes(_archive(files))
        bundle.inspect(path)

    return Opened(attempt, (MANIFEST.encode(),))


def _archive(files: dict[str, bytes]) -> bytes:
    parts, offset = [], 0
    entries = []
    for name, content in files.items():
        entry = Entry(name, len(content), zlib.crc32(content), offset)
        entries.append(entry)
        parts += [flatzip.local_header(entry), content]
        offset = entry.end
    return b"".join(parts) + flatzip.directory(entries)


def open_manifest(folder: Path, last: ExitStack) -> Opened:
    """What is taken can be written, and reads back the same."""

    def attempt(content: bytes) -> None:
        taken = manifest.from_bytes(content, "manifest.toml")
        assert all(len(name) < 200 for name in taken.files)
        assert manifest.parse(manifest.as_text(taken), "again") == taken

    found = (path.read_bytes() for path in sorted(ZOO.glob("*/*/manifest.toml")))
    return Opened(attempt, (MANIFEST.encode(), *found))


def answer(task: str, mine: Found, seed: bytes, name: str = "") -> Door:
    """The expected answer of a golden sample, compared with what a model found."""

    def open_answer(folder: Path, last: ExitStack) -> Opened:
        path = folder / "answer.json"

        def attempt(content: bytes) -> None:
            path.write_bytes(content)
            differs(read_answer(path, task), mine, Golden("a.png", "a.json"))

        return Opened(attempt, (seed, b"[]"))

    return Door(name or f"golden.{task}", "who packs a model", open_answer, form="json")


ANSWERS = (
    answer("classify", (Class(7, "seven", 0.9),), b'[{"label":"seven","index":7,"score":0.9}]'),
    answer(
        "detect",
        (Box(7, "seven", 0.9, 1.0, 2.0, 20.0, 20.0),),
        b'[{"label":"seven","index":7,"score":0.9,"x":1,"y":2,"width":20,"height":20}]',
    ),
    answer(
        "segment",
        (Instance(7, "seven", 0.9, 1.0, 2.0, 20.0, 20.0, mask=Mask((2, 2), (1, 3))),),
        b'[{"label":"seven","index":7,"score":0.9,"x":1,"y":2,"width":20,"height":20,'
        b'"mask":{"size":[2,2],"counts":[1,3]}}]',
    ),
    answer(
        "segment",
        (Region(7, "seven", None, 0.5, 1.0, 2.0, 20.0, 20.0, Mask((2, 2), (1, 3))),),
        b'[{"label":"seven","index":7,"share":0.5,"x":1,"y":2,"width":20,"height":20,'
        b'"mask":{"size":[2,2],"counts":[1,3]}}]',
        "golden.regions",
    ),
    answer(
        "pose",
        (Pose(0, "body", 0.9, 1.0, 2.0, 20.0, 20.0, points=(Point("nose", 3.0, 4.0, 0.9),)),),
        b'[{"label":"body","index":0,"score":0.9,"x":1,"y":2,"width":20,"height":20,'
        b'"points":[{"name":"nose","x":3,"y":4,"score":0.9}],"skeleton":[[0,1]]}]',
    ),
    answer(
        "embed",
        (Vector("out", 2.0, (0.6, 0.8)),),
        b'[{"name":"out","length":2,"values":[0.6,0.8]}]',
    ),
    answer(
        "raw",
        (Stats("out", (1, 4), 0.0, 1.0, 0.5),),
        b'[{"name":"out","shape":[1,4],"minimum":0,"maximum":1,"mean":0.5}]',
    ),
)


def open_labels(folder: Path, last: ExitStack) -> Opened:
    make_folder(folder / "model")
    described = manifest.load(folder / "model")

    def attempt(content: bytes) -> None:
        (folder / "model" / "labels.txt").write_bytes(content)
        read_labels(described, folder / "model")

    return Opened(attempt, (b"one\ntwo\nthree\n", "drei\nvier\nfünf".encode()))


def open_packed_labels(folder: Path, last: ExitStack) -> Opened:
    """TFLite metadata: an archive behind the model, read by zipfile."""
    import io
    import zipfile

    path, whole = folder / "m.tflite", io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", "one\ntwo\n" * 20)

    def attempt(content: bytes) -> None:
        path.write_bytes(content)
        assert sum(map(len, packed_labels(path))) < 1_000_000

    return Opened(attempt, (b"TFL3" * 8 + whole.getvalue(), whole.getvalue()))


def open_outside(folder: Path, last: ExitStack) -> Opened:
    """Where the constants of an ONNX model lie: read by us before the engine reads it."""
    path = folder / "m.onnx"

    def attempt(content: bytes) -> None:
        path.write_bytes(content)
        check_outside(path)

    entry = b"\x0a\x08location\x12\x09weights.1"
    tensor = b"\x6a" + bytes([len(entry)]) + entry
    graph = b"\x2a" + bytes([len(tensor)]) + tensor
    model = b"\x08\x09\x3a" + bytes([len(graph)]) + graph
    real = next(iter(sorted(ZOO.glob("digits/onnx/*.onnx")))).read_bytes()
    return Opened(attempt, (model, real[:4000], real))


def open_picture(folder: Path, last: ExitStack) -> Opened:
    """A picture for a golden sample, as it is read to be made smaller."""
    path, model = folder / "a.png", model_of()

    def attempt(content: bytes) -> None:
        path.write_bytes(content)
        small_png(path, model)

    png = next(iter(sorted(ZOO.glob("digits/onnx/*.png")))).read_bytes()
    return Opened(attempt, (png, _jpeg()))


def open_jpeg(folder: Path, last: ExitStack) -> Opened:
    """A compressed frame of a camera."""
    memory = np.zeros(1 << 22, np.uint8)

    def attempt(content: bytes) -> None:
        layout = jpeg.plan(content, None)
        if layout.nbytes > memory.nbytes:
            raise BrokenPicture("more than there is room for here")
        jpeg.decode(content, layout, memory)

    return Opened(attempt, (_jpeg(),))


def _jpeg() -> bytes:
    import cv2

    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    return bytes(cv2.imencode(".jpg", pixels)[1].tobytes())


def open_first_root(folder: Path, last: ExitStack) -> Opened:
    path = folder / "root.json"

    def attempt(content: bytes) -> None:
        path.write_bytes(content)
        complaint_about(str(path))
        described(str(path))

    root = (
        b'{"signatures":[{"keyid":"a","sig":"b"}],"signed":{"_type":"root","version":3,'
        b'"expires":"2030-01-01T00:00:00Z"}}'
    )
    return Opened(attempt, (root,))


ZIP_WORDS = (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"../", b"manifest.toml", FLAT_NAME_PATTERN.encode())
DOORS: tuple[Door, ...] = (
    Door("bundle", "a depot, a mirror, a stick", open_bundle, words=ZIP_WORDS),
    Door("bundle.manifest", "who signs a bundle", open_bundle_manifest, form="toml"),
    Door("manifest", "who packs a model", open_manifest, form="toml"),
    *ANSWERS,
    Door("golden.picture", "who packs a model", open_picture, most_mib=512, limit_s=4.0),
    Door("labels", "who packs a model", open_labels),
    Door("labels.packed", "who packs a model", open_packed_labels, words=(b"PK\1\2", b"PK\5\6")),
    Door("onnx.outside", "who packs a model", open_outside, words=(b"location",)),
    Door("camera.jpeg", "a camera", open_jpeg, words=(b"\xff\xd8", b"\xff\xda", b"\xff\xc0")),
    Door("first.root", "who sets up a device", open_first_root, form="json"),
)
