"""A disk that loses its power: what may lie on it after any number of recorded calls.

POSIX promises what was fsynced and nothing else: contents by fsync of the file, names by fsync of
the folder. Of all later calls any subset may have reached the disk, later ones without earlier ones
too; a write may have reached it in part (in sectors), or its place without its bytes (zeros).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.power.calls import (
    Call,
    Content,
    Linked,
    Made,
    MadeFolder,
    Marked,
    Removed,
    Renamed,
    Synced,
    Tree,
    Truncated,
    Wrote,
)

SECTOR = 512
Fate = Literal["kept", "lost", "zeros", "torn"]
Leaving = tuple[str, Tree]


@dataclass(frozen=True)
class Named:
    """Changes of names that come together or not at all: folder, name, what it is now."""

    names: tuple[tuple[int, str, int | None], ...]


@dataclass(frozen=True)
class Filled:
    """A change of a file's content. size: Truncated to; None: written. number: of the call."""

    file: int
    at: int
    content: bytes
    size: int | None


Pending = Named | Filled


@dataclass
class Image:
    """Names in folders and contents of files, by number."""

    names: dict[int, dict[str, int]] = field(default_factory=dict)
    contents: dict[int, bytes] = field(default_factory=dict)

    def copied(self) -> Image:
        return Image({f: dict(names) for f, names in self.names.items()}, dict(self.contents))

    def take(
        self, change: Pending, fate: Fate = "kept", chance: random.Random | None = None
    ) -> None:
        if isinstance(change, Named):
            for folder, name, file in change.names:
                if file is None:
                    self.names[folder].pop(name, None)
                else:
                    self.names[folder][name] = file
            return
        before = self.contents[change.file]
        if change.size is not None:
            self.contents[change.file] = before[: change.size].ljust(change.size, b"\0")
            return
        behind = change.at + len(change.content)
        before = before.ljust(behind, b"\0")
        content = change.content
        if fate == "zeros":  # fresh room is empty, and what was there before stays
            content = before[change.at : behind]
        elif fate == "torn":
            content = _torn(change, before, chance or random.Random(change.at))
        self.contents[change.file] = before[: change.at] + content + before[behind:]


class Disk:
    """Takes calls one after the other, and shows what a power cut at this moment may leave."""

    def __init__(self, start: Tree) -> None:
        self.marks: list[str] = []
        self._safe, self._live = Image(), Image()
        self._links: dict[int, str] = {}
        self._pending: list[tuple[int, Pending]] = []  # with the number of the call
        self._taken = 0
        self._count = 0
        for path, content in start.items():
            number = self._enter(content)
            if path:
                folder, name = self._split(path)
                for image in (self._safe, self._live):
                    image.names[folder][name] = number

    def take(self, call: Call) -> None:
        """The next one, which succeeded."""
        if isinstance(call, Marked):
            self.marks.append(call.text)
        elif isinstance(call, Synced):
            self._sync(call)
        elif isinstance(call, Wrote):
            self._change(Filled(call.file, call.at, call.content, None))
        elif isinstance(call, Truncated):
            self._change(Filled(call.file, 0, b"", call.size))
        else:
            self._name(call)
        self._taken += 1

    def concerns(self, call: Call, part: str) -> bool:
        """Whether a call that was taken has to do with what is below a folder."""
        if isinstance(call, Marked):
            return False
        if isinstance(call, Synced | Wrote | Truncated):
            return call.file in self._numbers(part)
        return not part or call.path.startswith(f"{part}/")

    def whole(self) -> Tree:
        """What everybody sees who has power."""
        return self._tree(self._live)

    def leavings(self, part: str = "", mixes: int = 0, seed: int = 0) -> Iterator[Leaving]:
        """What may lie in a folder, with a word for each: all that is pending there, nothing of it,
        all but contents (these lost, zeros, torn), each change alone lost or kept, and so many
        mixes by chance."""
        numbers = self._numbers(part)
        if not numbers:
            return
        ours, others = [], []
        for number, (_, change) in enumerate(self._pending):
            (ours if _touched(change) & numbers else others).append(number)
        names = [n for n in ours if isinstance(self._pending[n][1], Named)]

        def left(kept: Sequence[int], fate: Fate = "lost", seed: int = 0) -> Tree:
            return self._tree(self._left({*others, *kept}, fate, seed), part)

        yield "all kept", left(ours)
        if not ours:
            return
        yield "all lost", left(())
        yield "names kept", left(names)
        yield "names and zeros", left(names, "zeros")
        yield "names and torn", left(names, "torn", seed)
        if len(ours) > 1:
            for one in ours:
                yield f"{one} lost", left([n for n in ours if n != one])
                yield f"{one} kept", left([one])
        chance = random.Random(seed)
        for n in range(mixes):
            kept = [one for one in ours if chance.random() < 0.5]
            fate: Fate = chance.choice(("lost", "zeros", "torn"))
            yield f"mix {n} of {seed}", left(kept, fate, seed)

    def _left(self, kept: Collection[int], others: Fate, seed: int) -> Image:
        """others: what became of writes that were not kept; names of theirs are lost."""
        image = self._safe.copied()
        chance = random.Random(seed)
        for number, (_, change) in enumerate(self._pending):
            if number in kept:
                image.take(change)
            elif others != "lost" and isinstance(change, Filled):
                image.take(change, others, chance)
        return image

    def _sync(self, call: Synced) -> None:
        """What was pending of a file or folder when the fsync began is safe."""
        left: list[tuple[int, Pending]] = []
        for number, change in self._pending:
            if number >= call.behind:
                left.append((number, change))
            elif isinstance(change, Named):
                done = tuple(one for one in change.names if one[0] == call.file)
                rest = tuple(one for one in change.names if one[0] != call.file)
                self._safe.take(Named(done))
                if rest:
                    left.append((number, Named(rest)))
            elif change.file == call.file:
                self._safe.take(change)
            else:
                left.append((number, change))
        self._pending = left
        there = self._numbers("")
        self._pending = [one for one in left if _touched(one[1]) & there]

    def _numbers(self, part: str) -> set[int]:
        """All that a power cut may show below a folder, and it; none if it is not there."""
        edges: dict[int, set[int]] = {}
        for image in (self._safe, self._live):
            for folder, names in image.names.items():
                edges.setdefault(folder, set()).update(names.values())
        for _, change in self._pending:
            if isinstance(change, Named):
                for folder, _, file in change.names:
                    if file is not None:
                        edges.setdefault(folder, set()).add(file)
        root = _found(self._live, part)
        found: set[int] = set()
        ahead = [] if root is None else [root]
        while ahead:
            number = ahead.pop()
            if number not in found:
                found.add(number)
                ahead += edges.get(number, ())
        return found

    def _change(self, change: Pending) -> None:
        self._live.take(change)
        self._pending.append((self._taken, change))

    def _name(self, call: Made | MadeFolder | Linked | Removed | Renamed) -> None:
        folder, name = self._split(call.path)
        if isinstance(call, Removed):
            self._change(Named(((folder, name, None),)))
        elif isinstance(call, Renamed):
            other, target = self._split(call.target)
            file = self._live.names[folder][name]
            self._change(Named(((folder, name, None), (other, target, file))))
        else:
            content: Content = b"" if isinstance(call, Made) else None
            number = self._enter(call.content if isinstance(call, Linked) else content)
            assert isinstance(call, Linked) or number == call.file
            self._change(Named(((folder, name, number),)))

    def _enter(self, content: Content) -> int:
        """Something new, which has no name yet. Its number."""
        number, self._count = self._count, self._count + 1
        if isinstance(content, str):
            self._links[number] = content
        for image in (self._safe, self._live):
            if content is None:
                image.names[number] = {}
            elif isinstance(content, bytes):
                image.contents[number] = content
        return number

    def _split(self, path: str) -> tuple[int, str]:
        """The number of the folder of a path, and its name there."""
        folder, _, name = path.rpartition("/")
        number = _found(self._live, folder)
        assert number is not None, path
        return number, name

    def _tree(self, image: Image, part: str = "") -> Tree:
        tree: Tree = {}

        def visit(path: str, number: int) -> None:
            if number in self._links:
                tree[path] = self._links[number]
            elif number in image.contents:
                tree[path] = image.contents[number]
            else:
                tree[path] = None
                for name, child in sorted(image.names[number].items()):
                    visit(f"{path}/{name}" if path else name, child)

        root = _found(image, part)
        if root is not None:
            visit("", root)
        return tree


def _found(image: Image, path: str) -> int | None:
    """The number of what has a path."""
    number: int | None = 0
    for name in path.split("/") if path else ():
        number = None if number is None else image.names[number].get(name)
    return number


def _touched(change: Pending) -> set[int]:
    """The file, or the folders, that a change is about."""
    if isinstance(change, Filled):
        return {change.file}
    return {folder for folder, _, _ in change.names}


def _torn(change: Filled, before: bytes, chance: random.Random) -> bytes:
    """Some sectors of it, the others as they were."""
    content = bytearray(change.content)
    first = change.at // SECTOR * SECTOR
    for start in range(first, change.at + len(content), SECTOR):
        if chance.random() < 0.5:
            begin, end = max(start, change.at), min(start + SECTOR, change.at + len(content))
            content[begin - change.at : end - change.at] = before[begin:end]
    return bytes(content)
