"""Every test that docs/reliability.md names for a promise is there."""

from __future__ import annotations

import re

from tests.laws.sources import ROOT

PAGE = ROOT / "docs" / "reliability.md"
NAME = re.compile(r"(?:\b([a-z]+)/)?\b(test_[a-z_]+)\b")


def missing(text: str) -> list[str]:
    """Files that are named and not there: `story/test_x`, and `test_y` in the folder named last."""
    found, folder = [], ""
    for named_folder, name in NAME.findall(text):
        folder = named_folder or folder
        if not (ROOT / "tests" / folder / f"{name}.py").is_file():
            found.append(f"{folder}/{name}")
    return found


def test_what_holds_a_promise_is_there() -> None:
    assert missing(PAGE.read_text()) == []


def test_the_law_can_fail() -> None:
    assert missing("story/test_faults, test_clocks, unit/test_pulse") == []
    assert missing("story/test_faults, test_nothing, power/test_faults") == [
        "story/test_nothing",
        "power/test_faults",
    ]
