"""The tests. A package, so that they can share code: `from tests.laws.sources import ...`."""
