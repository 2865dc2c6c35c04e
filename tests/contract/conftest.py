"""A registry on each kind of database."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.registry.registry import Registry, open_registry
from tests.postgresql import Postgresql


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    with Postgresql() as server:
        yield server


_numbers = itertools.count()


@pytest.fixture(params=["sqlite", "postgresql"])
def again(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Registry]]:
    """Opens the same registry, each time anew."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/registry.db"
    else:
        server: Postgresql = request.getfixturevalue("server")
        url = server.fresh(f"registry_{next(_numbers)}")
    opened: list[Registry] = []

    def reopen() -> Registry:
        opened.append(open_registry(url))
        return opened[-1]

    yield reopen
    for each in opened:
        each.close()


@pytest.fixture
def registry(again: Callable[[], Registry]) -> Registry:
    return again()
