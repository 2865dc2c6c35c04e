"""Records every call by which a process changes a folder, by strace: nothing gets past it.

Only one process, of any number of threads, may change the folder. What is in it before stays as it
is and counts as safe.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tests.power.calls import (
    Call,
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
    tree_of,
)

STRACE = shutil.which("strace")
MARK = "/vedette-mark/"
CALLS = (
    "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range,splice,"
    "fsync,fdatasync,sync,syncfs,sync_file_range,ftruncate,truncate,fallocate,lseek,close,dup,dup2,dup3,"
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,"
    "mmap,access,faccessat,faccessat2,chdir,fchdir"
)
LARGEST = 64 << 20
_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>)?(.*)")
_WORD = re.compile(r'"((?:\\x..)*)"')
_HANDLE = re.compile(r"(AT_FDCWD|-?\d+)<((?:\\x..)*)>(\(deleted\))?")
_RESULT = re.compile(r"\) += (-?\d+)(.*)$")


def mark(text: str) -> None:
    """Said by the process that is watched: from here on somebody else relies on this."""
    os.access(MARK + text, os.F_OK)


@dataclass(frozen=True)
class Recording:
    """start: what was there before."""

    start: Tree
    calls: list[Call]


def record(argv: Sequence[str], folder: Path, place: Path, timeout_s: float = 60.0) -> Recording:
    """Run a process to its end, and what it did below a folder. place: where the record lies."""
    assert STRACE is not None
    start = tree_of(folder)
    tape = Tape(folder.resolve(), start)
    log = place / "strace.log"
    command = [STRACE, "-f", "--seccomp-bpf", "-y", "-xx", "-s", str(LARGEST), "-o", str(log)]
    done = subprocess.run(
        [*command, "-e", f"trace={CALLS}", *argv],
        capture_output=True, timeout=timeout_s, stdin=subprocess.DEVNULL, text=True,
        cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    with open(log, encoding="ascii") as lines:
        return Recording(start, tape.read(lines))


class Tape:
    """Turns lines of strace into calls."""

    def __init__(self, folder: Path, start: Tree) -> None:
        self._folder = str(folder)
        self._calls: list[Call] = []
        self._begun: dict[str, tuple[str, int]] = {}  # by thread: half a line, calls before it
        self._files: dict[str, int] = {}  # by path: numbers of files and folders
        self._handles: dict[int, tuple[int, int]] = {}  # descriptor: file, place of the next write
        self._count = 0
        for path in start:
            self._number(path)

    def read(self, lines: Iterator[str]) -> list[Call]:
        for line in lines:
            found = _LINE.match(line.rstrip("\n"))
            if found is None:
                continue
            thread, resumed, text = found.groups()
            if text.endswith("<unfinished ...>"):
                self._begun[thread] = (text.removesuffix("<unfinished ...>"), len(self._calls))
                continue
            behind = len(self._calls)
            if resumed is not None:
                start, behind = self._begun.pop(thread)
                text = start + text
            self._take(text, behind)
        return self._calls

    def _take(self, text: str, behind: int) -> None:
        name, _, rest = text.partition("(")
        result = _RESULT.search(rest)
        if result is None:
            return
        code = int(result[1])
        words = [_plain(word) for word in _WORD.findall(rest)]
        if name in ("access", "faccessat", "faccessat2"):
            if words[0].startswith(MARK):
                self._calls.append(Marked(words[0].removeprefix(MARK)))
        elif code >= 0:
            self._took(name, rest, words, code, behind)

    def _took(self, name: str, rest: str, words: list[str], code: int, behind: int) -> None:
        handles = [(found[0], _plain(found[1]), found[2]) for found in _HANDLE.findall(rest)]
        if name in ("open", "openat", "creat"):
            self._opened(rest, code, handles[-1][1])
        elif name == "close":
            self._handles.pop(_descriptor(rest), None)
        elif name in ("dup", "dup2", "dup3"):
            if (held := self._handles.get(_descriptor(rest))) is not None:
                self._handles[code] = held
        elif name in ("write", "pwrite64", "ftruncate", "fsync", "fdatasync", "lseek"):
            self._used(name, rest, code, behind)
        elif name in ("rename", "renameat", "renameat2"):
            self._renamed(*self._paths(name, rest, words, handles))
        elif name in ("symlink", "symlinkat"):
            path = self._below(self._joined(words[1], handles, name == "symlinkat"))
            if path is not None:
                self._number(path)
                self._calls.append(Linked(path, words[0]))
        elif name in ("unlink", "unlinkat", "rmdir"):
            path = self._below(self._joined(words[0], handles, name == "unlinkat"))
            if path is not None:
                self._files.pop(path)
                self._calls.append(Removed(path))
        elif name in ("mkdir", "mkdirat"):
            path = self._below(self._joined(words[0], handles, name == "mkdirat"))
            if path is not None:
                self._calls.append(MadeFolder(path, self._number(path)))
        elif name == "mmap":
            is_shared = "MAP_SHARED" in rest and "PROT_WRITE" in rest
            assert not (is_shared and self._is_ours(handles)), f"not to be seen: {rest[:200]}"
        else:
            assert not self._is_ours(handles), f"not understood: {name}({rest[:200]}"

    def _opened(self, rest: str, code: int, real: str) -> None:
        path = self._below(real)
        if path is None:
            self._handles.pop(code, None)
            return
        flags = rest.split(", ")
        assert "O_TMPFILE" not in rest
        if path not in self._files:
            assert any("O_CREAT" in flag for flag in flags), rest[:200]
            self._calls.append(Made(path, self._number(path)))
        elif any("O_TRUNC" in flag for flag in flags):
            self._calls.append(Truncated(self._files[path], 0))
        self._handles[code] = (self._files[path], 0)
        if "O_APPEND" in rest:
            self._handles[code] = (self._files[path], -1)

    def _used(self, name: str, rest: str, code: int, behind: int) -> None:
        descriptor = _descriptor(rest)
        if descriptor not in self._handles:
            return
        file, at = self._handles[descriptor]
        if name in ("fsync", "fdatasync"):
            self._calls.append(Synced(file, behind))
        elif name == "ftruncate":
            size = re.search(r", (\d+) *\) +=", rest)
            assert size is not None
            self._calls.append(Truncated(file, int(size[1])))
        elif name == "lseek":
            self._handles[descriptor] = (file, code)
        else:
            found = _WORD.search(rest)
            assert found is not None, rest[:200]
            content = bytes.fromhex(found[1].replace("\\x", ""))[:code]
            if name == "pwrite64":
                place = re.search(r", (\d+) *\) +=", rest)
                assert place is not None
                at = int(place[1])
            else:
                assert at >= 0, "appending is not understood"
                self._handles[descriptor] = (file, at + code)
            self._calls.append(Wrote(file, at, content))

    def _renamed(self, source: str | None, target: str | None) -> None:
        if source is None and target is None:
            return
        assert source is not None and target is not None, "a rename across the border"
        self._files.pop(target, None)
        for path in [p for p in self._files if p == source or p.startswith(f"{source}/")]:
            self._files[target + path[len(source) :]] = self._files.pop(path)
        self._calls.append(Renamed(source, target))

    def _paths(
        self, name: str, rest: str, words: list[str], handles: list[tuple[str, str, str]]
    ) -> tuple[str | None, str | None]:
        if name == "rename":
            return self._below(words[0]), self._below(words[1])
        places = [handle[1] for handle in handles]
        return self._below(_join(places[0], words[0])), self._below(_join(places[1], words[1]))

    def _joined(self, path: str, handles: list[tuple[str, str, str]], is_at: bool) -> str:
        return _join(handles[0][1], path) if is_at else path

    def _below(self, path: str) -> str | None:
        """Relative to the folder; None: it is elsewhere."""
        assert not path.startswith(".") and path[:1] == "/", f"a relative path: {path}"
        if path == self._folder:
            return ""
        return (
            path.removeprefix(f"{self._folder}/") if path.startswith(f"{self._folder}/") else None
        )

    def _is_ours(self, handles: list[tuple[str, str, str]]) -> bool:
        return any(self._below(path) is not None for _, path, _ in handles if path[:1] == "/")

    def _number(self, path: str) -> int:
        self._files[path] = self._count
        self._count += 1
        return self._files[path]


def _join(folder: str, path: str) -> str:
    return str(PurePosixPath(folder) / path)


def _plain(hexadecimal: str) -> str:
    return bytes.fromhex(hexadecimal.replace("\\x", "")).decode("utf-8", "surrogateescape")


def _descriptor(rest: str) -> int:
    found = re.match(r"-?\d+", rest)
    return -1 if found is None else int(found[0])
