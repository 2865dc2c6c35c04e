"""A TOML text becomes a frozen struct, or a refusal that names file, line, key and a way out."""

from __future__ import annotations

import sys
from typing import Any, TypeVar

import msgspec

from wire.complaints import schema_refusal, syntax_refusal
from wire.troubles import Refused

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST = 64 * 1024  # bytes
LONGEST_LINE = 1000  # characters: a key of thousands of parts takes a TOML parser seconds

Schema = TypeVar("Schema", bound=msgspec.Struct)


def tables_of(text: str, where: str) -> dict[str, Any]:
    """The tables of a TOML text. where: the file's name, for people. Raises Refused."""
    _check_size(text, where)
    if text.startswith("\ufeff"):
        raise Refused(f"{where}:1: begins with a byte order mark: save it as UTF-8 without one")
    try:
        tables: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise syntax_refusal(where, error) from None
    return tables


def typed(tables: dict[str, Any], schema: type[Schema], text: str, where: str) -> Schema:
    """The tables of `text` as a `schema`. Raises Refused."""
    try:
        return msgspec.convert(tables, schema)
    except msgspec.ValidationError as error:
        raise schema_refusal(where, text, tables, schema, error) from None


def as_utf8(content: bytes, where: str) -> str:
    """The text of a file. Raises Refused with the line that is none."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Refused(f"{where}:{line}: not UTF-8 text") from None


def too_large(where: str) -> Refused:
    """The trouble with a file of more than LARGEST bytes."""
    return Refused(f"{where}: larger than {LARGEST // 1024} KiB: this is no such file")


def _check_size(text: str, where: str) -> None:
    if len(text) > LARGEST:
        raise too_large(where)
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONGEST_LINE:
            raise Refused(
                f"{where}:{number}: longer than {LONGEST_LINE} characters: break it up; an array "
                "may have one value a line"
            )
