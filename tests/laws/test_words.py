"""Words that say nothing are in no name."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.laws.sources import name_of, python_files, scripts, tree_of

EMPTY_WORDS = frozenset(("manager", "helper", "util", "base", "common", "data", "info"))


def words_of(name: str) -> set[str]:
    """The words of a name in any spelling, singular: `HTTPManager`, `get_utils`, `my-data`."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return {part.lower() for part in parts} | {part.lower().removesuffix("s") for part in parts}


def empty_names(path: str, tree: ast.Module) -> list[str]:
    """Modules, folders, classes and functions that are called by a word that says nothing."""
    names = [*path.removesuffix(".py").split("/")]
    names += [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [
        f"{path}: the name {name} says nothing: {', '.join(sorted(found))}"
        for name in names
        if (found := words_of(name) & EMPTY_WORDS)
    ]


@pytest.mark.parametrize("path", python_files(), ids=name_of)
def test_names_say_something(path: Path) -> None:
    assert empty_names(name_of(path), tree_of(path)) == []


def test_scripts_names_say_something() -> None:
    assert [p.name for p in scripts() if words_of(p.name) & EMPTY_WORDS] == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("runtime/utils.py", ""),
        ("runtime/common/x.py", ""),
        ("runtime/x.py", "class FrameManager: ..."),
        ("runtime/x.py", "class A:\n    def load_data(self): ..."),
        ("runtime/x.py", "def model_infos(): ..."),
        ("runtime/x.py", "async def _helper(): ..."),
    ],
)
def test_the_law_can_fail(path: str, code: str) -> None:
    assert empty_names(path, ast.parse(code))


def test_the_law_lets_good_names_pass() -> None:
    code = "class Database: ...\ndef baseline(): ...\ndef informed(): ...\ndef run_utility(): ..."
    assert empty_names("runtime/x.py", ast.parse(code)) == []
