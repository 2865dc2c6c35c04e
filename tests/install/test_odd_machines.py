"""scripts/install where things are not as one expects: it works, or says in one line why not."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from installing import release
from installing.machine import Machine
from installing.places import Places
from installing.progress import Progress
from installing.source import find

from tests.install.pretended import wheelhouse
from tests.install.systems import INSTALL, bare, install, tree

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("systemd-sysusers") is None,
        reason="needs root, and systemd's tools",
    ),
    pytest.mark.slow,
    pytest.mark.timeout(400),  # beside other work on a small machine
]

CAMERA = ("--camera", "v4l2:///dev/video0")
HOME = "opt/vedette"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheelhouse(tmp_path_factory.mktemp("box") / "a house [old]", "1.0.0")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, house: Path) -> Path:
    """A system in a path that shells would take for two."""
    root = bare(tmp_path_factory.mktemp("box") / "my image")
    done = install(root, "--offline", house, *CAMERA)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def root(installed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(installed, tmp_path / "my image", symlinks=True))


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_a_path_with_spaces(installed: Path) -> None:
    words = ["grep", "-rlF", str(installed), str(installed / "opt"), str(installed / "etc")]
    assert subprocess.run(words, capture_output=True, text=True, check=False).stdout == ""


def test_nothing_of_where_it_is_called_from_is_run(root: Path, tmp_path: Path, house: Path) -> None:
    """As root, in somebody's folder: `python -m venv` there would be a program of theirs."""
    place = tmp_path / "theirs"
    place.mkdir()
    for name in ("venv", "compileall", "json", "encodings", "pip"):
        (place / f"{name}.py").write_text("raise SystemExit('theirs was run')")
    said = {"PYTHONPATH": str(place), "PYTHONHOME": str(place), "PIP_USER": "1", "LC_ALL": "C"}
    shutil.rmtree(root / HOME)
    done = install(root, "--offline", house, cwd=place, **said)
    assert done.returncode == 0, done.stderr


def test_what_fails_leaves_no_half_release(root: Path, tmp_path: Path, house: Path) -> None:
    other = wheelhouse(tmp_path / "other", "1.1.0")
    (wheel,) = other.glob("vedette-*.whl")
    wheel.write_bytes(wheel.read_bytes()[:-200])  # a copy that was cut off
    before = tree(root)
    done = install(root, "--offline", other, "--upgrade", "--json")
    assert done.returncode == 1
    assert "pip" in json.loads(done.stdout)["trouble"] or "failed" in last_line(done)
    assert tree(root) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_interrupted_leaves_none_either(
    tmp_path: Path, house: Path, number: signal.Signals
) -> None:
    root = bare(tmp_path / "root")
    words = [str(word) for word in (INSTALL, "--root", root, "--offline", house, "--json")]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    releases = root / HOME / "releases"
    end_s = time.monotonic() + 60
    while not any(releases.glob("*/pins")) and time.monotonic() < end_s:
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in err
    assert json.loads(out)["trouble"].startswith("interrupted")
    assert list(releases.iterdir()) == []


def test_what_the_system_refuses_is_one_line(tmp_path: Path, house: Path) -> None:
    root = bare(tmp_path / "root")
    (root / "opt").rmdir()
    (root / "opt").write_text("")
    done = install(root, "--offline", house, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["trouble"] in last_line(done)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (f"{HOME}/pyvenv.cfg", "an environment made by hand"),
        (f"{HOME}/pyproject.toml", "a checkout"),
        ("usr/local/bin/vedette", "not of this installer"),
    ],
)
def test_what_others_made_is_not_replaced(
    tmp_path: Path, house: Path, place: str, said: str
) -> None:
    root = bare(tmp_path / "root")
    (root / place).parent.mkdir(exist_ok=True)
    (root / place).write_text("theirs")
    before = tree(root)
    done = install(root, "--offline", house)
    assert done.returncode == 1 and said in last_line(done)
    assert tree(root) == before


def test_a_person_of_that_name_stays(tmp_path: Path, house: Path) -> None:
    root = bare(tmp_path / "root")
    person = "vedette:x:1000:1000:Vedette Smith:/home/vedette:/bin/bash"
    with open(root / "etc/passwd", "a") as users, open(root / "etc/group", "a") as groups:
        users.write(person + "\n")
        groups.write("vedette:x:1000:\n")
    done = install(root, "--offline", house)
    assert done.returncode == 0, done.stderr
    assert "the user vedette was there before" in done.stdout
    assert install(root, "--uninstall", "--purge").returncode == 0
    assert person in (root / "etc/passwd").read_text()
    assert "vedette:x:1000:" in (root / "etc/group").read_text()


def test_state_and_programs_on_another_disk(root: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    shutil.move(root / HOME, disk / "vedette-programs")
    os.symlink(disk / "vedette-programs", root / HOME)
    (disk / "state.db").write_text("records")
    os.symlink(disk, root / "var/lib/vedette")
    done = install(root, "--uninstall", "--purge")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in disk.iterdir()] == ["state.db"]  # it is not named for us
    assert f"note: {disk}, which {root}/var/lib/vedette was a link to, stays" in done.stdout
    assert not (root / HOME).is_symlink() and not (root / "var/lib/vedette").is_symlink()


def test_a_server_is_not_taken_its_programs(root: Path) -> None:
    unit = root / "etc/systemd/system/vedette-depot.service"
    unit.write_text("[Service]\n")
    own = root / "etc/systemd/system/vedette-depot.service.d/own.conf"
    own.parent.mkdir()
    own.write_text("[Service]\n")
    before = tree(root)
    done = install(root, "--uninstall", "--purge")
    assert done.returncode == 1 and "vedette-depot.service runs from" in last_line(done)
    assert tree(root) == before
    unit.unlink()
    assert install(root, "--uninstall", "--purge").returncode == 0
    assert own.exists()


def test_half_files_of_a_power_cut_go_with_the_rest(root: Path, tmp_path: Path) -> None:
    for place in ("etc/systemd/system/.vedette-agent.service.new",
                  "usr/lib/sysusers.d/.vedette.conf.new"):  # fmt: skip
        (root / place).write_text("[Uni")
    assert install(root, "--uninstall", "--purge").returncode == 0
    never = tree(bare(tmp_path / "never"))
    assert [name for name in tree(root) if name not in never] == []


def test_what_else_is_asked_for_is_done_after_an_upgrade(root: Path, tmp_path: Path) -> None:
    other = wheelhouse(tmp_path / "other", "1.1.0")
    done = install(root, "--offline", other, "--upgrade", "--watchdog")
    assert done.returncode == 0, done.stderr
    assert (root / "etc/systemd/system.conf.d/vedette-watchdog.conf").is_file()


@pytest.mark.parametrize(
    "words",
    [
        ["--uninstall", "--camera", "synthetic://"],
        ["--back", "--camera", "synthetic://"],
        ["--model", "digits"],
        ["--enroll", __file__, "--broker", "mqtt://x"],
    ],
)
def test_a_request_of_which_a_part_would_be_forgotten(tmp_path: Path, words: list[str]) -> None:
    root = bare(tmp_path / "root")
    done = install(root, *words)
    assert done.returncode == 2
    assert all(word in last_line(done) for word in words if word in ("--back", "--uninstall"))
    assert not (root / HOME).exists()


def test_packages_of_the_vendor_are_seen_and_none_is_leant_on(
    tmp_path: Path, installed: Path, house: Path
) -> None:
    """Raspberry Pi OS has a numpy that picamera2 was made for. What a release needs is its own even
    if the system has the same version: the next upgrade of the system would change that one."""
    found = _of_the_system()
    if found is None:
        pytest.skip("this system's Python has no package")
    name, version = found
    own = Path(shutil.copytree(house, tmp_path / "house"))
    _add_dependency(own, name, version)
    places = Places(bare(tmp_path / "root"))
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    machine = Machine("", True, "", "x86_64", python, ("picamera2",), 252)
    source = find(own)
    wanted = release.planned(source, machine, ("onnx",), places)
    release.make(places, wanted, source, Progress(1))
    folder = places.releases / wanted.name
    assert "include-system-site-packages = true" in (folder / "pyvenv.cfg").read_text()
    assert (folder / f"lib/python{python}/site-packages/{name}.py").is_file()


def _of_the_system() -> tuple[str, str] | None:
    """A package that an environment with the system's packages would see."""
    prefix = Path(os.path.realpath(sys.executable)).parent.parent
    places = [str(path) for path in prefix.glob("lib/python3*/*-packages")]
    found = ((one.name, one.version) for one in importlib.metadata.distributions(path=places))
    return next((pair for pair in found if pair[0].isidentifier()), None)


def _add_dependency(house: Path, name: str, version: str) -> None:
    """Make Vedette's wheel need another, which is there, too."""
    (ours,) = house.glob("vedette-*.whl")
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(house / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "OWN = True\n")
        said = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        wheel.writestr(f"{about}/METADATA", said)
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        wheel.writestr(f"{about}/RECORD", f"{name}.py,,\n")
    with zipfile.ZipFile(ours) as old:
        content = {item: old.read(item) for item in old.namelist()}
    with zipfile.ZipFile(ours, "w") as new:
        for item, read in content.items():
            need = f"Requires-Dist: {name}\n".encode() if item.endswith("/METADATA") else b""
            new.writestr(item, read + need)
