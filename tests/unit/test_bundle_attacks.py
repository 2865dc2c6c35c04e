"""Only what `pack` writes is a bundle: any other zip is refused, and nothing of it is written."""

from __future__ import annotations

import io
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import bundle
from tests.model_folder import make_folder
from wire.troubles import Refused

LINK, DEVICE, PLAIN = 0o120777 << 16, 0o060666 << 16, 0o100644 << 16


@dataclass(frozen=True)
class Forged:
    """One entry of a zip, each half of it free to lie."""

    name: bytes
    content: bytes
    local: dict[str, int] = field(default_factory=dict)  # what the local header says instead
    central: dict[str, int] = field(default_factory=dict)  # what the directory says instead
    local_name: bytes | None = None
    extra: bytes = b""
    comment: bytes = b""
    before: bytes = b""  # bytes between the entry before and this one


def lying(honest: dict[str, int], lies: dict[str, int]) -> list[int]:
    return list({**honest, **lies}.values())


def forge(entries: Iterable[Forged], count: int | None = None, comment: bytes = b"") -> bytes:
    """A zip of these entries; without any lies it is what `pack` would write."""
    entries = list(entries)
    body, records = b"", b""
    for one in entries:
        body += one.before
        size = len(one.content)
        honest = {"version": 10, "flags": 0, "method": 0, "time": 0, "date": 33}
        honest |= {"crc": zlib.crc32(one.content), "packed": size, "size": size}
        name = one.name if one.local_name is None else one.local_name
        start = {"made": 0x314, **honest, "name": len(one.name), "extra": len(one.extra)}
        end = {"comment": len(one.comment), "disk": 0, "inner": 0, "attributes": PLAIN}
        record = lying({**start, **end, "offset": len(body)}, one.central)
        records += struct.pack("<4s6H3L5H2L", b"PK\1\2", *record)
        records += one.name + one.extra + one.comment
        header = lying({**honest, "name": len(name), "extra": len(one.extra)}, one.local)
        body += struct.pack("<4s5H3L2H", b"PK\3\4", *header) + name + one.extra + one.content
    count = len(entries) if count is None else count
    ends = (0, 0, count, count, len(records), len(body), len(comment))
    return body + records + struct.pack("<4s4H2LH", b"PK\5\6", *ends) + comment


@cache
def good() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        bundle.pack(make_folder(Path(folder) / "model"), Path(folder) / "b.zip")
        return (Path(folder) / "b.zip").read_bytes()


@cache
def honest() -> tuple[Forged, ...]:
    with zipfile.ZipFile(io.BytesIO(good())) as file:
        return tuple(Forged(i.filename.encode(), file.read(i)) for i in file.infolist())


def with_last(**lies: object) -> bytes:
    *others, last = honest()
    return forge([*others, replace(last, **lies)])  # type: ignore[arg-type]


def with_name(name: bytes, attributes: int = PLAIN) -> bytes:
    return forge([*honest(), Forged(name, b"evil", central={"attributes": attributes})])


def deflated(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for one in honest():
            file.writestr(one.name.decode(), content)
    return out.getvalue()


def overlapping() -> bytes:
    """Two entries of the directory that share one content: how a quine bomb grows."""
    *others, last = honest()
    start = len(forge(others)) - len(directory_of(forge(others)))
    return forge([*others, last, Forged(b"z.txt", last.content, central={"offset": start})])


def directory_of(content: bytes) -> bytes:
    return content[content.index(b"PK\1\2") :]


def swapped_contents() -> bytes:
    """The CRC is right for the sum of both, wrong for each."""
    first, a, b, *others = honest()
    wrong = replace(a, central={"crc": zlib.crc32(b.content)}, local={"crc": zlib.crc32(b.content)})
    return forge([first, wrong, b, *others])


def damaged() -> bytes:
    at = good().index(b"content of labels")
    return good()[:at] + b"X" + good()[at + 1 :]


def zip64() -> bytes:
    """A zip64 directory behind a plain one, as if the archive were enormous."""
    at = good().index(b"PK\1\2")
    records, end = good()[at:-22], good()[-22:]
    big = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 7, 7, len(records), at)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at + len(records), 1)
    return good()[:at] + records + big + locator + end


ATTACKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a path upwards": (lambda: with_name(b"../../etc/cron.d/evil"), "not a plain file name"),
    "an absolute path": (lambda: with_name(b"/etc/passwd"), "not a plain file name"),
    "dots": (lambda: with_name(b".."), "not a plain file name"),
    "a folder": (lambda: with_name(b"folder/"), "not a plain file name"),
    "a file in a folder": (lambda: with_name(b"folder/file.txt"), "not a plain file name"),
    "a backslash": (lambda: with_name(b"..\\evil"), "not a plain file name"),
    "a drive": (lambda: with_name(b"C:evil"), "not a plain file name"),
    "a hidden file": (lambda: with_name(b".bashrc"), "not a plain file name"),
    "no name": (lambda: with_name(b""), "not a plain file name"),
    "a null in a name": (lambda: with_name(b"m.tflite\0.txt"), "not a plain file name"),
    "an escape in a name": (lambda: with_name(b"\x1b[2J"), "not a plain file name"),
    "a line break in a name": (lambda: with_name(b"evil.txt\n"), "not a plain file name"),
    "not ASCII": (lambda: with_name("mödel.txt".encode()), "not a plain file name"),
    "a long name": (lambda: with_name(b"a" * 129), "not a plain file name|do not add up"),
    "a link": (lambda: with_name(b"z.txt", LINK), "z.txt: a link"),
    "a device": (lambda: with_name(b"z.txt", DEVICE), "z.txt: its record says more"),
    "a bomb": (lambda: deflated(bytes(10_000_000)), "compressed"),
    "compressed": (lambda: with_last(central={"method": 8}, local={"method": 8}), "compressed"),
    "compressed in the local header": (lambda: with_last(local={"method": 8}), "disagree"),
    "encrypted": (lambda: with_last(central={"flags": 1}, local={"flags": 1}), "encrypted"),
    "sizes behind the content": (lambda: with_last(central={"flags": 8}), "says more"),
    "the same name again": (lambda: forge([*honest(), honest()[-1]]), "m.tflite: is in there tw"),
    "the same name by case": (lambda: with_name(b"M.TFLITE"), "M.TFLITE: is in there twice"),
    "overlapping entries": (overlapping, "z.txt: overlaps"),
    "a gap": (lambda: with_last(before=b"hidden"), "m.tflite: overlaps another entry, or bytes"),
    "a size too large": (lambda: with_last(central={"size": 9, "packed": 9}), "do not add up"),
    "a local size too large": (lambda: with_last(local={"size": 9, "packed": 9}), "disagree"),
    "another local name": (lambda: with_last(local_name=b"x.tflite"), "disagree"),
    "another local CRC": (lambda: with_last(local={"crc": 1}), "disagree"),
    "a wrong CRC": (lambda: with_last(local={"crc": 1}, central={"crc": 1}), "damaged"),
    "a damaged content": (damaged, "labels.txt: damaged"),
    "a CRC of another file": (swapped_contents, "a.json: damaged"),
    "an extra field": (lambda: with_last(extra=b"\1\0\4\0abcd"), "m.tflite: its record says more"),
    "a comment on an entry": (lambda: with_last(comment=b"hidden"), "says more|do not add up"),
    "a comment": (lambda: forge(honest(), comment=b"hidden"), "added behind its end"),
    "bytes behind": (lambda: good() + b"\0", "added behind its end"),
    "a second archive behind": (lambda: good() + good(), "do not add up"),
    "bytes before": (lambda: b"#!/bin/sh\n" + good(), "do not add up"),
    "zip64": (zip64, "do not add up"),
    "cut short": (lambda: good()[:-30], "cut short"),
    "empty": (lambda: b"", "too short"),
    "text": (lambda: b"schema = 1\n" * 100, "not a bundle"),
    "too many entries": (
        lambda: forge([*honest(), *(Forged(b"f%d" % n, b"x") for n in range(300))]),
        "307 entries",
    ),
    "more entries than it has": (lambda: forge(honest(), count=8), "cut short"),
    "fewer entries than it has": (lambda: forge(honest(), count=6), "do not add up"),
    "no entries": (lambda: forge([]), "0 entries"),
    "an empty file": (lambda: with_last(content=b""), "m.tflite: empty"),
    "another date": (lambda: with_last(central={"time": 1}), "m.tflite: its record says more"),
    "another order": (lambda: forge([honest()[0], *honest()[:0:-1]]), "not in order"),
    "the manifest last": (lambda: forge(honest()[::-1]), "does not begin with a manifest.toml"),
    "no manifest": (lambda: forge(honest()[1:]), "does not begin with a manifest.toml"),
    "a vast manifest": (
        lambda: forge([Forged(b"manifest.toml", b"#" * 70_000), *honest()[1:]]),
        "at most 64 KiB",
    ),
    "a bad manifest": (
        lambda: forge([Forged(b"manifest.toml", b"schema = 9\n"), *honest()[1:]]),
        "bad.zip/manifest.toml:1: schema|manifest.toml",
    ),
    "a file missing": (lambda: forge(honest()[:-1]), "m.tflite: named by the manifest, but not"),
    "a file too many": (lambda: with_name(b"z.txt"), "z.txt: in the bundle, but the manifest"),
}


def refused(folder: Path, content: bytes) -> str:
    path = folder / "bad.zip"
    path.write_bytes(content)
    with pytest.raises(Refused) as caught:
        bundle.inspect(path)
    with pytest.raises(Refused):
        bundle.unpack(path, folder / "out")
    assert [one.name for one in folder.iterdir()] == ["bad.zip"], "nothing was written"
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.isprintable()
    return message


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    attack, words = ATTACKS[name]
    message = refused(tmp_path, attack())
    assert re.search(words, message), message


def test_the_forger_can_be_honest(tmp_path: Path) -> None:
    """Else every forgery above would be refused for a reason of its own."""
    assert forge(honest()) == good()
    (tmp_path / "b.zip").write_bytes(forge(honest()))
    bundle.inspect(tmp_path / "b.zip")


def test_the_zip_of_another_program_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for one in honest():
            file.writestr(one.name.decode(), one.content)
    assert "pack the folder again" in refused(tmp_path, out.getvalue())


@given(st.data())
def test_any_damage_is_refused_and_nothing_else(choices: st.DataObject) -> None:
    content = bytearray(good())
    for _ in range(choices.draw(st.integers(1, 3))):
        at = choices.draw(st.integers(0, len(content)))
        cut = choices.draw(st.integers(0, 8))
        content[at : at + cut] = choices.draw(st.binary(max_size=8))
    if bytes(content) != good():
        with tempfile.TemporaryDirectory() as folder:
            refused(Path(folder), bytes(content))


def test_every_single_bit_counts(tmp_path: Path) -> None:
    path = tmp_path / "bad.zip"
    for at in range(len(good())):
        content = bytearray(good())
        content[at] ^= 1 << at % 8
        path.write_bytes(content)
        with pytest.raises(Refused):
            bundle.inspect(path)


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        refused(Path(folder), content)
        refused(Path(folder), good()[: len(content)] + content)


def test_a_vast_hole_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """A sparse file of a terabyte, with the end of a directory behind it."""
    path = tmp_path / "bad.zip"
    with open(path, "wb") as file:
        file.truncate(1 << 40)
        file.seek(0, io.SEEK_END)
        file.write(good()[-22:])
    with pytest.raises(Refused, match="larger than 1024 MiB"):
        bundle.inspect(path)
    with open(path, "r+b") as file:
        file.truncate(1 << 29)
        file.seek(0, io.SEEK_END)
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 1 << 29, 0, 0))
    with pytest.raises(Refused, match="do not add up"):
        bundle.inspect(path)
