"""What is wrong in a TOML file, said with file, line, key and a hint. One sentence per trouble."""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec
from msgspec import inspect

from wire.names import NAME_PATTERN
from wire.toml_lines import KeyPath, lines_of
from wire.troubles import Refused

VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"
FLAT_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z"

PATTERNS_IN_WORDS = {
    NAME_PATTERN: "1 to 64 letters, digits, '_' and '-'",
    VERSION_PATTERN: "1 to 64 letters, digits, '.', '_' and '-', a letter or digit first",
    FLAT_NAME_PATTERN: "the plain name of a file beside the manifest: letters, digits, '.', '_' "
    "and '-', a letter or digit first, at most 128",
}
_KINDS: dict[type, str] = {
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.StrType: "a text",
    inspect.VarTupleType: "an array",
}
_LONGEST = 200  # characters of somebody else's text that are repeated


def refusal(where: str, text: str, path: KeyPath, what: str) -> Refused:
    """The trouble with the key at `path` of the file `where`, whose content is `text`."""
    line = _line(text, path)
    return Refused(f"{where}{f':{line}' if line else ''}: {spelled(path)}: {what}")


def syntax_refusal(where: str, error: Exception) -> Refused:
    """The trouble with a file that is not TOML at all."""
    if isinstance(error, RecursionError):
        return Refused(f"{where}: not a sensible TOML file: nested too deeply")
    what, place = str(error), ""
    found = re.search(r" \(at line (\d+), column (\d+)\)$", what)
    if found:
        what, place = what[: found.start()], f":{found[1]}"
    return Refused(f"{where}{place}: not valid TOML: {shortened(what)}")


def schema_refusal(
    where: str, text: str, tables: dict[str, Any], schema: type, error: msgspec.ValidationError
) -> Refused:
    """The trouble that msgspec found, with the line and the hint that it cannot give."""
    what, _, place = str(error).rpartition(" - at `$")
    if not what:
        what, place = str(error), ""
    path = _path(place.removesuffix("`"))
    if found := re.match(r"Object contains unknown field `", what):
        key = _unknown_key(tables, path, schema) or what[found.end() :].rstrip("`")
        known = _keys(schema, path)
        return refusal(where, text, (*path, key), f"there is no such key here; {_near(key, known)}")
    if found := re.fullmatch(r"Object missing required field `(.*)`", what):
        return refusal(
            where, text, (*path, found[1]), f"missing; {_wanted(schema, path, found[1])}"
        )
    if found := re.fullmatch(r"Invalid enum value (.*)", what, re.DOTALL):
        allowed = [str(value) for value in _allowed(schema, path)]
        hint = _near(found[1].strip("'"), allowed)
        return refusal(where, text, path, f"{shortened(found[1])} is not possible; {hint}")
    for pattern, words in PATTERNS_IN_WORDS.items():
        if repr(pattern) in what:
            return refusal(where, text, path, f"expected {words}")
    return refusal(where, text, path, shortened(_plain(what)))


def spelled(path: KeyPath) -> str:
    """A key path as people write it: `golden[1].picture`."""
    words = ""
    for part in path:
        if isinstance(part, int):
            words += f"[{part}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", part)
            words += ("." if words else "") + (part if bare else repr(part))
    return shortened(words) or "the whole file"


def shortened(words: str) -> str:
    """Somebody else's words on one line, with nothing that a terminal would act on."""
    clean = "".join(c if c.isprintable() else "?" for c in words)
    return clean if len(clean) <= _LONGEST else clean[:_LONGEST] + "..."


def _line(text: str, path: KeyPath) -> int | None:
    """The line of a key; where it is missing, of the nearest table around it."""
    lines = lines_of(text)
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def _path(place: str) -> KeyPath:
    """`.golden[1].picture` -> ("golden", 1, "picture")."""
    parts: list[str | int] = []
    for key, index in re.findall(r"\.([^.\[]+)|\[(\d+)\]", place):
        parts.append(int(index) if index else key)
    return tuple(parts)


def _at(schema: type, path: KeyPath) -> inspect.Type:
    """What the schema says about the value at `path`, or about the last part that it knows."""
    here = inspect.type_info(schema)
    for part in path:
        if isinstance(part, int) and isinstance(here, inspect.VarTupleType):
            here = here.item_type
        elif isinstance(here, inspect.StructType):
            here = next((f.type for f in here.fields if f.name == part), here)
        if isinstance(here, inspect.UnionType):
            here = next(t for t in here.types if not isinstance(t, inspect.NoneType))
    return here


def _keys(schema: type, path: KeyPath) -> list[str]:
    here = _at(schema, path)
    return [f.name for f in here.fields] if isinstance(here, inspect.StructType) else []


def _allowed(schema: type, path: KeyPath) -> tuple[object, ...]:
    here = _at(schema, path)
    return tuple(here.values) if isinstance(here, inspect.LiteralType) else ()


def _unknown_key(tables: dict[str, Any], path: KeyPath, schema: type) -> str | None:
    """The unknown key as it is in the file: a message cannot be trusted with every name."""
    here: Any = tables
    for part in path:
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            return None
    known = _keys(schema, path)
    return next((key for key in here if key not in known), None) if isinstance(here, dict) else None


def _wanted(schema: type, path: KeyPath, key: str) -> str:
    kind = _at(schema, (*path, key))
    if isinstance(kind, inspect.LiteralType):
        return f"one of {', '.join(str(value) for value in kind.values)}"
    if isinstance(kind, inspect.StrType) and kind.pattern in PATTERNS_IN_WORDS:
        return PATTERNS_IN_WORDS[kind.pattern]
    if isinstance(kind, inspect.StructType):
        return f"a table [{spelled((*path, key))}]"
    return f"it takes {_KINDS.get(type(kind), 'a value')}"


def _near(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}possible: {', '.join(known)}"


def _plain(what: str) -> str:
    """msgspec's words, in TOML's terms."""
    words = what.replace("`int`", "whole number").replace("`str`", "text").replace(" | null", "")
    words = words.replace("`object`", "table").replace("`", "").replace("Expected ", "expected ")
    return words.replace("Number out of range", "out of range")
