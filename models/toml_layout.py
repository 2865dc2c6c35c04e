"""TOML arrays as people write them: short ones on one line, long ones in rows."""

from __future__ import annotations

import re

WIDTH = 80
# as tomli_w writes them: one element a line. An array in an array, of plain values; and what stands
# after a key, once those in it are on one line
_INNER = re.compile(r"(?m)^( +)\[\n((?:\1    [^\s\[{][^\n]*,\n)+)\1\](?=,$)")
_OUTER = re.compile(r"(?m)(?<= = )\[\n((?:    [^\s{][^\n]*,\n)+)\](?=$)")


def compact(text: str) -> str:
    """The same tables as tomli_w wrote them, with fewer lines."""
    return _OUTER.sub(_rows, _INNER.sub(_one_line, text))


def _one_line(array: re.Match[str]) -> str:
    line = f"{array[1]}[{', '.join(_elements(array[2]))}]"
    return line if len(line) <= WIDTH else array[0]


def _rows(array: re.Match[str]) -> str:
    elements = _elements(array[1])
    line = f"[{', '.join(elements)}]"
    if len(line) <= WIDTH:
        return line
    rows = [""]
    for element in elements:
        if rows[-1] and len(rows[-1]) + len(element) + 2 > WIDTH:
            rows.append("")
        rows[-1] += f" {element}," if rows[-1] else f"    {element},"
    return "\n".join(["[", *rows, "]"])


def _elements(lines: str) -> list[str]:
    return [line.strip().removesuffix(",") for line in lines.splitlines()]
