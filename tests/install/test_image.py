"""scripts/install into an image: real pip, real environments, real units; nothing that runs."""

from __future__ import annotations

import json
import os
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

CAMERA = ("--camera", "v4l2:///dev/video0")
ENABLED = "etc/systemd/system/multi-user.target.wants"


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    box = tmp_path_factory.mktemp("houses")
    made = {version: wheelhouse(box / version, version) for version in ("1.0.0", "1.1.0")}
    return made | {"odd": wheelhouse(box / "odd", "1.2.0", refuses="no such key")}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, houses: dict[str, Path]) -> Path:
    root = bare(tmp_path_factory.mktemp("installed") / "root")
    done = install(root, "--offline", houses["1.0.0"], *CAMERA)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def root(installed: Path, tmp_path: Path) -> Path:
    """A copy of a system in which 1.0.0 is installed."""
    return Path(shutil.copytree(installed, tmp_path / "root", symlinks=True))


def runs(root: Path) -> str:
    return os.readlink(root / "opt/vedette/current").removeprefix("releases/")


def releases(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "opt/vedette/releases").iterdir())


def test_what_is_there_afterwards(installed: Path) -> None:
    assert runs(installed) == "1.0.0-1"
    units = installed / "etc/systemd/system"
    for name in ("vedette-agent", "vedette-runtime@", "vedette-settle"):
        assert (units / f"{name}.service").is_file()
    assert sorted(path.name for path in (installed / ENABLED).iterdir()) == [
        "vedette-agent.service",
        "vedette-runtime@lane0.service",
        "vedette-settle.service",
    ]
    assert "vedette:" in (installed / "etc/passwd").read_text()
    assert "video:x:44:vedette" in (installed / "etc/group").read_text()
    config = installed / "etc/vedette/vedette.toml"
    assert config.stat().st_mode & 0o777 == 0o640
    assert 'camera = "v4l2:///dev/video0"' in config.read_text()
    assert "[pipeline.camera]" in config.read_text()
    assert os.readlink(installed / "usr/local/bin/vedette") == "/opt/vedette/bin/vedette"


def test_nothing_in_it_names_where_it_was_made(installed: Path) -> None:
    words = ["grep", "-rlF", str(installed), str(installed / "opt"), str(installed / "etc")]
    assert subprocess.run(words, capture_output=True, text=True, check=False).stdout == ""


def test_all_is_compiled(installed: Path) -> None:
    """A root that is read-only, or an image whose files all have one date, needs no compiling."""
    (library,) = (installed / "opt/vedette/current/").glob("lib/python3*/site-packages")
    (code,) = (library / "__pycache__").glob("vedette.*.pyc")
    flags = code.read_bytes()[4:8]
    assert flags == b"\x01\0\0\0"  # by hash, never compared (PEP 552)


def test_a_second_run_changes_nothing(root: Path, houses: dict[str, Path]) -> None:
    before = tree(root)
    done = install(root, "--offline", houses["1.0.0"], *CAMERA)
    assert done.returncode == 0, done.stderr
    assert tree(root) == before


def test_another_release_is_not_taken_unasked(root: Path, houses: dict[str, Path]) -> None:
    before = tree(root)
    done = install(root, "--offline", houses["1.1.0"])
    assert done.returncode == 2
    assert "is 1.0.0, this one 1.1.0: --upgrade replaces it; `sudo" in done.stderr.splitlines()[-1]
    assert tree(root) == before


def test_upgrade_and_downgrade_keep_one_release_of_before(
    root: Path, houses: dict[str, Path]
) -> None:
    (root / "var/lib/vedette").mkdir()
    (root / "var/lib/vedette/spool.db").write_text("records")
    config = (root / "etc/vedette/vedette.toml").read_text()
    for version, stay in [("1.1.0", ["1.0.0-1", "1.1.0-1"]), ("1.0.0", ["1.0.0-2", "1.1.0-1"])]:
        done = install(root, "--offline", houses[version], "--upgrade")
        assert done.returncode == 0, done.stderr
        assert runs(root).startswith(version)
        assert releases(root) == stay
        assert not (root / "opt/vedette/upgrade.json").exists()
    assert (root / "etc/vedette/vedette.toml").read_text() == config
    assert (root / "var/lib/vedette/spool.db").read_text() == "records"


def test_a_release_that_refuses_the_configuration_does_not_stay(
    root: Path, houses: dict[str, Path]
) -> None:
    before = tree(root)
    done = install(root, "--offline", houses["odd"], "--upgrade", "--json")
    assert done.returncode == 1
    assert "no such key" in json.loads(done.stdout)["went_back"]
    after = tree(root)
    del after["/opt/vedette/last-upgrade.json"]
    assert after == before


def test_uninstall_keeps_configuration_and_state(root: Path, houses: dict[str, Path]) -> None:
    (root / "var/lib/vedette").mkdir()
    done = install(root, "--uninstall", "--json")
    assert done.returncode == 0, done.stderr
    kept = [f"{root}/etc/vedette", f"{root}/var/lib/vedette"]
    assert json.loads(done.stdout) == {"done": True, "kept": kept}
    assert not (root / "opt/vedette").exists()
    assert (root / "etc/vedette/vedette.toml").is_file()
    done = install(root, "--offline", houses["1.0.0"])
    assert done.returncode == 0, done.stderr
    assert (root / ENABLED / "vedette-runtime@lane0.service").is_symlink()


def test_purge_leaves_nothing(root: Path, tmp_path: Path, houses: dict[str, Path]) -> None:
    for place in ("var/lib/vedette/models", "run/vedette", "var/cache/vedette"):
        (root / place).mkdir(parents=True)
    own = root / "etc/systemd/system/vedette-agent.service.d/own.conf"
    own.parent.mkdir()
    own.write_text("[Service]\nNice=1\n")
    assert install(root, "--offline", houses["1.1.0"], "--upgrade").returncode == 0
    done = install(root, "--uninstall", "--purge")
    assert done.returncode == 0, done.stderr
    never = tree(bare(tmp_path / "never"))
    assert [name for name in tree(root) if name not in never] == []
    assert "vedette" not in (root / "etc/passwd").read_text() + (root / "etc/group").read_text()


def test_purge_of_nothing_is_no_trouble(tmp_path: Path) -> None:
    assert install(bare(tmp_path / "root"), "--uninstall", "--purge").returncode == 0


def test_without_a_configuration_nothing_is_enabled_and_the_next_step_is_said(
    tmp_path: Path, houses: dict[str, Path]
) -> None:
    root = bare(tmp_path / "root")
    done = install(root, "--offline", houses["1.0.0"])
    assert done.returncode == 0, done.stderr
    assert "--enroll NAME.vedette" in done.stdout
    assert [path.name for path in (root / ENABLED).iterdir()] == ["vedette-settle.service"]


def test_a_device_of_a_kind_gets_what_it_needs(tmp_path: Path, houses: dict[str, Path]) -> None:
    root = bare(tmp_path / "root")
    (root / "proc/device-tree").mkdir()
    (root / "proc/device-tree/model").write_text("NVIDIA Jetson Orin Nano Developer Kit\0")
    done = install(root, "--offline", houses["1.0.0"], "--camera", "rtsp://camera/1")
    assert done.returncode == 0, done.stderr
    units = root / "etc/systemd/system"
    assert (units / "vedette-runtime@.service.d/10-vedette-jetson.conf").is_file()
    network = units / "vedette-runtime@lane0.service.d/10-vedette-network-camera.conf"
    assert network.is_file()
    config = root / "etc/vedette/vedette.toml"
    config.write_text(config.read_text().replace("rtsp://camera/1", "csi://0"))
    assert install(root, "--offline", houses["1.0.0"]).returncode == 0
    assert [path.name for path in network.parent.iterdir()] == ["10-vedette-jetson-camera.conf"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--purge"], "--purge goes with --uninstall"),
        (["--engines", "tensorflow"], "there is no engine 'tensorflow'"),
        (["--offline", "/not-there"], "/not-there is no folder"),
        (["--offline", "/opt"], "/opt has no wheel of vedette"),
        (["--enroll", "/not-there"], "/not-there is no file"),
    ],
)
def test_a_request_that_cannot_be_meant(tmp_path: Path, words: list[str], said: str) -> None:
    root = bare(tmp_path / "root")
    before = tree(root)
    done = install(root, *words)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    assert tree(root) == before
