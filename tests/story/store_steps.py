"""Do one thing to a store and die in the middle, once for every moment. Run by test_store_kill.

    python -m tests.story.store_steps START PLACE OPERATION ARGUMENT...

For k = 1, 2, ... START is copied to PLACE/k/killed and a child does the operation there; it ends
by SIGKILL at the call of the disk with the number (k + 1) / 2: before it for an odd k, after it for
an even one. It first writes beside what the worst power cut at that moment leaves: POSIX promises
only what was fsynced, contents by fsync of the file and names by fsync of the folder.

    PLACE/k/lost     nothing that was not fsynced is there
    PLACE/k/hollow   all names are there, and no content that was not fsynced (what ext4 may do)

Ends when a child came to its end, which is left in PLACE/end, with a power cut right after it.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.pipelines import Trial
from models.store import Store

TOUCHING = ("fsync", "rename", "replace", "symlink", "unlink", "mkdir", "rmdir")
OPEN = os.open
MOST_STEPS = 500


class Disk:
    """What is safe on disk below a root: contents of files and names in folders, by inode."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.contents: dict[int, bytes] = {}
        self.names: dict[int, dict[str, tuple[int, str | None]]] = {}
        self.held: list[int] = []  # keeps removed files open, so that no inode comes twice
        for folder, _, files in os.walk(root):
            self.sync(folder)
            for name in files:
                if not os.path.islink(os.path.join(folder, name)):
                    self.sync(os.path.join(folder, name))

    def sync(self, path: str) -> None:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            self.names[status.st_ino] = names_in(path)
        else:
            self.contents[status.st_ino] = Path(path).read_bytes()

    def hold(self, path: Any, folder: int | None = None) -> None:
        try:
            self.held.append(OPEN(path, os.O_PATH | os.O_NOFOLLOW, dir_fd=folder))
        except FileNotFoundError:
            return

    def cut(self, target: Path) -> None:
        for name, real in REAL.items():  # from here on nothing counts
            setattr(os, name, real)
        self._restore(os.stat(self.root).st_ino, target / "lost")
        self._hollow(self.root, target / "hollow")

    def _restore(self, inode: int, target: Path) -> None:
        target.mkdir(parents=True)
        for name, (child, link) in self.names.get(inode, {}).items():
            if link is not None:
                (target / name).symlink_to(link)
            elif child in self.names or child in FOLDERS:
                self._restore(child, target / name)
            else:
                (target / name).write_bytes(self.contents.get(child, b""))

    def _hollow(self, source: Path, target: Path) -> None:
        target.mkdir(parents=True)
        for name, (child, link) in names_in(str(source)).items():
            if link is not None:
                (target / name).symlink_to(link)
            elif (source / name).is_dir():
                self._hollow(source / name, target / name)
            else:
                (target / name).write_bytes(self.contents.get(child, b""))


REAL = {name: getattr(os, name) for name in TOUCHING}
FOLDERS: set[int] = set()  # made in this process, perhaps never synced


def names_in(folder: str) -> dict[str, tuple[int, str | None]]:
    found = {}
    for entry in os.scandir(folder):
        link = os.readlink(entry.path) if entry.is_symlink() else None
        found[entry.name] = (entry.inode(), link)
        if entry.is_dir(follow_symlinks=False):
            FOLDERS.add(entry.inode())
    return found


def die_at(last: int, disk: Disk, cuts: Path) -> None:
    """Replace the calls that touch a disk by ones that count, note, and end the process."""
    calls = 0

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls * 2 - 1 == last:
                end()
            if name in ("unlink", "rmdir"):
                disk.hold(args[0], options.get("dir_fd"))
            if name in ("rename", "replace"):
                disk.hold(args[1])
            try:
                done = real(*args, **options)
                if name == "fsync":
                    disk.sync(f"/proc/self/fd/{args[0]}")
                return done
            finally:  # a call that fails is a moment too
                if calls * 2 == last:
                    end()

        return call

    def end() -> None:
        disk.cut(cuts)
        os.kill(os.getpid(), signal.SIGKILL)

    for name, real in REAL.items():
        setattr(os, name, wrapped(name, real))


def operate(store: Store, operation: str, *words: str) -> None:
    if operation == "install":
        store.install(Path(words[0]))
    elif operation == "activate":
        store.activate("door", Trial(words[0], length_s=60, first_result_s=5))
    elif operation == "progress":
        store.progress("door", words[0], 7.5)
    elif operation == "mark_good":
        store.mark_good("door", words[0])
    elif operation == "rollback":
        store.rollback("door", words[0], "too slow")
    elif operation == "reject":
        store.reject("door", words[0], "wrong answers")
    elif operation == "forgive":
        store.forgive("door", words[0])
    elif operation == "collect":
        store.collect(int(words[0]))
    elif operation == "count_start":
        store.count_start("door")
    else:
        raise ValueError(operation)


def kill_at_every_step(start: Path, place: Path, operate: Callable[[Path], None]) -> int:
    """What a child that was not killed left with. operate: on the folder that it is given."""
    for step in range(1, MOST_STEPS):
        root = place / str(step) / "killed"
        shutil.copytree(start, root, symlinks=True)
        pid = os.fork()
        if pid == 0:
            disk = Disk(root)
            die_at(step, disk, root.parent)
            operate(root)
            disk.cut(root.parent)
            return 0
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code != -signal.SIGKILL:
            (place / str(step)).rename(place / "end")
            return code
    raise AssertionError("it never ends")


def main(start: Path, place: Path, words: list[str]) -> int:
    return kill_at_every_step(start, place, lambda root: operate(Store(root), *words))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
