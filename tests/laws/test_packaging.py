"""What the package says of itself: typed, versioned once, licensed; and scripts that explain."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.laws.sources import ROOMS, ROOT, name_of, scripts
from wire.version import VERSION

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PRESENT_ROOMS = [room for room in ROOMS if (ROOT / room / "__init__.py").exists()]


@pytest.mark.parametrize("room", PRESENT_ROOMS)
def test_every_room_is_typed_and_shipped(room: str) -> None:
    assert (ROOT / room / "py.typed").exists()
    assert room in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert room in PROJECT["tool"]["mypy"]["packages"]


def test_the_version_has_one_source() -> None:
    assert "version" not in PROJECT["project"]
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "wire/version.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


def test_the_licence_is_the_apache_licence() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert PROJECT["project"]["license"] == "Apache-2.0"


def test_every_declared_package_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {line.split("==")[0] for line in lines if "==" in line}
    extras = PROJECT["project"]["optional-dependencies"]
    asked = [*PROJECT["project"]["dependencies"], *extras["dev"], *extras["litert"]]
    asked += [*extras["onnx"], *extras["fuzz"], *extras["train"]]
    names = {re.split(r"[\[<>=; ]", one)[0].lower() for one in asked} - {"vedette"}
    assert names - pins == set(), "run scripts/pin"


@pytest.mark.parametrize("script", [*scripts(), ROOT / ".ci" / "run"], ids=name_of)
def test_every_script_explains_itself(script: Path) -> None:
    assert os.access(script, os.X_OK), f"chmod +x {name_of(script)}"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    told = subprocess.run(
        [script, "--help"],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert told.returncode == 0, told.stderr
    assert "usage:" in told.stdout.lower()
