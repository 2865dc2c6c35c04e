"""Calls that change a disk, as plain values. Paths are relative to the folder that was watched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Content = bytes | str | None  # of a file; what a link holds; a folder has none
Tree = dict[str, Content]  # by path; a folder before what is in it


@dataclass(frozen=True)
class Made:
    """An empty file got this name. file: the number that it is known by from now on."""

    path: str
    file: int


@dataclass(frozen=True)
class Wrote:
    """at: in bytes from the beginning of the file."""

    file: int
    at: int
    content: bytes


@dataclass(frozen=True)
class Truncated:
    """Shortened, or lengthened by zeros. size: in bytes."""

    file: int
    size: int


@dataclass(frozen=True)
class Synced:
    """fsync came to its end. file: or folder. behind: how many calls came before it began; what
    came later may be missing."""

    file: int
    behind: int


@dataclass(frozen=True)
class Renamed:
    path: str
    target: str


@dataclass(frozen=True)
class Linked:
    """A symbolic link. content: what it holds."""

    path: str
    content: str


@dataclass(frozen=True)
class Removed:
    """A file, a link or an empty folder."""

    path: str


@dataclass(frozen=True)
class MadeFolder:
    path: str
    file: int


@dataclass(frozen=True)
class Marked:
    """No call of the disk: what the process that was watched said of itself at this moment."""

    text: str


Call = Made | Wrote | Truncated | Synced | Renamed | Linked | Removed | MadeFolder | Marked


def tree_of(folder: Path) -> Tree:
    """What lies below a folder, itself (as "") first."""
    tree: Tree = {"": None}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            tree[name] = str(path.readlink())
        else:
            tree[name] = None if path.is_dir() else path.read_bytes()
    return tree


def write_tree(tree: Tree, folder: Path) -> None:
    """folder: it is not there yet."""
    for name, content in tree.items():
        path = folder / name
        if content is None:
            path.mkdir(parents=True)
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)
