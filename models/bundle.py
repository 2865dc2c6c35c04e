"""A bundle: one model in one file, the same bytes from the same content, safe to open.

A flat, stored zip (`models/flatzip.py`): the manifest first, then the files that it names, sorted.
Its sha256 is the digest that names the model everywhere.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from models import flatzip, manifest
from models.flatzip import Entry, Piece
from models.manifest import FILE_NAME, Manifest
from models.plain import open_plain
from wire import typed_toml
from wire.durable import sync_file, sync_folder, writing_durably
from wire.troubles import Refused, Trouble, Unavailable

OF_THE_DISK = (errno.EIO, errno.ENOSPC, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EINTR)


class Bundle(Struct, frozen=True):
    """What a verified bundle holds. digest: sha256 of the whole file, hex. size: in bytes."""

    digest: str
    size: int
    manifest: Manifest
    entries: tuple[Entry, ...]


def pack(folder: Path, target: Path) -> str:
    """Write the bundle of a model folder durably to `target`. Returns its digest.

    Only what the manifest names is packed. Raises Refused for a bad folder (a file is missing,
    empty, a link), Unavailable if `target` cannot be written.
    """
    digest = hashlib.sha256()
    entries = _measure(folder)
    with _writing(target), writing_durably(target) as file:
        for piece in _packed(folder, entries):
            digest.update(piece.content)
            file.write(piece.content)
    return digest.hexdigest()


def folder_digest(folder: Path) -> str:
    """The digest of the bundle that `pack` would write, without writing it. Raises Refused."""
    digest = hashlib.sha256()
    for piece in _packed(folder, _measure(folder)):
        digest.update(piece.content)
    return digest.hexdigest()


def inspect(path: Path) -> Bundle:
    """Verify a bundle to its last byte, in bounded memory and without writing anything.

    Raises Refused with what is wrong. A bundle that passes is byte for byte what `pack` would
    write for its content. Unavailable: the disk failed.
    """
    with _opened(path) as file:
        return _inspect(file, path)


def unpack(path: Path, folder: Path) -> Bundle:
    """Verify a bundle, then write its files into the new folder `folder`, fsynced each.

    The folder is synced too; its own name is made durable by whoever renames it into place.
    Nothing is written before everything is verified; after a failure no folder is left.
    Raises Refused for a bad bundle or a folder that exists, Unavailable if there is no room.
    """
    with _opened(path) as file:
        bundle = _inspect(file, path)
        with _writing(folder):
            try:
                os.mkdir(folder, 0o755)
            except FileExistsError:
                raise Refused(f"{folder}: is there already: name a new folder") from None
            try:
                _extract(file, bundle, folder, path)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
    return bundle


def _inspect(file: BinaryIO, path: Path) -> Bundle:
    size = os.fstat(file.fileno()).st_size
    digest = hashlib.sha256()
    text = bytearray()
    try:
        entries = flatzip.read_directory(file, size)
        first = entries[0]
        if first.name != FILE_NAME or first.size > typed_toml.LARGEST:
            raise Refused(f"does not begin with a {FILE_NAME} of at most 64 KiB")
        for piece in flatzip.pieces(file, entries):
            digest.update(piece.content)
            if piece.name == FILE_NAME:
                text += piece.content
    except Refused as refused:
        raise Refused(f"{path}: {refused}") from None
    described = manifest.from_bytes(bytes(text), f"{path}/{FILE_NAME}")
    _check_names(path, described, entries)
    return Bundle(digest.hexdigest(), size, described, entries)


def _check_names(path: Path, described: Manifest, entries: tuple[Entry, ...]) -> None:
    packed, named = [entry.name for entry in entries], described.files
    for name in named:
        if name not in packed:
            raise Refused(f"{path}: {name}: named by the manifest, but not in the bundle")
    for name in packed:
        if name not in named:
            raise Refused(f"{path}: {name}: in the bundle, but the manifest does not name it")
    if tuple(packed) != named:
        raise Refused(f"{path}: its files are not in order: the manifest first, the others by name")


def _extract(file: BinaryIO, bundle: Bundle, folder: Path, path: Path) -> None:
    digest = hashlib.sha256()
    with contextlib.ExitStack() as last:
        out: BinaryIO | None = None
        for piece in flatzip.pieces(file, bundle.entries):
            digest.update(piece.content)
            if piece.name is None:  # a header ends the file before it
                _finish(out)
                out = None
                continue
            if out is None:
                out = last.enter_context(open(folder / piece.name, "xb"))
            out.write(piece.content)
    if digest.hexdigest() != bundle.digest:
        raise Refused(f"{path}: changed while it was read")
    sync_folder(folder)


def _finish(out: BinaryIO | None) -> None:
    if out is not None:
        sync_file(out)
        out.close()


def _measure(folder: Path) -> tuple[Entry, ...]:
    """What the bundle of a folder will hold: sizes and CRCs stand before contents in a zip."""
    entries: list[Entry] = []
    offset = 0
    most = flatzip.LARGEST - flatzip.MOST_OVERHEAD  # so that every bundle passes `inspect`
    for name in manifest.load(folder).files:
        size = crc = 0
        for content in _content(folder / name):
            size += len(content)
            crc = zlib.crc32(content, crc)
            if offset + size > most:  # not first read to its end: it may have none
                raise Refused(f"{folder / name}: a bundle may have {flatzip.LARGEST >> 20} MiB")
        if not size:
            raise Refused(f"{folder / name}: empty")
        entries.append(Entry(name, size, crc, offset))
        offset = entries[-1].end
    return tuple(entries)


def _packed(folder: Path, entries: tuple[Entry, ...]) -> Iterator[Piece]:
    for entry in entries:
        yield Piece(None, flatzip.local_header(entry))
        size = crc = 0
        for content in _content(folder / entry.name):
            size += len(content)
            crc = zlib.crc32(content, crc)
            yield Piece(entry.name, content)
        if (size, crc) != (entry.size, entry.crc):
            raise Refused(f"{folder / entry.name}: changed while it was packed")
    yield Piece(None, flatzip.directory(entries))


def _content(path: Path) -> Iterator[bytes]:
    if path.is_symlink():
        raise Refused(f"{path}: a link: put the file itself there")
    with _opened(path) as file:
        while content := file.read(flatzip.PIECE):
            yield content


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = open_plain(path)
    except OSError as error:
        if error.errno in OF_THE_DISK:  # it says nothing of the bundle
            raise Unavailable(f"{path}: cannot be read: {error.strerror}") from error
        raise Refused(f"{path}: {error.strerror}") from None
    with file:
        try:
            yield file
        except OSError as error:
            raise Unavailable(f"{path}: cannot be read: {error.strerror}") from error


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except Trouble:
        raise
    except OSError as error:
        raise Unavailable(f"{target}: cannot be written: {error.strerror}") from error
