"""Where each key of a TOML text stands: parsers forget the lines that an error should name."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KeyPath = tuple[str | int, ...]

# strings first, so that nothing inside them is taken for structure; a multi-line string may end
# with two more quotes of its own
_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\''
    r"|\#[^\n]*|\n|[ \t\r]+|[\[\]{}=,.]|[^\s\[\]{}=,.\"'\#]+",
    re.DOTALL,
)
_END = "end of text"


def lines_of(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of every key, table and array element in a text that a parser accepted.

    Paths are as in the parsed tables: `("golden", 1, "picture")`.
    """
    scan = _Scan(text)
    with contextlib.suppress(RecursionError):  # what was seen so far is still right
        scan.document()
    return scan.lines


class _Scan:
    """One walk over the tokens. It trusts that the text is valid TOML."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._arrays: dict[KeyPath, int] = {}  # arrays of tables: how many elements so far
        self._tokens = _tokens(text)
        self._next()

    def _next(self) -> None:
        self._here, self._line = next(self._tokens, (_END, 0))

    def _skip_lines(self) -> None:
        while self._here == "\n":
            self._next()

    def document(self) -> None:
        table: KeyPath = ()
        while self._here != _END:
            if self._here == "\n":
                self._next()
            elif self._here == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> KeyPath:
        line = self._line
        self._next()
        is_array = self._here == "["
        if is_array:
            self._next()
        parts = self._key()
        table: KeyPath = ()
        for part in parts[:-1]:
            table = self._inside((*table, part), line)
        table = (*table, parts[-1])
        if is_array:
            self.lines.setdefault(table, line)
            index = self._arrays.get(table, 0)
            self._arrays[table] = index + 1
            table = (*table, index)
        else:
            table = self._inside(table, line)
        self.lines[table] = line  # the header itself is better than a key that implied the table
        while self._here not in ("\n", _END):
            self._next()
        return table

    def _inside(self, table: KeyPath, line: int) -> KeyPath:
        """The table that a header means: in an array of tables, its last element."""
        self.lines.setdefault(table, line)
        return (*table, self._arrays[table] - 1) if table in self._arrays else table

    def _key(self) -> list[str]:
        parts = []
        while True:
            parts.append(_unquoted(self._here))
            self._next()
            if self._here != ".":
                return parts
            self._next()

    def _pair(self, table: KeyPath) -> None:
        line = self._line
        path = table
        for part in self._key():
            path = (*path, part)
            self.lines.setdefault(path, line)
        self._next()  # the equals sign
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        if self._here == "[":
            self._elements(path)
        elif self._here == "{":
            self._inline_table(path)
        else:
            while self._here not in (",", "]", "}", "\n", _END):
                self._next()

    def _elements(self, path: KeyPath) -> None:
        self._next()
        self._skip_lines()
        index = 0
        while self._here not in ("]", _END):
            element = (*path, index)
            self.lines[element] = self._line
            self._value(element)
            self._skip_lines()
            if self._here != "]":
                self._next()  # the comma
            self._skip_lines()
            index += 1
        self._next()

    def _inline_table(self, path: KeyPath) -> None:
        self._next()
        self._skip_lines()
        while self._here not in ("}", _END):
            self._pair(path)
            self._skip_lines()
            if self._here == ",":
                self._next()
            self._skip_lines()
        self._next()


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line = 1
    for found in _TOKEN.finditer(text):
        token = found.group()
        if token[0] not in " \t\r#":
            yield token, line
        line += token.count("\n")


def _unquoted(token: str) -> str:
    if token[:1] not in ('"', "'"):
        return token
    return str(tomllib.loads(f"key = {token}")["key"])
