"""kill -9 at any step of an installation: the next run brings it to where it would have been."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from installing import main, release
from installing.places import Places

from tests.install.dying import in_a_child
from tests.install.pretended import wheelhouse
from tests.install.systems import INSTALL, bare, groups, install, tree

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("systemd-sysusers") is None,
        reason="needs root, and systemd's tools",
    ),
    pytest.mark.slow,
    pytest.mark.timeout(600),
]

CAMERA = ("--camera", "v4l2:///dev/video0")
MOST_STEPS = 80


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A wheelhouse, and a system that it was installed into without trouble."""
    box = tmp_path_factory.mktemp("made")
    house = wheelhouse(box / "house", "1.0.0")
    root = bare(box / "root")
    done = install(root, "--offline", house, *CAMERA)
    assert done.returncode == 0, done.stderr
    return house, root


def test_killed_at_every_step_and_run_again(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, undisturbed = made
    ready = Places(undisturbed).releases / "1.0.0-1"

    def copied(places: Places, wanted: release.Card, *_: object) -> None:
        """What pip makes takes seconds, and is killed in another test."""
        folder = places.releases / wanted.name
        shutil.copytree(ready, folder, symlinks=True)
        (folder / "release.json").unlink()
        release.durable.write(folder / "release.json", (ready / "release.json").read_bytes())

    monkeypatch.setattr(release, "make", copied)
    killed = 0
    for steps in range(MOST_STEPS):
        root = bare(tmp_path / f"root{steps}")
        words = ["--root", str(root), "--offline", str(house), *CAMERA, "--json"]
        if not in_a_child(lambda words=words: main.main(words), steps):  # type: ignore[misc]
            break
        killed += 1
        assert main.main(words) == 0
        assert tree(root) == tree(undisturbed), f"killed at step {steps}"
        assert groups(root / "etc/vedette") == groups(undisturbed / "etc/vedette")
        shutil.rmtree(root)
    assert 10 < killed < MOST_STEPS


@pytest.mark.parametrize("after_s", [0.0, 0.5, 1.5])
def test_killed_while_pip_works(made: tuple[Path, Path], tmp_path: Path, after_s: float) -> None:
    house, undisturbed = made
    root = bare(tmp_path / "root")
    words = [str(word) for word in (INSTALL, "--root", root, "--offline", house, *CAMERA)]
    first = subprocess.Popen(
        words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    end_s = time.monotonic() + 60
    while not (root / "opt/vedette/releases").is_dir() and time.monotonic() < end_s:
        time.sleep(0.01)
    time.sleep(after_s)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    done = install(root, "--offline", house, *CAMERA, "--json")
    assert done.returncode == 0, done.stderr
    name = json.loads(done.stdout)["release"]
    assert [path.name for path in (root / "opt/vedette/releases").iterdir()] == [name]
    assert set(tree(root)) >= {path for path in tree(undisturbed) if "/releases/" not in path}
