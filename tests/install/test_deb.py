"""scripts/build-deb: a package whose scripts are the installer's, with nothing of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.install.pretended import wheelhouse
from tests.laws.sources import ROOT

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb")
BUILD = ROOT / "scripts" / "build-deb"


def build(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in (BUILD, *words)], capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


def test_what_is_in_it(tmp_path: Path) -> None:
    house = wheelhouse(tmp_path / "house", "1.2.3")
    (house / "numpy-2.4.6-cp311-cp311-manylinux_2_28_aarch64.whl").write_bytes(b"of this machine")
    out = tmp_path / "vedette.deb"
    done = build(out, "--wheelhouse", house, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["version"], said["architecture"]) == ("1.2.3", "arm64")
    fields = subprocess.check_output(["dpkg-deb", "-f", out], text=True)
    assert "Depends: python3 (>= 3.11), systemd, passwd, python3 (<< 3.12)" in fields
    subprocess.check_call(["dpkg-deb", "-R", out, tmp_path / "package"])
    place = tmp_path / "package/usr/lib/vedette"
    assert {path.name for path in house.iterdir()} < {path.name for path in place.iterdir()}
    assert (place / "install").read_bytes() == (ROOT / "scripts/install").read_bytes()
    scripts = sorted((tmp_path / "package/DEBIAN").glob("p*"))
    assert [path.name for path in scripts] == ["postinst", "postrm", "prerm"]
    for path in scripts:
        subprocess.check_call(["sh", "-n", path])
        # what dpkg calls for other ends than these is no reason to do anything
        subprocess.check_call([path, "abort-upgrade"])


def test_a_folder_that_is_no_wheelhouse(tmp_path: Path) -> None:
    done = build(tmp_path / "x.deb", "--wheelhouse", tmp_path)
    assert done.returncode == 2
    assert "scripts/wheelhouse" in done.stderr
