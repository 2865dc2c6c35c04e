"""What is wrong in a TOML file, said with file, line, key and a hint. One sentence per trouble."""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec
from msgspec import inspect

from wire.names import NAME_PATTERN, VERSION_PATTERN
from wire.toml_lines import KeyPath, lines_of
from wire.troubles import Refused

FLAT_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z"
FILE_PATTERN = r"^/[^\x00-\x1f\x7f]+\Z"
KEY_PATTERN = r"^[0-9a-f]{64}\Z"

PATTERNS_IN_WORDS = {
    NAME_PATTERN: "1 to 64 characters: letters a to z, digits, '_' and '-'",
    VERSION_PATTERN: "1 to 64 characters: letters a to z, digits, '.', '_' and '-', a letter or "
    "digit first",
    FLAT_NAME_PATTERN: "the plain name of a file beside the manifest: letters a to z, digits, "
    "'.', '_' and '-', a letter or digit first, at most 128 characters",
    FILE_PATTERN: "a file's whole path, from / on",
    KEY_PATTERN: "a public key: 64 hex digits, in small letters",
}
_KINDS: dict[type, str] = {
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.StrType: "a text",
    inspect.VarTupleType: "an array",
    inspect.BoolType: "true or false",
}
_TOML_WORDS = {
    "int": "whole number",
    "float": "number",
    "str": "text",
    "bool": "true or false",
    "object": "table",
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
    if what.startswith(("Cannot declare", "Cannot overwrite")):
        what += ": it is there twice, take one away or give it another name"
    return Refused(f"{where}{place}: not valid TOML: {shortened(what)}")


def schema_refusal(
    where: str, text: str, tables: dict[str, Any], schema: type, error: msgspec.ValidationError
) -> Refused:
    """The trouble that msgspec found, with the line and the hint that it cannot give."""
    what, _, place = str(error).rpartition(" - at `$")
    if not what:
        what, place = str(error), ""
    path = _path(place.removesuffix("`"), tables, schema, error)
    if found := re.match(r"Object contains unknown field `", what):
        key = _unknown_key(tables, path, schema) or what[found.end() :].rstrip("`")
        if path and key in _keys(schema, ()):
            hint = "it belongs above the first [table], or is a table of its own"
        else:
            hint = _near(key, _keys(schema, path))
        return refusal(where, text, (*path, key), f"there is no such key here; {hint}")
    if found := re.fullmatch(r"Object missing required field `(.*)`", what):
        wanted = _wanted(schema, path, found[1])
        if meant := _namesake(tables, path, found[1]):
            wanted = f"did you mean {spelled((*path[:-1], meant))}? Else {wanted}"
        return refusal(where, text, (*path, found[1]), f"missing; {wanted}")
    if found := re.fullmatch(r"Invalid enum value (.*)", what, re.DOTALL):
        allowed = [str(value) for value in _allowed(schema, path)]
        hint = _near(found[1].strip("'"), allowed)
        return refusal(where, text, path, f"{shortened(found[1])} is not possible; {hint}")
    for pattern, words in PATTERNS_IN_WORDS.items():
        if repr(pattern) in what:
            return refusal(where, text, path, f"expected {words}")
    return refusal(where, text, path, shortened(_plain(what)) + _possible(schema, path))


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


def _path(
    place: str, tables: dict[str, Any], schema: type, error: msgspec.ValidationError
) -> KeyPath:
    """`.golden[1].picture` -> ("golden", 1, "picture"). For a table that may hold any name msgspec
    writes `[...]`, as in `.pipeline[...].camera`: the name is looked for."""
    path: KeyPath = ()
    for key, index, anyone in re.findall(r"\.([^.\[]+)|\[(?:(\d+)|(\.\.\.))\]", place):
        if anyone:
            name = _member_at_fault(tables, path, schema, error)
            if name is None:
                return path
            path = (*path, name)
        else:
            path = (*path, int(index) if index else key)
    return path


def _member_at_fault(
    tables: dict[str, Any], path: KeyPath, schema: type, error: msgspec.ValidationError
) -> str | None:
    """The name in the table at `path` that gives this very error when it is there alone."""
    for name, member in _value_at(tables, path).items():
        try:
            msgspec.convert(_with_value(tables, path, {name: member}), schema)
        except msgspec.ValidationError as alone:
            if str(alone) == str(error):
                return str(name)
    return None


def _namesake(tables: dict[str, Any], path: KeyPath, key: str) -> str | None:
    """The table beside the one at `path` that has this key and nearly its name: who mistypes it in
    the header of a table within it makes another one."""
    if not path or not isinstance(beside := _value_at(tables, path[:-1]), dict):
        return None
    whole = [name for name, one in beside.items() if isinstance(one, dict) and key in one]
    return next(iter(difflib.get_close_matches(str(path[-1]), whole, n=1)), None)


def _value_at(tables: dict[str, Any], path: KeyPath) -> Any:
    here: Any = tables
    for part in path:
        here = here[part]
    return here


def _with_value(tables: Any, path: KeyPath, value: object) -> Any:
    """A copy with another value at `path`; a table before it that is an array stays as it is."""
    if not path:
        return value
    if not isinstance(tables, dict):
        return tables
    return {**tables, path[0]: _with_value(tables[path[0]], path[1:], value)}


def _at(schema: type, path: KeyPath) -> inspect.Type:
    """What the schema says about the value at `path`, or about the last part that it knows."""
    here = inspect.type_info(schema)
    for part in path:
        if isinstance(part, int) and isinstance(here, inspect.VarTupleType):
            here = here.item_type
        elif isinstance(here, inspect.DictType):
            here = here.value_type
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
    try:
        here = _value_at(tables, path)
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


def _possible(schema: type, path: KeyPath) -> str:
    """The numbers that may stand at `path`, as a hint; nothing where any may."""
    kind = _at(schema, path)
    if not isinstance(kind, inspect.IntType | inspect.FloatType):
        return ""
    words = {"above": kind.gt, "from": kind.ge, "below": kind.lt, "to": kind.le}
    limits = [f"{word} {limit:.12g}" for word, limit in words.items() if limit is not None]
    return f"; possible: {' '.join(limits)}" if limits else ""


def _near(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}possible: {', '.join(known)}"


def _plain(what: str) -> str:
    """msgspec's words, in TOML's terms."""
    words = what.replace(" | null", "")
    for theirs, ours in _TOML_WORDS.items():
        words = words.replace(f"`{theirs}`", ours)
    words = words.replace("`", "").replace("Expected ", "expected ")
    words = words.replace("Number out of range", "out of range")
    return re.sub(r"expected (text|array) of length ([<>]=) (\d+)", _length, words)


def _length(found: re.Match[str]) -> str:
    limit, unit = found[3], "values" if found[1] == "array" else "characters"
    if found[2] == "<=":
        return f"too long: at most {limit} {unit} are possible"
    if limit == "1":
        return f"empty: at least one {unit[:-1]} is needed, or leave the key out"
    return f"too short: at least {limit} {unit} are needed"
