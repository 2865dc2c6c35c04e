"""The states of an update: one table; code reaches each row in one place, and the docs show it."""

from __future__ import annotations

import ast
from collections import Counter

from tests.laws.sources import ROOT, room_files, tree_of
from wire.steps import NAMES, STEPS

PAGE = ROOT / "docs" / "reliability.md"
HEAD = (
    "| state | process, thread | on the disk for good | a start after a death there |",
    "|---|---|---|---|",
)


def reached_in(tree: ast.Module) -> list[str | None]:
    """The state of each call of `reached`; None: one that is not written out."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = [node for node in calls if ast.unparse(node.func).split(".")[-1] == "reached"]
    return [
        str(node.args[0].value) if node.args and isinstance(node.args[0], ast.Constant) else None
        for node in named
    ]


def table() -> str:
    rows = [f"| `{one.name}` | {one.who} | {one.durable} | {one.recovery} |" for one in STEPS]
    return "\n".join([*HEAD, *rows])


def test_every_state_is_reached_in_one_place() -> None:
    places = Counter(name for path in room_files() for name in reached_in(tree_of(path)))
    assert places == Counter(NAMES)


def test_no_state_is_there_twice() -> None:
    assert len(STEPS) == len(NAMES)


def test_the_docs_show_the_table() -> None:
    assert f"\n{table()}\n" in PAGE.read_text(encoding="utf-8"), table()


def test_the_law_can_fail() -> None:
    code = 'reached("a")\nsteps.reached("b", x)\nreached(name)\nreached()\nunreached("c")\n'
    assert reached_in(ast.parse(code)) == ["a", "b", None, None]
