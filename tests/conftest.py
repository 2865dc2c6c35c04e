"""The order of the suite: quick and telling first; last, and alone, what measures."""

from __future__ import annotations

import codecs
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

ORDER = ("laws", "unit", "fuzz", "contract", "attacks", "power", "story", "system", "budget")
HERE = Path(__file__).parent

# a shell that has us in its background ignores Ctrl-C; what we start would inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# shared machines stall: an example's wall time says nothing about the code
hypothesis.settings.register_profile("shared", deadline=None)
hypothesis.settings.load_profile("shared")


@pytest.fixture
def nobody() -> Iterator[None]:
    """Not root, who may look and write everywhere."""
    codecs.lookup("ascii")  # Python's own files may be root's, and a failed lookup lasts
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if folder_of(item) == "budget":
            item.add_marker(pytest.mark.budget)
    items.sort(key=place)  # stable: within a folder the order stays


def folder_of(item: pytest.Item) -> str:
    return item.path.relative_to(HERE).parts[0]


def place(item: pytest.Item) -> int:
    folder = folder_of(item)
    return ORDER.index(folder) if folder in ORDER else len(ORDER) - 1
