"""The trial of an unknown model in a child process: once for the same bytes, wherever home is."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtime import child
from runtime.child import run_check, try_in_child
from runtime.ending import Allowance, judge
from runtime.engines import EngineOptions
from runtime.locating import Located, locate
from tests.delegates import plug
from tests.graphs import onnx, tflite
from tests.laws.sources import ROOT
from tests.story.shell import Shell
from wire.troubles import Refused, Unavailable

ONE = EngineOptions(threads=1)


@pytest.fixture
def tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The commands of the children that were started."""
    commands: list[Any] = []
    real = subprocess.run

    def run(command: Any, **how: Any) -> Any:
        commands.append(command)
        return real(command, **how)

    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return commands


def located(path: Path) -> Located:
    with locate(path) as found:
        return found


def test_a_model_is_tried_once_for_the_same_bytes(tmp_path: Path, tried: list[Any]) -> None:
    path = tflite.colours(tmp_path / "c.tflite")
    for _ in range(3):
        try_in_child(located(path), ONE)
    assert len(tried) == 1
    path.rename(tmp_path / "d.tflite")
    try_in_child(located(tmp_path / "d.tflite"), ONE)
    assert len(tried) == 1, "the bytes count, not the name"
    tflite.colours(path, size=16)
    try_in_child(located(path), ONE)
    assert len(tried) == 2


def test_a_model_that_failed_is_tried_again(tmp_path: Path, tried: list[Any]) -> None:
    path = tflite.crash_on_run(tmp_path / "c.tflite")
    for _ in range(2):
        with pytest.raises(Refused, match="crashes its engine"):
            try_in_child(located(path), ONE)
    assert len(tried) == 2


def test_an_accelerator_is_tried_too(tmp_path: Path, tried: list[Any]) -> None:
    path = onnx.colours(tmp_path / "c.onnx") or tmp_path / "c.onnx"
    try_in_child(located(path), ONE)
    try_in_child(located(path), replace(ONE, accelerators=("cpu",)))
    try_in_child(located(path), replace(ONE, accelerators=("cpu",)))
    assert len(tried) == 2
    with pytest.raises(Unavailable, match="no provider 'warp'"):
        try_in_child(located(path), replace(ONE, accelerators=("warp",)))


def test_each_accelerator_is_tried_however_long_its_name(tmp_path: Path, tried: list[Any]) -> None:
    path, stick = tflite.colours(tmp_path / "c.tflite"), plug(tmp_path)
    place = tmp_path / ("long" * 40)
    place.mkdir()
    (place / "gone").touch()
    for name in ("not-gone", "gone"):
        options = replace(ONE, accelerators=(f"{stick.library}?gone={place / name}",))
        if name == "not-gone":
            try_in_child(located(path), options)
            continue
        with pytest.raises(Unavailable, match="no accelerator is plugged in"):
            try_in_child(located(path), options)


def test_a_driver_that_prints_does_not_spoil_the_report(tmp_path: Path) -> None:
    options = replace(ONE, accelerators=(plug(tmp_path).accelerator,))
    assert run_check(ROOT / "models" / "zoo" / "digits" / "tflite", "litert", options).ok


def test_our_own_models_and_the_null_engine_need_no_trial(tmp_path: Path, tried: list[Any]) -> None:
    from runtime.locating import ZOO

    try_in_child(located(ZOO / "digits"), ONE)
    with locate(ZOO / "digits", "null") as found:
        try_in_child(found, ONE)
    assert tried == []


def test_where_there_is_no_home_it_is_tried_every_time(
    tmp_path: Path, tried: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tflite.colours(tmp_path / "c.tflite")
    monkeypatch.chdir(tmp_path)
    for home in ("not/absolute", "/proc/nobody", str(path / "below-a-file")):
        monkeypatch.setenv("XDG_CACHE_HOME", home)
        before = len(tried)
        for _ in range(2):
            try_in_child(located(path), ONE)
        assert len(tried) == before + 2
    assert [each.name for each in tmp_path.iterdir()] == ["c.tflite"]


def test_home_may_be_missing_or_read_only(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.make_home()
    tflite.colours(tmp_path / "c.tflite")
    words = [
        "run",
        "--camera",
        "synthetic://64x48",
        "--frames",
        "2",
        "--json",
        "--model",
        "c.tflite",
    ]
    for home in (None, "/proc", str(tmp_path / "nowhere" / "at" / "all")):
        environment = {key: value for key, value in shell.environment.items() if key != "HOME"}
        done = subprocess.run(
            shell.command(*words), cwd=tmp_path, env=environment | ({"HOME": home} if home else {}),
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["frames"] == 2


def test_what_lies_in_the_users_folder_is_not_run(tmp_path: Path) -> None:
    """`python -m` puts the folder that one stands in before all others."""
    shell = Shell(tmp_path)
    trap = "raise SystemExit('trapped')\n"
    (tmp_path / "runtime").mkdir()
    for name in ("runtime/__init__.py", "runtime/__main__.py", "numpy.py", "msgspec.py"):
        (tmp_path / name).write_text(trap)
    tflite.colours(tmp_path / "c.tflite")
    shell.make_home()
    # as the installed command: its folder is where it is installed, not where the user stands
    command = [*shell.command()[:1], "-c", "import sys; sys.path.remove(''); import vedette; "
               "sys.exit(vedette.main())"]  # fmt: skip
    done = subprocess.run(
        [*command, "run", "--camera", "synthetic://64x48", "--frames", "2", "--json",
         "--model", "c.tflite"],
        cwd=tmp_path, env=shell.environment, capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == 2


def test_the_report_of_a_good_model(tmp_path: Path) -> None:
    report = run_check(tflite.colours(tmp_path / "c.tflite"), "litert", ONE)
    assert (report.ok, report.name, report.engine, report.golden) == (True, "c", "litert", 0)
    assert report.load_ms > 0 and report.inference_us > 0 and report.peak_rss_mb > 10


@pytest.mark.parametrize(
    ("code", "said", "why"),
    [
        (-11, "", r"crashes its engine \(SIGSEGV\): the file is broken or hostile"),
        (-14, "", "within 7 s"),
        (-6, "terminate called after throwing an instance of 'std::bad_alloc'", "more than 9 MB"),
        (1, "Traceback\nMemoryError", "more than 9 MB"),
        (1, "Traceback\nZeroDivisionError: oh", "cannot be run: ZeroDivisionError: oh"),
        (2, "noise\nvedette: m: it is bad\n", "^m: it is bad$"),
        (3, "", "exit code 3"),
        (-50, "", r"crashes its engine \(signal 50\)"),
    ],
)
def test_every_end_of_a_trial_has_a_line(code: int, said: str, why: str) -> None:
    with pytest.raises(Refused, match=why) as told:
        judge(Path("m"), code, said, Allowance(7, 9))
    assert "\n" not in str(told.value)


def test_a_machine_without_memory_is_not_the_model_s_fault() -> None:
    with pytest.raises(Unavailable, match="needs more memory than is free here now"):
        judge(Path("m"), -9, "", Allowance(7, 9))


def test_a_large_model_has_more_time(tmp_path: Path) -> None:
    with open(tmp_path / "large.onnx", "wb") as file:
        os.truncate(file.fileno(), 120_000_000)  # takes no room
    assert child._megabytes(tmp_path / "large.onnx") == 120
    assert child._megabytes(tmp_path) == 120


def hostile_golden(folder: Path, picture: bytes | None, answer: str | None) -> Path:
    """The zoo's digits with one golden sample changed."""
    shutil.copytree(ROOT / "models" / "zoo" / "digits" / "tflite", folder)
    if picture is not None:
        (folder / "golden-1.png").write_bytes(picture)
    if answer is not None:
        (folder / "golden-1.json").write_text(answer)
    return folder


def vast_picture(side: int) -> bytes:
    """A PNG of side x side black pixels, in a file of some hundred kB."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    rows = zlib.compressobj(9)
    row = bytes(1 + side)
    packed = b"".join(rows.compress(row) for _ in range(side)) + rows.flush()
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_a_golden_picture_that_is_a_bomb(tmp_path: Path) -> None:
    folder = hostile_golden(tmp_path / "m", vast_picture(20_000), None)
    with pytest.raises(Refused, match=r"golden-1\.png: is not a picture"):
        run_check(folder, "litert", ONE)


def test_a_golden_answer_that_is_nested_without_end(tmp_path: Path) -> None:
    folder = hostile_golden(tmp_path / "m", None, "[" * 100_000)
    with pytest.raises(Refused, match=r"golden-1\.json"):
        run_check(folder, "litert", ONE)
