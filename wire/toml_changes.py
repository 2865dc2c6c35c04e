"""Changes single keys of a TOML text that people write, and leaves all else, comments too."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wire.toml_lines import KeyPath, lines_of
from wire.troubles import Refused, Unavailable
from wire.typed_toml import tables_of

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

Value = str | bool | int | tuple[str, ...]
_HEADER = re.compile(r"\s*\[")


@dataclass(frozen=True)
class Change:
    """The key at `path` becomes `value`; None takes it away."""

    path: tuple[str, ...]
    value: Value | None


def changed(text: str, changes: Sequence[Change], where: str) -> str:
    """A valid TOML text with these changes. where: the file's name, for people.

    A key that is new takes the line of a comment that shows it (`# key = ...`), else it comes
    below the last key of its table. Raises Refused if what is on the way to a key is no table.
    """
    try:
        from tomlkit.exceptions import TOMLKitError
    except ImportError as error:
        raise Unavailable(f"cannot load tomlkit: {error}: pip install vedette") from None
    try:
        for change in changes:
            text = _changed(text, change, where)
    except (TOMLKitError, RecursionError) as error:
        raise Refused(f"{where}: cannot be changed by a program: {error}") from None
    return text


def _changed(text: str, change: Change, where: str) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    here: object = document
    for depth, name in enumerate(change.path[:-1]):
        if not isinstance(here, dict):
            raise Refused(f"{where}: {'.'.join(change.path[:depth])} is no table")
        if name not in here:
            return text if change.value is None else _with_table(text, change)
        here = here[name]
    if not isinstance(here, dict):
        raise Refused(f"{where}: {'.'.join(change.path[:-1])} is no table")
    name = change.path[-1]
    if change.value is None:
        if name not in here:
            return text
        del here[name]
    elif name in here:
        value = _plain(change.value)
        if here[name] == value:
            return text
        here[name] = value
    else:
        return _with_line(text, change) or _added(document, here, change)
    return document.as_string()


def _added(document: TOMLDocument, table: dict[str, object], change: Change) -> str:
    """For a table that has no header of its own."""
    table[change.path[-1]] = _plain(change.value) if change.value is not None else ""
    return document.as_string()


def _plain(value: Value) -> str | bool | int | list[str]:
    return list(value) if isinstance(value, tuple) else value


def _with_table(text: str, change: Change) -> str:
    header = ".".join(map(_key, change.path[:-1]))
    before = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{before}[{header}]\n{_pair(change)}\n"


def _with_line(text: str, change: Change) -> str | None:
    """The text with one more line; None where the table is not written as a header and its keys."""
    lines = text.split("\n")
    numbers = lines_of(text)
    headers = sorted(n for n in set(numbers.values()) if _HEADER.match(lines[n - 1]))
    table: KeyPath = change.path[:-1]
    if table:
        begin = numbers[table]
        deeper = any(n == begin and len(path) > len(table) for path, n in numbers.items())
        if begin not in headers or deeper:
            return None
    else:
        begin = 0
    end = next((n for n in headers if n > begin), len(lines) + 1) - 1
    shown = re.compile(rf"#\s*{re.escape(_key(change.path[-1]))}\s*=")
    for number in range(begin, end):
        if shown.match(lines[number]):
            lines[number] = _pair(change)
            break
    else:
        last = max((n for n in numbers.values() if begin < n <= end), default=begin)
        if last == begin and not table:
            last = next((n for n in range(end, 0, -1) if lines[n - 1].strip()), 0)
        elif last > begin and not _is_whole(lines[last - 1]):
            last = begin
        lines.insert(last, _pair(change))
    return "\n".join(lines)


def _is_whole(line: str) -> bool:
    """Whether a line is a key with all of its value, not the begin or the middle of one."""
    try:
        return bool(tables_of(line, ""))
    except Refused:
        return False


def _pair(change: Change) -> str:
    value = change.value
    if isinstance(value, tuple):
        written = f"[{', '.join(_quoted(word) for word in value)}]"
    elif isinstance(value, str):
        written = _quoted(value)
    else:
        written = str(value).lower()
    return f"{_key(change.path[-1])} = {written}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
