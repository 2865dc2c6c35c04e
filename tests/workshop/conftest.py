"""These tests need the extra `workshop`; where it is not installed they are left out as a whole."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

HERE = "tests/workshop"

collect_ignore_glob = [] if find_spec("tensorflow") and find_spec("torch") else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Frameworks take long, and warn of what is not ours to mend."""
    for item in items:
        if HERE in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(600))
            item.add_marker(pytest.mark.filterwarnings("default"))
