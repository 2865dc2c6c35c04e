"""A release takes over what stays the same, as hard links, and nothing that rotted."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from pathlib import Path

import pytest
from installing.heritage import take_over, uncompiled


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A site-packages with one package of somebody, and ours."""
    old = tmp_path / "old"
    files = {"lib/__init__.py": b"x = 1\n", "lib/deep/more.so": b"\x7fELF", "single.py": b"y = 2\n"}
    lines = []
    for name, content in files.items():
        (old / name).parent.mkdir(parents=True, exist_ok=True)
        (old / name).write_bytes(content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}")
    about = old / "lib-1.0.dist-info"
    about.mkdir()
    (about / "RECORD").write_text("\n".join([*lines, "../../../bin/lib,sha256=x,1", "a,,", ""]))
    (old / "lib/__pycache__").mkdir()
    (old / "lib/__pycache__/__init__.cpython-311.pyc").write_bytes(b"code")
    for name in ("vedette.py", "wire/version.py", "vedette-1.0.dist-info/RECORD"):
        (old / name).parent.mkdir(exist_ok=True)
        (old / name).write_text("ours\n")
    return old


def test_the_same_files_and_none_of_ours(old: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    assert take_over(old, new)
    assert sorted(path.name for path in new.iterdir()) == ["lib", "lib-1.0.dist-info", "single.py"]
    for name in ("lib/deep/more.so", "single.py", "lib/__pycache__/__init__.cpython-311.pyc"):
        assert (new / name).stat().st_ino == (old / name).stat().st_ino


@pytest.mark.parametrize("content", [b"\x7fELG", None])
def test_what_rotted_is_made_anew(old: Path, tmp_path: Path, content: bytes | None) -> None:
    new = tmp_path / "new"
    new.mkdir()
    (old / "lib/deep/more.so").unlink()
    if content is not None:
        (old / "lib/deep/more.so").write_bytes(content)
    assert not take_over(old, new)
    assert list(new.iterdir()) == []


def test_an_environment_begins_with_a_pip_of_its_own(old: Path, tmp_path: Path) -> None:
    """Without a wheelhouse: pip and, up to Python 3.11, setuptools."""
    new = tmp_path / "new"
    names = ["pip/__init__.py", "pip-23.0.dist-info/x", "setuptools/x", "distutils-precedence.pth"]
    for path in [folder / name for folder in (old, new) for name in names]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (old / "pip-23.0.dist-info/RECORD").write_text("")
    (new / "pip-23.0.dist-info").rename(new / "pip-24.0.dist-info")
    assert take_over(old, new)
    assert not (new / "pip-23.0.dist-info").exists()
    assert (new / "lib/__init__.py").is_file()


def test_a_disk_without_hard_links_to_the_other(old: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        new = Path(elsewhere)
        if new.stat().st_dev == old.stat().st_dev:
            pytest.skip("there is one disk only")
        assert not take_over(old, new)
        assert list(new.iterdir()) == []


def test_only_what_has_no_bytecode_is_compiled(old: Path) -> None:
    found = {str(path.relative_to(old)) for path in uncompiled(old, "cpython-311")}
    assert found == {"single.py", "vedette.py", "wire/version.py"}
