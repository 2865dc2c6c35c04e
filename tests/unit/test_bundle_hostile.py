"""The attacks on bundles by their names: path traversal, zip bomb, tampered bundle, and kin."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import struct
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from models import bundle, flatzip
from tests.model_folder import FILES, make_folder
from tests.unit.test_bundle_attacks import Forged, deflated, forge, good, honest, with_last
from wire.troubles import Refused

LARGEST_WORK = 4_000_000  # bytes of memory that refusing may take, whatever the file claims
LONGEST_S = 5.0


def attacked(folder: Path, content: bytes | Path) -> str:
    """Why a bundle is refused. Nothing may be written anywhere, nor much be taken for it."""
    inside = folder / "a" / "b" / "c"  # so that a path upwards stays in this test's own folder
    inside.mkdir(parents=True)
    path = content if isinstance(content, Path) else inside / "bad.zip"
    if isinstance(content, bytes):
        path.write_bytes(content)
    before = sorted(folder.rglob("*"))
    started = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(Refused) as caught:
            bundle.unpack(path, inside / "model")
        assert tracemalloc.get_traced_memory()[1] < LARGEST_WORK
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < LONGEST_S
    assert sorted(folder.rglob("*")) == before
    return str(caught.value)


def as_model_file(name: bytes) -> bytes:
    """A bundle whose manifest itself names a path: the manifest and the entries agree."""
    first, *others, last = honest()
    content = first.content.replace(b'"m.tflite"', b'"' + name + b'"')
    return forge([replace(first, content=content), *others, replace(last, name=name)])


PATHS = (
    b"../evil.tflite", b"../../../evil.tflite", b"/tmp/evil.tflite", b"a/../../evil.tflite",
    b"./m.tflite", b"..\\evil.tflite", b"C:\\evil.tflite", b"//host/evil.tflite", b"~/evil.tflite",
    b".evil.tflite", b"%2e%2e%2fevil.tflite", b"\xc0\xae\xc0\xae/evil.tflite", b"...", b" m.tflite",
)  # fmt: skip


@pytest.mark.parametrize("name", PATHS, ids=repr)
def test_path_traversal(tmp_path: Path, name: bytes) -> None:
    for number, content in enumerate((
        forge([*honest(), Forged(name, b"evil")]), as_model_file(name), with_last(local_name=name),
    )):  # fmt: skip
        (tmp_path / str(number)).mkdir()
        why = attacked(tmp_path / str(number), content)
        expected = ("not a plain file name", "not a plain file name", "disagree|do not add up")
        assert re.search(expected[number], why), why


def test_path_traversal_by_the_manifest_alone(tmp_path: Path) -> None:
    first, *others = honest()
    for number, path in enumerate((b"../labels.txt", b"/etc/passwd.txt")):
        text = first.content.replace(b'"labels.txt"', b'"' + path + b'"')
        (tmp_path / str(number)).mkdir()
        why = attacked(tmp_path / str(number), forge([replace(first, content=text), *others]))
        assert "labels: expected the plain name of a file" in why


def test_a_link_that_the_next_entry_would_write_through(tmp_path: Path) -> None:
    link = Forged(b"z.txt", b"/etc", central={"attributes": (stat.S_IFLNK | 0o777) << 16})
    through = Forged(b"z.txt/passwd", b"evil")
    assert "z.txt: a link" in attacked(tmp_path, forge([*honest(), link, through]))


def test_zip_bomb_by_deflation(tmp_path: Path) -> None:
    """A thousandfold: 70 MB in 70 kB."""
    content = deflated(bytes(10_000_000))
    assert len(content) < 100_000
    assert "compressed" in attacked(tmp_path, content)


def test_zip_bomb_by_overlap(tmp_path: Path) -> None:
    """Every entry is a kernel of the same bytes: 250 files of 1 MB in a file of 1 MB."""
    kernel = Forged(b"kernel.bin", bytes(1_000_000))
    *_, last = honest()
    start = len(forge(honest())) - len(directory_of(forge(honest())))
    lies = {"offset": start}
    copies = [Forged(b"k%d.bin" % n, b"", central=lies | sizes(kernel)) for n in range(240)]
    assert "overlaps" in attacked(tmp_path, forge([*honest(), kernel, *copies]))
    assert last.name == b"m.tflite"


def sizes(one: Forged) -> dict[str, int]:
    size = len(one.content)
    return {"crc": zlib.crc32(one.content), "packed": size, "size": size}


def directory_of(content: bytes) -> bytes:
    return content[content.index(b"PK\1\2") :]


def test_zip_bomb_in_a_zip(tmp_path: Path) -> None:
    """A zip as the model file is content like any other: nobody opens it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("m.tflite", bytes(5_000_000))
    folder = make_folder(tmp_path / "model", out.getvalue())
    bundle.pack(folder, tmp_path / "b.zip")
    bundle.unpack(tmp_path / "b.zip", tmp_path / "out")
    written = sum(each.stat().st_size for each in (tmp_path / "out").iterdir())
    assert written < (tmp_path / "b.zip").stat().st_size, "never more than the file itself holds"


@pytest.mark.parametrize("size", [1 << 20, (1 << 30) - 1, (1 << 32) - 1])
def test_zip_bomb_by_a_claimed_size(tmp_path: Path, size: int) -> None:
    lies = {"packed": size, "size": size}
    why = attacked(tmp_path, with_last(central=lies, local=lies))
    assert "do not add up" in why


def test_zip_bomb_of_holes(tmp_path: Path) -> None:
    """A sparse file that takes no disk here and would fill one there: its CRCs must be right."""
    size = 200 << 20
    hole = Forged(b"m.tflite", b"", central=(lies := {"crc": 0, "packed": size, "size": size}),
                  local=lies)  # fmt: skip
    small = forge([*honest()[:-1], hole])
    at = small.index(b"PK\1\2")
    end = struct.pack("<L", at + size)
    tail = small[at:-6] + end + small[-2:]
    path = tmp_path / "holes.zip"
    with open(path, "wb") as file:
        file.write(small[:at])
        file.truncate(at + size)
        file.seek(0, io.SEEK_END)
        file.write(tail)
    assert path.stat().st_blocks * 512 < 1_000_000
    started = time.monotonic()
    with pytest.raises(Refused, match=r"m\.tflite: damaged"):
        bundle.unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert time.monotonic() - started < 30


def test_tampered_bundle(tmp_path: Path) -> None:
    """Any byte of any content, with nothing else put right: the CRC tells which file it is."""
    with zipfile.ZipFile(io.BytesIO(good())) as file:
        for number, entry in enumerate(file.infolist()):
            at = entry.header_offset + 30 + len(entry.filename)
            content = bytearray(good())
            content[at] ^= 1
            (tmp_path / str(number)).mkdir()
            why = attacked(tmp_path / str(number), bytes(content))
            assert f"{entry.filename}: damaged" in why, why


def test_tampered_bundle_with_everything_put_right_has_another_digest(tmp_path: Path) -> None:
    """Who can forge CRCs makes a sound bundle. It is another one: its digest says so."""
    *others, last = honest()
    forged = forge([*others, replace(last, content=last.content[:-1] + b"!")])
    for name, content in (("good", good()), ("forged", forged)):
        (tmp_path / f"{name}.zip").write_bytes(content)
    one, other = (bundle.inspect(tmp_path / f"{name}.zip") for name in ("good", "forged"))
    assert one.digest != other.digest
    assert other.digest == hashlib.sha256(forged).hexdigest()
    assert (one.manifest, one.size) == (other.manifest, other.size), "nothing else tells them apart"
    assert bundle.unpack(tmp_path / "forged.zip", tmp_path / "out").digest == other.digest


def test_tampered_bundle_between_looking_and_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verified, then changed by another process before it is unpacked: it must not come out."""
    path = tmp_path / "b.zip"
    path.write_bytes(good())
    real = flatzip.pieces
    passes: list[int] = []

    def pieces(*words: object) -> object:
        passes.append(1)
        if len(passes) == 2:
            *others, last = honest()
            path.write_bytes(forge([*others, replace(last, content=b"X" * len(last.content))]))
        return real(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(flatzip, "pieces", pieces)
    with pytest.raises(Refused, match=r"disagree|damaged|changed while"):
        bundle.unpack(path, tmp_path / "out")
    assert len(passes) == 2
    assert not (tmp_path / "out").exists()


DUPLICATES: dict[str, Callable[[], bytes]] = {
    "the model": lambda: forge([*honest(), honest()[-1]]),
    "the manifest": lambda: forge([honest()[0], *honest()]),
    "the manifest by case": lambda: forge([*honest(), Forged(b"Manifest.TOML", b"schema = 1")]),
}


@pytest.mark.parametrize("what", DUPLICATES)
def test_a_name_twice(tmp_path: Path, what: str) -> None:
    assert "is in there twice" in attacked(tmp_path, DUPLICATES[what]())


def test_what_is_unpacked_has_no_rights_but_to_be_read(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(good())
    bundle.unpack(tmp_path / "b.zip", tmp_path / "out")
    files = sorted((tmp_path / "out").iterdir())
    assert [each.name for each in files] == sorted([*FILES, "manifest.toml"])
    for each in files:
        mode = each.lstat().st_mode
        assert stat.S_ISREG(mode) and not mode & 0o7133, f"{each}: {mode:o}"


@pytest.mark.slow
def test_a_file_that_would_make_too_large_a_bundle_is_not_read_to_its_end(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model")
    os.truncate(folder / "m.tflite", 1 << 40)  # sparse: reading it all would take long
    started = time.monotonic()
    with pytest.raises(Refused, match=r"m\.tflite: a bundle may have 1024 MiB"):
        bundle.pack(folder, tmp_path / "b.zip")
    assert time.monotonic() - started < 60
    assert not (tmp_path / "b.zip").exists()


def test_what_may_be_packed_may_be_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit on what is packed leaves room for all headers."""
    monkeypatch.setattr(flatzip, "LARGEST", 200_000)
    folder = make_folder(tmp_path / "model")
    refused = 0
    sizes = [*range(100_000, 198_000, 5_000), *range(198_000, 200_001, 100)]
    for size in sizes:
        (folder / "m.tflite").write_bytes(bytes(size))
        try:
            bundle.pack(folder, tmp_path / "b.zip")
        except Refused:
            refused += 1
            continue
        bundle.inspect(tmp_path / "b.zip")
    assert 0 < refused < len(sizes)
