"""scripts/build-deb: a package whose scripts are the installer's, with nothing of its own."""

from __future__ import annotations

import json
import os
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


def test_of_32_bits(tmp_path: Path) -> None:
    house = wheelhouse(tmp_path / "house", "1.2.3")
    (house / "numpy-1.26.4-cp311-cp311-linux_armv7l.whl").write_bytes(b"")
    done = build(tmp_path / "x.deb", "--wheelhouse", house)
    assert done.returncode == 2 and "64-bit" in done.stderr
    assert not (tmp_path / "x.deb").exists()


@pytest.mark.skipif(shutil.which("unshare") is None or os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize(("home", "stays"), [("/home/vedette", True), ("/var/lib/vedette", False)])
def test_purging_removes_no_person(tmp_path: Path, home: str, stays: bool) -> None:
    """Its last script, by itself, where it sees /etc as we make it and nothing of this machine."""
    house = wheelhouse(tmp_path / "house", "1.2.3")
    assert build(tmp_path / "x.deb", "--wheelhouse", house).returncode == 0
    subprocess.check_call(["dpkg-deb", "-R", tmp_path / "x.deb", tmp_path / "package"])
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "passwd").write_text(f"root:x:0:0::/root:/bin/sh\nvedette:x:990:990::{home}:/bin/sh\n")
    (etc / "group").write_text("root:x:0:\nvedette:x:990:\n")
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\n")
    for name in ("shadow", "gshadow", "login.defs"):
        (etc / name).write_text("")
    hidden = "/var/lib /var/cache /run /usr/lib/sysusers.d"
    script = f"""set -e
for place in {hidden}; do mount -t tmpfs none $place; done
mount --bind "{etc}" /etc
exec sh "{tmp_path}/package/DEBIAN/postrm" purge"""
    subprocess.run(["unshare", "-m", "sh", "-c", script], check=True, timeout=60)
    assert ("vedette:" in (etc / "passwd").read_text()) == stays
    assert ("vedette:" in (etc / "group").read_text()) == stays
