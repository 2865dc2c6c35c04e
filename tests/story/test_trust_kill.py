"""A device killed at every step of a refresh: never locked out, never set back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.laws.sources import ROOT
from tests.repository import NOW_S, Repository
from wire.deployments import Deployment, Rule
from wire.troubles import Refused
from wire.trust.trust import Trust

# Dies before the n-th call that changes the disk.
CHILD = """\
import os, sys, builtins
from pathlib import Path
left, folder, files = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
import wire.trust.trust
from wire.block.blocks import NoSuchFile
def dying(call):
    def instead(*words, **more):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
        return call(*words, **more)
    return instead
for name in ("fsync", "rename", "replace", "symlink", "mkdir", "unlink"):
    setattr(os, name, dying(getattr(os, name)))
class Files:
    def read(self, path, most_bytes):
        if not (files / path).is_file():
            raise NoSuchFile(path)
        return (files / path).read_bytes()
root = (files / "metadata/1.root.json").read_bytes()
trust = wire.trust.trust.Trust(folder, root, Files(), lambda: float(sys.argv[4]))
trust.refresh()
trust.deployment("lane")
"""


def lay_out(repository: Repository, folder: Path) -> None:
    for path, content in repository.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


@pytest.mark.slow
def test_killed_at_any_step_of_a_refresh(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.deploy(Deployment("lane", (Rule("digits", "1"),)))
    old = dict(repository.files)
    folder = tmp_path / "trust"
    first = Trust(folder, repository.first_root, repository, lambda: NOW_S)
    first.refresh()
    first.deployment("lane")
    repository.rotate("root", "snapshot")
    repository.release("digits", "2")
    repository.deploy(Deployment("lane", (Rule("digits", "2"),)))
    new = dict(repository.files)
    lay_out(repository, tmp_path / "files")
    untouched = tmp_path / "untouched"
    subprocess.run(["cp", "-a", folder, untouched], check=True)
    set_back = killed = 0
    for steps in range(200):
        subprocess.run(["rm", "-rf", folder], check=True)
        subprocess.run(["cp", "-a", untouched, folder], check=True)
        code = subprocess.run(
            [sys.executable, "-c", CHILD, str(steps), str(folder), str(tmp_path / "files"),
             str(NOW_S)],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60,
        ).returncode  # fmt: skip
        killed += code == -signal.SIGKILL
        trust = Trust(folder, repository.first_root, repository, lambda: NOW_S)
        assert trust.trusted is not None  # the old or the new, whole
        assert trust.trusted.root in (1, 2)
        seen = (folder / "timestamp.json").read_bytes()
        if seen != old["metadata/timestamp.json"]:
            repository.files = dict(old)
            with pytest.raises(Refused):
                trust.refresh()
            set_back += 1
            repository.files = dict(new)
            trust = Trust(folder, repository.first_root, repository, lambda: NOW_S)
        trusted = trust.refresh()
        assert (trusted.root, trusted.targets, trusted.deployments) == (2, 2, 3)
        assert trust.deployment("lane") == Deployment("lane", (Rule("digits", "2"),))
        assert trust.issued_s == NOW_S
        if code == 0:
            break
    else:
        pytest.fail("it never came to its end")
    assert killed > 15 and set_back > 5
