"""What pyproject.toml needs beside the project itself, one a line: `python -m tests.system.needs
EXTRA...`. To be fetched by name: a wheel of the project that pip fetched once, it fetches no more.
"""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from tests.laws.sources import ROOT


def needed(*extras: str) -> list[str]:
    """The requirements, those of the extras included."""
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    optional = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for extra in extras for line in optional[extra])]
    return [line for line in lines if "python_version <" not in line]  # machines have 3.11


if __name__ == "__main__":
    print("\n".join(needed(*sys.argv[1:])))
