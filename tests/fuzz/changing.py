"""Changes of an input, by its bytes and by its form: the same numbers make the same input.

A change is three numbers, so that a search can draw them, and shrink them to the few that matter.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import tomli_w

from tests.fuzz.door import Form

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Change = tuple[int, int, int]  # which kind, where, with what
MOST_NUMBER = 2**32
MOST_CHANGES = 6

# stand for what no JSON writer would write; put in afterwards
_MARKS = {
    b'"@deep@"': b"[" * 4000 + b"]" * 4000,
    b'"@objects@"': b'{"a":' * 2000 + b"0" + b"}" * 2000,
    b'"@large@"': b"1e999",
    b'"@whole@"': b"9" * 5000,
    b'"@surrogate@"': b'"\\ud800"',
    b'"@bytes@"': b'"\xff\xfe"',
    b'"@nan@"': b"NaN",
}
_STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 10**30,
    0.0, -0.0, 0.5, 1e-300, 1e300, -1e300, "", "0", "a" * 300, "a" * 20_000, "/", "..", "../x",
    "\x00", "\x1b[2J\x1b]0;x\x07", "\r\n", "\u202e\u0301", "[bold]{x}", "犬" * 70, "x" * 65,
    [], {}, [[]], [None], [0] * 600, {"": None}, {"a": {"a": {"a": {}}}}, "1e400", "NaN", b"\xff",
    *(mark[1:-1].decode() for mark in _MARKS),
)  # fmt: skip
_NUMBERS = (b"0", b"-1", b"255", b"256", b"65536", b"4294967296", b"18446744073709551616", b"1e9")
_BYTES = (0, 1, 9, 10, 13, 27, 0x22, 0x5C, 0x7F, 0x80, 0xC0, 0xED, 0xF4, 0xFE, 0xFF)


@dataclass(frozen=True)
class Stock:
    """What changes may be made of. others: inputs to take pieces of."""

    form: Form
    words: Sequence[bytes] = ()
    others: Sequence[bytes] = ()


def drawn(chance: random.Random) -> list[Change]:
    """Some changes by chance: mostly few."""
    count = min(MOST_CHANGES, 1 + int(chance.expovariate(0.8)))
    return [
        (
            chance.randrange(MOST_NUMBER),
            chance.randrange(MOST_NUMBER),
            chance.randrange(MOST_NUMBER),
        )
        for _ in range(count)
    ]


def changed(content: bytes, changes: Sequence[Change], stock: Stock) -> bytes:
    """The input with these changes, one after the other."""
    for kind, place, value in changes:
        if stock.form != "bytes" and kind % 2:
            content = _in_form(content, place, value, stock.form)
        else:
            content = _in_bytes(content, (kind // 2, place, value), stock)
    return content


def _in_bytes(content: bytes, change: Change, stock: Stock) -> bytes:
    kind, place, value = change
    at = place % (len(content) + 1)
    end = min(len(content), at + 1 + value % 64)
    piece = content[at:end]
    left, right, behind = content[:at], content[at:], content[end:]
    match kind % 12:
        case 0:
            return left + bytes([right[0] ^ (1 << value % 8)]) + right[1:] if right else content
        case 1:
            return left + bytes([_BYTES[value % len(_BYTES)]]) + right[1:]
        case 2:
            return left + value.to_bytes(4, "little")[: 1 + value % 4] + right
        case 3:
            return left + behind
        case 4:
            return left + piece * (2 + value % 7) + behind
        case 5:
            return left if value % 4 else content[: at // 2]
        case 6:
            return _number(content, at, _NUMBERS[value % len(_NUMBERS)])
        case 7 if stock.words:
            return left + stock.words[value % len(stock.words)] + (behind if value % 2 else right)
        case 8 if stock.others:
            other = stock.others[value % len(stock.others)]
            return left + other[(value // 7) % (len(other) + 1) :]
        case 9:
            return left + (value.to_bytes(4, "big") * 4)[: (2, 4, 8)[value % 3]] + content[at + 4 :]
        case 10:
            return left + piece[::-1] + behind
        case 11:
            return left + bytes(value % 5000) + right
    return left + bytes([value % 256]) + right[1:]


def _number(content: bytes, at: int, number: bytes) -> bytes:
    """Another number in place of the next one in a text."""
    while at < len(content) and not content[at : at + 1].isdigit():
        at += 1
    end = at
    while end < len(content) and content[end : end + 1].isdigit():
        end += 1
    return content[:at] + number + content[end:]


def _in_form(content: bytes, place: int, value: int, form: Form) -> bytes:
    """One value somewhere in it is another one, gone, or there twice; as it was if it cannot be."""
    try:
        whole = _read(content, form)
        spots = list(_spots(whole))
        if not spots:
            return content
        holder, key = spots[place % len(spots)]
        _spoil(holder, key, value)
        return _written(whole, form)
    except (ValueError, TypeError, RecursionError, OverflowError, msgspec.MsgspecError):
        return content


def _spoil(holder: Any, key: Any, value: int) -> None:
    strange = _STRANGE[(value // 8) % len(_STRANGE)]
    match value % 8:
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[str(strange)[:200]] = holder[key]
        case 1 | 2 if isinstance(holder, list):
            holder.insert(key, holder[key])
        case 3 if isinstance(holder, list):
            holder *= 2 + (value // 8) % 40
        case 4:
            holder[key] = [holder[key]]
        case _:
            holder[key] = strange


def _spots(whole: Any) -> list[tuple[Any, Any]]:
    """Every place where a value stands: what holds it, and under which key."""
    found: list[tuple[Any, Any]] = []
    left = [whole]
    while left and len(found) < 5000:
        here = left.pop()
        if isinstance(here, dict | list):
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            for key in keys:
                found.append((here, key))
                left.append(here[key])
    return found


def _read(content: bytes, form: Form) -> Any:
    if form == "msgpack":
        return msgspec.msgpack.decode(content)
    if form == "toml":
        return tomllib.loads(content.decode())
    return json.loads(content)


def _written(whole: Any, form: Form) -> bytes:
    if form == "msgpack":
        return msgspec.msgpack.encode(whole)
    if form == "toml":
        return tomli_w.dumps(whole).encode()
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"), default=repr)
    content = text.encode("utf-8", "replace")
    for mark, meant in _MARKS.items():
        content = content.replace(mark, meant)
    return content
