"""Who reads what others wrote catches all that msgspec may raise for it."""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec
import pytest

from tests.laws.sources import name_of, room_files, tree_of
from wire.unreadable import UNREADABLE

PARTS = {"msgspec.DecodeError", "msgspec.MsgspecError"}
ALL = ("UnicodeError", "RecursionError")


def careless(tree: ast.Module) -> list[int]:
    """Lines that catch what msgspec raises for bytes, and not all of it."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            words = {ast.unparse(one) for one in ast.walk(node.type) if isinstance(one, ast.expr)}
            if words & PARTS and not words.issuperset(ALL):
                found.append(node.lineno)
    return found


@pytest.mark.parametrize("path", room_files(), ids=name_of)
def test_all_of_it_is_caught(path: Path) -> None:
    if path.name != "unreadable.py":
        assert careless(tree_of(path)) == []


def test_the_law_can_fail() -> None:
    text = "try:\n    x()\nexcept (msgspec.DecodeError, UnicodeError):\n    pass\n"
    assert careless(ast.parse(text)) == [3]
    assert careless(ast.parse(text.replace("UnicodeError", ", ".join(ALL)))) == []


@pytest.mark.parametrize("content", [b'"\xff"', b"[" * 100_000, b"1e999", b"9" * 5000, b"", b"{"])
def test_what_msgspec_raises(content: bytes) -> None:
    for kind in (str, int, list[str]):
        with pytest.raises(UNREADABLE):
            msgspec.json.decode(content, type=kind)
    with pytest.raises(UNREADABLE):
        msgspec.msgpack.decode(b"\x91" * 100_000)
