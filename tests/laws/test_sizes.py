"""A file does one thing, says it in its first line and stays small; a function fits one screen."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.laws.sources import is_python, name_of, python_files, scripts, tree_of

FILE_LINES = 300
TEST_FILE_LINES = 500
FUNCTION_LINES = 50


def too_long(name: str, text: str) -> list[str]:
    limit = TEST_FILE_LINES if name.startswith("tests/") else FILE_LINES
    lines = text.count("\n")
    return [f"{name}: {lines} lines, {limit} are allowed: split it"] if lines > limit else []


def long_functions(name: str, tree: ast.Module) -> list[str]:
    functions = (
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return [
        f"{name}:{one.lineno}: {one.name} has {lines} lines, {FUNCTION_LINES} are allowed"
        for one in functions
        if (lines := (one.end_lineno or one.lineno) - one.lineno + 1) > FUNCTION_LINES
    ]


def silent_start(name: str, text: str) -> list[str]:
    """A file that does not say in its first line (its second, below a `#!`) what it does."""
    lines = text.splitlines()
    if not lines:
        return [] if name.endswith("__init__.py") else [f"{name}: empty"]
    first = lines[1 if lines[0].startswith("#!") else 0]
    said = first.lstrip('#"r ').rstrip('" ')
    quoted = first.startswith(('"""', 'r"""', "# "))
    if quoted and len(said) > 10:
        return []
    return [f"{name}: its first line must say what it does"]


@pytest.mark.parametrize("path", python_files(), ids=name_of)
def test_python_files_are_small_and_say_what_they_do(path: Path) -> None:
    name, text = name_of(path), path.read_text(encoding="utf-8")
    found = too_long(name, text) + long_functions(name, tree_of(path)) + silent_start(name, text)
    assert found == []


@pytest.mark.parametrize("path", [p for p in scripts() if not is_python(p)], ids=name_of)
def test_scripts_are_small_and_say_what_they_do(path: Path) -> None:
    name, text = name_of(path), path.read_text(encoding="utf-8")
    assert too_long(name, text) + silent_start(name, text) == []


def test_the_laws_can_fail() -> None:
    assert too_long("runtime/x.py", "x = 1\n" * 301)
    assert not too_long("runtime/x.py", "x = 1\n" * 300)
    assert too_long("tests/unit/test_x.py", "x = 1\n" * 501)
    assert not too_long("tests/unit/test_x.py", "x = 1\n" * 500)
    method = "class A:\n    async def f(self):\n" + "        x = 1\n" * 50
    assert long_functions("x.py", ast.parse(method))
    assert not long_functions("x.py", ast.parse("def f():\n" + "    x = 1\n" * 49))
    assert silent_start("x.py", "import os\n")
    assert silent_start("x.py", '"""\nLong after.\n"""\n')
    assert silent_start("x", "#!/bin/sh\nset -e\n")
    assert not silent_start("x", "#!/bin/sh\n# Says what it does.\n")
    assert not silent_start("x.py", '"""Says what it does."""\n')
