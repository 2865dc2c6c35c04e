"""`vedette fleet pack` where it goes wrong: full disks, bombs, odd names, Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from models import bundle, manifest
from runtime.locating import ZOO
from tests.graphs import tflite
from tests.held_out import draw
from tests.story.shell import Said, Shell

DIGITS = ZOO / "digits" / "tflite"
PATIENCE_S = 60


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    shell.make_home()
    yield shell
    assert shell.left_behind() == [], "what was worked in is gone"


def refused(said: Said, code: int, *parts: str) -> None:
    troubles = said.troubles
    assert (said.code, said.out, len(troubles)) == (code, "", 1), said.err
    assert said.lines[-1] == troubles[0], "what takes long says what it does before"
    assert [part for part in parts if part not in said.err] == [], said.err


def run_limited(shell: Shell, bytes_: int, *words: str) -> Said:
    """As if the disk were full after so many bytes of one file."""
    script = (
        "import resource, sys; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes_}, {bytes_})); "
        "import vedette; sys.exit(vedette.main(sys.argv[1:]))"
    )
    command = [*shell.command()[:1], "-c", script, "fleet", "pack", *words]
    done = subprocess.run(command, cwd=shell.folder, env=shell.environment, text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=100)  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("room", [0, 50_000, 100_000])
def test_a_full_disk_leaves_nothing(shell: Shell, room: int) -> None:
    """It fills while the model is copied, or while the bundle is written."""
    (shell.folder / "b.zip").write_bytes(b"what was there before")
    before = sorted(shell.folder.rglob("*"))
    said = run_limited(shell, room, str(DIGITS), "--output=b.zip", "--force")
    refused(said, 1, "b.zip: cannot be written" if room == 100_000 else "make room")
    assert sorted(shell.folder.rglob("*")) == before
    assert (shell.folder / "b.zip").read_bytes() == b"what was there before"


def test_no_room_for_temporary_files(shell: Shell) -> None:
    environment = shell.environment | {"TMPDIR": "/proc/nowhere"}
    script = "import tempfile, sys; tempfile._candidate_tempdir_list = lambda: ['/proc/nowhere']; "
    command = [*shell.command()[:1], "-c",
               script + "import vedette; sys.exit(vedette.main(sys.argv[1:]))"]  # fmt: skip
    done = subprocess.run([*command, "fleet", "pack", str(DIGITS)], cwd=shell.folder, text=True,
                          env=environment, capture_output=True, timeout=100)  # fmt: skip
    refused(Said(done.returncode, done.stdout, done.stderr), 1, "set TMPDIR")


def test_a_place_that_takes_no_file(shell: Shell) -> None:
    said = shell.run("fleet", "pack", str(DIGITS), "--output", "/proc/b.zip")
    assert said.code in (1, 2)
    refused(said, said.code, "/proc")


def test_an_output_that_is_a_folder_gets_the_usual_name(shell: Shell) -> None:
    (shell.folder / "bundles").mkdir()
    said = shell.run("fleet", "pack", str(DIGITS), "--output", "bundles")
    assert said.code == 0, said.err
    assert [each.name for each in (shell.folder / "bundles").iterdir()] == ["digits-1-tflite.zip"]


def vast_png(path: Path, side: int) -> Path:
    """A PNG of side x side black pixels: a million times smaller than it claims to be."""

    def chunk(name: bytes, content: bytes) -> bytes:
        crc = struct.pack(">L", zlib.crc32(name + content))
        return struct.pack(">L", len(content)) + name + content + crc

    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(side + 1)) for _ in range(side)) + packer.flush()
    head = struct.pack(">LLBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def test_a_zip_bomb_of_a_picture_is_refused_before_it_unfolds(shell: Shell) -> None:
    shutil.copytree(DIGITS, shell.folder / "m")
    vast_png(shell.folder / "m" / "golden-1.png", 20_000)
    started = time.monotonic()
    said = shell.run("fleet", "pack", "m")
    refused(said, 2, "m/golden-1.png: is not a picture that can be read")
    draw(shell.folder / "img", 2)
    vast_png(shell.folder / "img" / "vast.png", 20_000)
    said = shell.run("fleet", "pack", str(DIGITS), "--golden", "img")
    refused(said, 2, "img/vast.png: is not a picture that can be read")
    assert time.monotonic() - started < PATIENCE_S


def test_a_bomb_of_an_answer_is_refused(shell: Shell) -> None:
    shutil.copytree(DIGITS, shell.folder / "m")
    for bomb in (b"[" * 5_000_000, b'[{"x":' + b"[" * 5_000_000, b'[{"index": 1e999999}]', b"\xff"):
        (shell.folder / "m" / "golden-3.json").write_bytes(bomb)
        refused(shell.run("fleet", "pack", "m"), 2)
    assert not list(shell.folder.glob("*.zip"))


def test_names_of_any_bytes(shell: Shell) -> None:
    """Not UTF-8, and with what a terminal would act on."""
    place = os.path.join(os.fsencode(shell.folder), b"b\xff\x1b[2Jd\n")
    os.mkdir(place)
    draw(shell.folder / "img", 12)
    for number, each in enumerate(sorted((shell.folder / "img").iterdir())):
        os.rename(each, os.path.join(place, b"\xfe\n%d.png" % number))
    shutil.copytree(DIGITS, os.path.join(os.fsdecode(place), "model"))
    words = [os.path.join(place, b"model"), b"--golden", place]
    for more in ([], [b"--json", b"--output=j.zip"]):
        done = subprocess.run([*shell.command("fleet", "pack"), *words, *more], cwd=shell.folder,
                              env=shell.environment, capture_output=True, timeout=100)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert b"\x1b" not in done.stdout
    assert bundle.inspect(shell.folder / "j.zip").manifest.name == "digits"


def test_a_folder_that_is_not_what_its_manifest_says(shell: Shell) -> None:
    """An .onnx that is none, pipes and folders in place of files."""
    folder = shell.folder / "m"
    for name in ("labels.txt", "digits.tflite", "golden-1.json"):
        shutil.copytree(DIGITS, folder)
        (folder / name).unlink()
        os.mkfifo(folder / name)
        refused(shell.run("fleet", "pack", "m"), 2, f"m/{name}: not a plain file")
        (folder / name).unlink()
        (folder / name).mkdir()
        refused(shell.run("fleet", "pack", "m"), 2, f"m/{name}: not a plain file")
        shutil.rmtree(folder)
    shutil.copytree(DIGITS, folder)
    (folder / "digits.tflite").rename(folder / "digits.onnx")
    described = msgspec.structs.replace(manifest.load(folder), format="onnx", file="digits.onnx")
    manifest.write(folder, described)
    refused(shell.run("fleet", "pack", "m"), 2, "m/digits.onnx")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_it_ends_its_child(shell: Shell, sign: signal.Signals) -> None:
    tflite.endless(shell.folder / "e.tflite")
    process = shell.start("fleet", "pack", "e.tflite", "--version=1")
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline_s = time.monotonic() + PATIENCE_S
        while not children.read_text().split() and time.monotonic() < deadline_s:
            time.sleep(0.02)
        (child,) = children.read_text().split()
        process.send_signal(sign)
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out, err) == (128 + sign, "", "")
    while os.path.exists(f"/proc/{child}"):  # until the kernel has cleared it away
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    assert not list(shell.folder.glob("*.zip"))
