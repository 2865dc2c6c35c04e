"""A database of each kind, and a registry in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.registry.registry import Registry, open_registry
from tests.postgresql import Postgresql
from tests.registries import Open

_numbers = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[Postgresql]:
    with Postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a new database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/registry.db"
    server: Postgresql = request.getfixturevalue("server")
    return server.fresh(f"fleet_{next(_numbers)}")


@pytest.fixture
def again(url: str) -> Iterator[Open]:
    """Opens the same registry, each time anew."""
    opened: list[Registry] = []

    def reopen() -> Registry:
        opened.append(open_registry(url))
        return opened[-1]

    yield reopen
    for each in opened:
        each.close()


@pytest.fixture
def registry(again: Open) -> Registry:
    return again()
