"""A bundle: the same bytes from the same content, and the same content back."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from models import bundle
from tests.model_folder import FILES, make_folder
from wire.troubles import Refused, Unavailable

ROOT = Path(__file__).parents[2]


def packed(tmp_path: Path) -> bytes:
    make_folder(tmp_path / "model")
    bundle.pack(tmp_path / "model", tmp_path / "good.zip")
    return (tmp_path / "good.zip").read_bytes()


def test_what_is_packed_unpacks_to_the_same_files(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", os.urandom(600_000))
    (folder / "notes.txt").write_text("not named by the manifest")
    digest = bundle.pack(folder, tmp_path / "b.zip")
    assert digest == hashlib.sha256((tmp_path / "b.zip").read_bytes()).hexdigest()
    assert digest == bundle.folder_digest(folder)
    seen = bundle.unpack(tmp_path / "b.zip", tmp_path / "out")
    assert seen == bundle.inspect(tmp_path / "b.zip")
    assert (seen.digest, seen.manifest.name) == (digest, "digits")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {*FILES, "manifest.toml"}
    for name in (*FILES, "manifest.toml"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()
    assert bundle.folder_digest(tmp_path / "out") == digest


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first = make_folder(tmp_path / "first")
    second = make_folder(tmp_path / "second")
    for name in FILES:
        os.utime(second / name, (0, 0))
        os.chmod(second / name, 0o600)
    assert bundle.folder_digest(first) == bundle.folder_digest(second)
    (second / "m.tflite").write_bytes(b"TFL4")
    assert bundle.folder_digest(first) != bundle.folder_digest(second)


def test_other_programs_can_read_a_bundle(tmp_path: Path) -> None:
    packed(tmp_path)
    with zipfile.ZipFile(tmp_path / "good.zip") as file:
        assert file.testzip() is None
        assert file.namelist() == ["manifest.toml", *FILES]
        assert file.read("labels.txt") == b"content of labels.txt\n"
    if shutil.which("unzip"):
        subprocess.run(["unzip", "-tq", tmp_path / "good.zip"], check=True, capture_output=True)


def test_a_folder_that_cannot_be_packed_is_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model")
    labels, target = folder / "labels.txt", tmp_path / "b.zip"

    def refusal() -> str:
        with pytest.raises(Refused) as caught:
            bundle.pack(folder, target)
        assert not target.exists()
        return str(caught.value)

    labels.unlink()
    assert "labels.txt: No such file" in refusal()
    labels.symlink_to("/etc/passwd")
    assert "labels.txt: a link" in refusal()
    labels.unlink()
    os.mkfifo(labels)
    assert "labels.txt: not a plain file" in refusal()
    labels.unlink()
    labels.mkdir()
    assert "labels.txt: not a plain file" in refusal()
    labels.rmdir()
    labels.touch()
    assert "labels.txt: empty" in refusal()


def test_troubles_with_the_target_are_told(tmp_path: Path) -> None:
    packed(tmp_path)
    with pytest.raises(Unavailable, match="cannot be written"):
        bundle.pack(tmp_path / "model", tmp_path / "nowhere" / "b.zip")
    with pytest.raises(Refused, match="is there already"):
        bundle.unpack(tmp_path / "good.zip", tmp_path / "model")
    with pytest.raises(Refused, match="No such file"):
        bundle.inspect(tmp_path / "nothing.zip")
    with pytest.raises(Refused, match="not a plain file"):
        bundle.inspect(tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_memory_does_not_grow_with_the_model(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", bytes(32_000_000))
    tracemalloc.start()
    try:
        bundle.pack(folder, tmp_path / "b.zip")
        bundle.unpack(tmp_path / "b.zip", tmp_path / "out")
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_a_full_disk_leaves_no_half_folder(tmp_path: Path) -> None:
    make_folder(tmp_path / "model", bytes(200_000))
    bundle.pack(tmp_path / "model", tmp_path / "good.zip")
    script = (
        "import resource, signal, sys; from pathlib import Path; from models import bundle\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: bundle.unpack(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path / "good.zip"), str(tmp_path / "out")]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.startswith("Unavailable "), done.stdout + done.stderr
    assert not (tmp_path / "out").exists()
