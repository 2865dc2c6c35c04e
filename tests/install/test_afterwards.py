"""A release is there: its own installer enrolls, configures and checks, and needs nothing more."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.install.pretended import wheelhouse
from tests.install.systems import bare, install, tree

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("systemd-sysusers") is None,
        reason="needs root, and systemd's tools",
    ),
    pytest.mark.slow,
    pytest.mark.timeout(400),  # beside other work on a small machine
]

CAMERA = ("--camera", "v4l2:///dev/video77")
BAD = ("--camera", "synthetic://1x1")  # of a form that could be, and that this release refuses
ENABLED = "etc/systemd/system/multi-user.target.wants"
WHEN = "nothing was started: the services start when the image boots"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheelhouse(tmp_path_factory.mktemp("box") / "house", "1.0.0")


@pytest.fixture(scope="module")
def imaged(tmp_path_factory: pytest.TempPathFactory, house: Path) -> Path:
    """An image for many devices: of none of them."""
    root = bare(tmp_path_factory.mktemp("imaged") / "root")
    done = install(root, "--offline", house)
    assert done.returncode == 0, done.stderr
    assert "$ sudo" not in done.stdout
    assert "next: sudo /opt/vedette/installer/install --enroll NAME.vedette" in done.stdout
    return root


@pytest.fixture
def root(imaged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(imaged, tmp_path / "root", symlinks=True))


@pytest.fixture
def door(tmp_path: Path) -> Path:
    file = tmp_path / "door.vedette"
    file.write_text('{"device": "door"}')
    return file


def own(root: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """The installer that lies in the image."""
    return called(root / "opt/vedette/installer/install", "--root", root, *words)


def called(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=300, check=False,
        cwd="/", stdin=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
    )  # fmt: skip


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_a_device_of_an_image_is_enrolled_afterwards(root: Path, door: Path) -> None:
    release = tree(root / "opt/vedette/releases")
    done = own(root, "--enroll", door, *CAMERA, "--watchdog", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    # nothing of this machine, which has neither that camera nor, at that place, that key
    assert (said["pipelines"], said["started"], said["notes"]) == (["lane0"], False, [WHEN])
    assert (root / ENABLED / "vedette-runtime@lane0.service").is_symlink()
    assert (root / "etc/systemd/system.conf.d/vedette-watchdog.conf").is_file()
    assert 'key_file = "/etc/vedette/enrolled-1' in (root / "etc/vedette/vedette.toml").read_text()
    assert tree(root / "opt/vedette/releases") == release
    before = tree(root)
    done = own(root)
    assert done.returncode == 0 and f"note      {WHEN}" in done.stdout
    assert tree(root) == before


def test_what_is_missing_in_the_image_is_said(root: Path, door: Path) -> None:
    assert own(root, "--enroll", door, *CAMERA).returncode == 0
    (root / "etc/vedette/enrolled-1/device.pem").unlink()
    done = own(root, "--json")
    key = "/etc/vedette/enrolled-1/device.pem"
    notes = [f"broker.key_file: {key}: there is no such file", WHEN]
    assert json.loads(done.stdout)["notes"] == notes


def test_another_build_names_the_command_that_only_configures(root: Path, tmp_path: Path) -> None:
    other = wheelhouse(tmp_path / "other", "1.0.0", refuses="never asked")
    done = install(root, "--offline", other, *CAMERA)
    assert done.returncode == 2
    assert "is another build of the same version: --upgrade replaces it" in last_line(done)
    sudo, *command = shlex.split(last_line(done).split("`")[1])
    assert sudo == "sudo"
    done = called(*command, *CAMERA)
    assert done.returncode == 0, done.stderr
    assert (root / ENABLED / "vedette-agent.service").is_symlink()


@pytest.mark.parametrize("words", [["--upgrade"], ["--engines", "onnx"]])
def test_what_needs_a_new_release_needs_a_source(root: Path, words: list[str]) -> None:
    before = tree(root)
    done = own(root, *words)
    assert done.returncode == 2
    assert "name a wheelhouse with --offline, or run scripts/install of a ch" in last_line(done)
    assert tree(root) == before


def test_without_a_release_there_is_nothing_to_configure(root: Path, tmp_path: Path) -> None:
    empty = bare(tmp_path / "empty")
    done = called(root / "opt/vedette/installer/install", "--root", empty, *CAMERA)
    assert done.returncode == 2 and "there is nothing to install here" in last_line(done)
    assert not (empty / "opt/vedette").exists()


def test_a_camera_that_the_release_refuses_leaves_nothing_in_the_way(
    tmp_path: Path, house: Path
) -> None:
    root = bare(tmp_path / "root")
    done = install(root, "--offline", house, *BAD)
    assert done.returncode == 2
    said = "nothing is configured, this is refused: pipeline.lane0.camera: synthetic://1x1: too sm"
    assert said in last_line(done)
    assert not (root / "etc/vedette/vedette.toml").exists()
    card = root / "opt/vedette/releases/1.0.0-1/release.json"
    made_ns = card.stat().st_mtime_ns
    done = install(root, "--offline", house, *CAMERA)
    assert done.returncode == 0, done.stderr
    assert card.stat().st_mtime_ns == made_ns  # pip had nothing to do


def test_so_does_an_enrolment_with_such_a_camera(root: Path, door: Path) -> None:
    before = tree(root)
    done = own(root, "--enroll", door, *BAD)
    assert done.returncode == 2 and "nothing is configured" in last_line(done)
    assert tree(root) == before
    assert own(root, "--enroll", door, *CAMERA).returncode == 0
    before = tree(root)
    done = own(root, "--enroll", door, *BAD)
    config = root / "etc/vedette/vedette.toml"
    said = f"{config} stays as it was, this is refused: {config}:1: pipeline.lane0.camera"
    assert done.returncode == 2 and said in last_line(done)
    assert tree(root) == before


def test_a_folder_that_is_no_system_stays_empty(tmp_path: Path, house: Path) -> None:
    done = install(tmp_path, "--offline", house, *CAMERA)
    assert done.returncode == 2 and "has no etc/passwd" in last_line(done)
    assert list(tmp_path.iterdir()) == []


HERE = """set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/system"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/system"
mount --bind /proc "$1/system/proc"
mount --bind /dev "$1/system/dev"
mount --bind "$2" "$1/system/mnt"
exec chroot "$1/system" /mnt/install --camera synthetic://64x48 --json
"""


def test_where_systemd_does_not_run_that_is_no_secret(tmp_path: Path, house: Path) -> None:
    """In a copy of this system, as in a container: not as an image, but without its process 1."""
    here = Path(shutil.copytree(house, tmp_path / "here"))
    scripts = Path(__file__).parents[2] / "scripts"
    shutil.copy(scripts / "install", here)
    shutil.copytree(scripts / "installing", here / "installing")
    box = tmp_path / "box"
    box.mkdir()
    words = ["unshare", "-m", "sh", "-c", HERE, "sh", str(box), str(here)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip(f"no copy of this system can be made here: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["started"] is False
    assert any("systemd does not run here" in note for note in said["notes"])
