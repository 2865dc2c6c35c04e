"""The table of attacks in docs/security.md is the one that tests are named in, and these exist."""

from __future__ import annotations

import ast
from collections.abc import Collection

import pytest

from tests.attacks.table import ATTACKS, Attack, as_markdown
from tests.laws.sources import ROOT, tree_of

SECURITY = ROOT / "docs" / "security.md"


def missing_tests(attack: Attack) -> list[str]:
    """Tests that are named for an attack, and are not there."""
    found = []
    for test in attack.tests:
        file, _, name = test.partition("::")
        path = ROOT / "tests" / file
        tree = tree_of(path) if path.is_file() else ast.Module([], [])
        if name not in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}:
            found.append(test)
    return found


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_every_attack_is_tried(attack: Attack) -> None:
    assert attack.tests and missing_tests(attack) == []


def test_what_tries_attacks_is_in_the_table() -> None:
    named = {test for attack in ATTACKS for test in attack.tests}
    assert untold(named) == []


def untold(named: Collection[str]) -> list[str]:
    """Files of attacks of which the table names no test."""
    files = {test.partition("::")[0] for test in named}
    there = sorted((ROOT / "tests" / "attacks").glob("test_*.py"))
    return [path.name for path in there if f"attacks/{path.name}" not in files]


def test_the_documentation_shows_this_table() -> None:
    section = SECURITY.read_text().partition("\n## Attacks\n")[2].partition("\n## ")[0]
    table = "".join(line for line in section.splitlines(keepends=True) if line.startswith("|"))
    assert table == as_markdown(), "docs/security.md: python -m tests.attacks.table"


def test_the_law_can_fail() -> None:
    tests = ("unit/test_x.py::test_y", "attacks/test_metadata.py::test_of_nothing")
    assert missing_tests(Attack("a", "b", tests)) == list(tests)
    assert "test_metadata.py" in untold(())
