"""What a device has accepted, on disk: whole after a power cut, and readable as far as it is whole.

    root_history/N.root.json, {timestamp,snapshot,targets,deployments}.json
                    the newest that was verified of each: nothing older is accepted again
    accepted        the newest whole set that was verified: what is believed now
    issued          the newest time that a signature vouched for
    files/DIGEST    small signed files: deployments, block digests, command keys

The update client writes without fsync, so it works on a copy, in `work`; what it verified there is
written here afterwards. A file that cannot be read counts as absent.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from wire.durable import make_folder_durably, remove_durably, write_durably
from wire.release import DEPLOYMENTS
from wire.troubles import Unavailable
from wire.unreadable import UNREADABLE

ROLES = ("timestamp", "snapshot", "targets", DEPLOYMENTS)
HISTORY = "root_history"
LARGEST = 64 * 1024 * 1024  # bytes of a file here


class Chain(Struct, frozen=True):
    """Metadata that was verified together. origin: the digest of the first root."""

    origin: str
    root: bytes
    timestamp: bytes
    snapshot: bytes
    targets: bytes
    deployments: bytes


class Issued(Struct, frozen=True):
    """A time (Unix seconds) that these keys vouched for."""

    at_s: int = 0
    keys: tuple[str, ...] = ()


T = TypeVar("T", Chain, Issued)


class Kept:
    """The folder. Raises Unavailable where it cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.work = folder / "work"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time changes what is kept."""
        with _writing(self._folder):
            make_folder_durably(self._folder)
            lock = open(self._folder / "lock", "ab")  # noqa: SIM115 - closed below
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Unavailable(f"{self._folder}: another process is at it: try again") from None
            yield

    def begin(self) -> None:
        """Make the copy that the update client works on."""
        with _writing(self._folder):
            shutil.rmtree(self.work, ignore_errors=True)
            (self.work / HISTORY).mkdir(parents=True)
            for name in self._names(self._folder):
                content = _content(self._folder / name)
                if content is not None:
                    (self.work / name).write_bytes(content)

    def keep_work(self) -> None:
        """Write what the update client verified, first what later files lean on."""
        with _writing(self._folder):
            make_folder_durably(self._folder / HISTORY)
            for name in self._names(self.work):
                content = _content(self.work / name)
                if content is not None and content != _content(self._folder / name):
                    write_durably(self._folder / name, content)

    def chain_of_work(self, origin: str) -> Chain:
        """All that the update client verified in a refresh that went well."""
        with _writing(self._folder):
            root = (self.work / "root.json").read_bytes()
            return Chain(origin, root, *((self.work / f"{r}.json").read_bytes() for r in ROLES))

    def clean(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)

    def accepted(self, origin: str) -> Chain | None:
        chain = self._load("accepted", Chain)
        return chain if chain is not None and chain.origin == origin else None

    def accept(self, chain: Chain) -> None:
        self._store("accepted", chain)

    def issued(self) -> Issued:
        return self._load("issued", Issued) or Issued()

    def vouch(self, issued: Issued) -> None:
        if issued != self.issued():
            self._store("issued", issued)

    def file(self, digest: str) -> bytes | None:
        """A small signed file, if it is here and whole."""
        content = _content(self._folder / "files" / digest)
        return content if content is not None and _digest(content) == digest else None

    def add_file(self, content: bytes) -> None:
        with _writing(self._folder):
            make_folder_durably(self._folder / "files")
            write_durably(self._folder / "files" / _digest(content), content)

    def drop_files_but(self, digests: Collection[str]) -> None:
        with _writing(self._folder), contextlib.suppress(FileNotFoundError):
            for path in (self._folder / "files").iterdir():
                if path.name not in digests and not path.is_dir():
                    remove_durably(path)

    def _load(self, name: str, kind: type[T]) -> T | None:
        content = _content(self._folder / name)
        if content is None or hashlib.sha256(content[32:]).digest() != content[:32]:
            return None
        try:
            return msgspec.msgpack.decode(content[32:], type=kind)
        except UNREADABLE:  # of another version of Vedette
            return None

    def _store(self, name: str, value: Chain | Issued) -> None:
        content = msgspec.msgpack.encode(value)
        with _writing(self._folder):
            make_folder_durably(self._folder)
            write_durably(self._folder / name, hashlib.sha256(content).digest() + content)

    def _names(self, folder: Path) -> list[str]:
        """What is verified metadata there, first what others lean on."""
        roots = sorted((folder / HISTORY).glob("*.root.json"))
        known = [f"{role}.json" for role in ROLES]
        others = sorted({path.name for path in folder.glob("*.json")} - {"root.json", *known})
        return [f"{HISTORY}/{path.name}" for path in roots] + known + others


def _content(path: Path) -> bytes | None:
    """What a plain file holds; None if it cannot be read."""
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError:
        return None
    return content if len(content) <= LARGEST else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"{folder}: cannot be written: {error.strerror}") from None
