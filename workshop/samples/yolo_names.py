"""What Ultralytics' data.yaml says of a set of pictures, without a parser of all of YAML.

Known are `key: value` at the left edge, and below a key without value the indented lines, each
`- value` or `number: value`; lists and maps of one line, `[a, b]` and `{0: a, 1: b}`.
"""

from __future__ import annotations

import re
from pathlib import Path

from wire.troubles import Refused

KEY = re.compile(r"([A-Za-z_]\w*)\s*:(?:\s+(.*))?$")
ENTRY = re.compile(r"(?:-|(\d{1,6})\s*:)\s+(.*)$")
PAIR = re.compile(r"\s*(\d{1,6})\s*:\s*(.*)$")
MOST_BYTES = 1 << 20

Values = list[tuple[int | None, str]]
"""Of a key: each with its number, where it has one."""


def read_yaml(file: Path) -> dict[str, Values]:
    """The keys of a file with their values. Raises Refused with the line that is not understood,
    of a key that matters."""
    try:
        content = file.read_bytes()
        text = content[:MOST_BYTES].decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{file}: cannot be read: {error}") from None
    found: dict[str, Values] = {}
    below: Values = []
    for number, line in enumerate(text.splitlines(), 1):
        line = _uncommented(line).rstrip()
        key, entry = KEY.match(line), ENTRY.match(line.strip())
        if key is not None:
            below = found.setdefault(key[1], [])
            below += _values((key[2] or "").strip(), f"{file}:{number}")
        elif entry is not None:
            below.append((None if entry[1] is None else int(entry[1]), _unquoted(entry[2])))
    return found


def names_of(values: Values, where: str) -> tuple[str, ...]:
    """The classes, by number. Raises Refused where one is missing."""
    numbered = {place if n is None else n: name for place, (n, name) in enumerate(values)}
    if sorted(numbered) != list(range(len(values))):
        raise Refused(f"{where}: names must have the numbers 0 to {len(values) - 1}, each once")
    return tuple(numbered[place] for place in range(len(values)))


def _values(text: str, where: str) -> Values:
    if not text:
        return []
    if text[0] not in "[{":
        return [(None, _unquoted(text))]
    if text[-1] != {"[": "]", "{": "}"}[text[0]]:
        raise Refused(f"{where}: a list or map that goes on in the next line: write it in one")
    parts = [part for part in _parted(text[1:-1]) if part.strip()]
    if text[0] == "[":
        return [(None, _unquoted(part)) for part in parts]
    pairs = [PAIR.match(part) for part in parts]
    return [(int(pair[1]), _unquoted(pair[2])) for pair in pairs if pair is not None]


def _parted(text: str) -> list[str]:
    """Taken apart at the commas that are in no quotes."""
    return re.findall(r"""(?:[^,'"]|'[^']*'|"[^"]*")+""", text)


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1]
    return text


def _uncommented(line: str) -> str:
    """Without the comment, which a `#` begins that is in no quotes and follows a blank."""
    kept = re.match(r"""(?:[^#'"]|'[^']*'|"[^"]*"|(?<=\S)#|['"])*""", line)
    return kept[0] if kept else line
