"""Every power cut of a recording: what lies there, and what had been promised until then."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.power.calls import Marked, Tree, tree_of, write_tree
from tests.power.disk import Disk
from tests.power.recorder import Recording

MEMORY = Path("/dev/shm")  # noqa: S108 - fresh folders in it; an fsync costs nothing there


@dataclass(frozen=True)
class Cut:
    """tree: what is left of a part of the folder. marks: what the process had said before.
    words: which cut it is, for a person."""

    words: str
    tree: Tree
    marks: tuple[str, ...]


def cuts(
    recording: Recording,
    part: str = "",
    mixes: int = 0,
    about: str = "",
    blind: str | None = None,
) -> Iterator[Cut]:
    """After every call that has to do with a part; what is the same as before comes once only.

    about: how the marks begin that count. blind: two that differ below there only are the same.
    """
    disk = Disk(recording.start)
    seen: set[tuple[object, ...]] = set()
    for number, call in enumerate(recording.calls):
        disk.take(call)
        marks = tuple(mark for mark in disk.marks if mark.startswith(about))
        is_mark = isinstance(call, Marked) and call.text.startswith(about)
        if not is_mark and not disk.concerns(call, part):
            continue
        for word, tree in disk.leavings(part, mixes, number):
            seen_of = [one for one in tree.items() if blind is None or not one[0].startswith(blind)]
            key = (len(marks), *seen_of)
            if tree and key not in seen:
                seen.add(key)
                yield Cut(f"call {number}, {call!r:.120}: {word}", tree, marks)


def some_cuts(recording: Recording, numbers: Collection[int], seed: int) -> Iterator[Cut]:
    """One after each of these calls, by chance, of the whole folder."""
    disk, chance = Disk(recording.start), random.Random(seed)
    for number, call in enumerate(recording.calls):
        disk.take(call)
        if number in numbers:
            word, tree = chance.choice(list(disk.leavings("", 2, number)))
            yield Cut(f"call {number}, {call!r:.120}: {word}", tree, tuple(disk.marks))


def check_complete(recording: Recording, folder: Path) -> None:
    """Whether the recording explains what lies there now: else something got past it."""
    disk = Disk(recording.start)
    for call in recording.calls:
        disk.take(call)
    assert disk.whole() == tree_of(folder)


@contextlib.contextmanager
def laid(tree: Tree) -> Iterator[Path]:
    """A folder in which a tree lies."""
    with scratch() as place:
        write_tree(tree, place / "it")
        yield place / "it"


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder in memory where there is such a thing."""
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    place = Path(tempfile.mkdtemp(prefix="vedette-power-", dir=memory))
    try:
        yield place
    finally:
        shutil.rmtree(place)


@contextlib.contextmanager
def told(cut: Cut) -> Iterator[None]:
    """A failure says after which cut."""
    try:
        yield
    except BaseException as error:
        raise AssertionError(f"{cut.words}: {sorted(cut.tree)}: {error!r}") from error
