"""What a user installs: the wheel holds the whole product and nothing else, and runs."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.laws.sources import ROOMS, ROOT, name_of, room_files
from wire.version import VERSION

PIP: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built here without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    build: list[str | Path] = [
        *PIP,
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        folder,
        ROOT,
    ]
    subprocess.run(build, check=True, timeout=100)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_has_the_version_of_the_front_door(wheel: Path) -> None:
    assert wheel.name == f"vedette-{VERSION}-py3-none-any.whl"


def test_holds_every_module(names: set[str]) -> None:
    assert {name_of(path) for path in room_files()} - names == set()


def test_holds_the_types_and_the_page(names: set[str]) -> None:
    rooms = [room for room in ROOMS if (ROOT / room).joinpath("__init__.py").exists()]
    assert {f"{room}/py.typed" for room in rooms} - names == set()
    pages = [name_of(page) for page in (ROOT / "runtime").rglob("*.html")]
    assert set(pages) - names == set()


def test_holds_the_models_that_the_demo_needs(names: set[str]) -> None:
    zoo = [name_of(path) for path in (ROOT / "models" / "zoo").rglob("*") if path.is_file()]
    zoo = [name for name in zoo if "__pycache__" not in name]
    for variant in ("digits/tflite", "digits/onnx", "digits-detect/tflite", "digits-detect/onnx"):
        assert f"models/zoo/{variant}/manifest.toml" in zoo
    assert set(zoo) - names == set()


def test_holds_nothing_else(names: set[str]) -> None:
    metadata = f"vedette-{VERSION}.dist-info"
    units = f"vedette-{VERSION}.data/data/share/vedette/systemd/"
    tops = {name.split("/")[0] for name in names if not name.startswith(units)}
    assert tops <= {*ROOMS, "vedette.py", metadata}
    assert f"{units}vedette-agent.service" in names
    assert {name for name in names if "__pycache__" in name or name.endswith(".pyc")} == set()
    assert {f"{metadata}/entry_points.txt", f"{metadata}/licenses/LICENSE"} <= names


@pytest.mark.slow
def test_runs_where_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    """In an environment and a folder of its own, the command finds its rooms and its models."""
    venv.create(tmp_path / "home", with_pip=False, symlinks=True)
    python = tmp_path / "home" / "bin" / "python"
    install: list[str | Path] = [
        *PIP,
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
        wheel,
    ]
    subprocess.run(install, check=True, timeout=100)
    command = python.with_name("vedette")
    told = subprocess.run([command, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert (told.returncode, told.stderr) == (0, "")
    assert "usage: vedette" in told.stdout
    # its dependencies are lent by this environment's folder: the network is not for tests
    lent = {"PYTHONPATH": str(Path(pytest.__file__).parents[1]), "PATH": "/usr/bin:/bin"}
    found = subprocess.run(
        [python, "-c", "import runtime.frames as f; print(f.__file__)"],
        cwd=tmp_path,
        env=lent,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).is_relative_to(tmp_path / "home")
