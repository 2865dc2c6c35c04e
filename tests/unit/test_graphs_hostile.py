"""The hostile graphs do to the engines what they say: crash, hang, swallow memory, read files."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from tests.graphs import onnx, tflite
from tests.graphs.bare import run_onnx, run_tflite

X86 = platform.machine() in ("x86_64", "AMD64")

# what a child process does with a model: prints how far it came
IN_TFLITE = """
import sys, numpy as np
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
print("opened", flush=True)
for brightness in map(int, sys.argv[2:]):
    index = interpreter.get_input_details()[0]["index"]
    interpreter.set_tensor(index, np.full((1, 8, 8, 3), brightness, np.uint8))
    interpreter.invoke()
    print("ran", flush=True)
"""
IN_ONNX = """
import sys, numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
print("opened", flush=True)
for brightness in map(int, sys.argv[2:]):
    session.run(None, {"input": np.full((1, 3, 8, 8), brightness, np.float32)})
    print("ran", flush=True)
"""


def child(script: str, path: Path, *brightness: str) -> tuple[int, list[str]]:
    """(exit code, what it said)."""
    command = [sys.executable, "-c", script, str(path), *brightness]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ended.returncode, ended.stdout.split()


@pytest.mark.parametrize("build", [tflite.crash_on_open, tflite.overflow_on_open])
def test_crash_on_open_is_a_native_crash(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    assert child(IN_TFLITE, build(tmp_path / "c.tflite"), "1") == (-11, [])


def test_crash_on_run_opens_first(tmp_path: Path) -> None:
    path = tflite.crash_on_run(tmp_path / "c.tflite")
    assert child(IN_TFLITE, path, "1") == (-11, ["opened"])


@pytest.mark.skipif(not X86, reason="integer division traps on x86 only")
def test_crash_on_black_runs_until_a_picture_is_black(tmp_path: Path) -> None:
    frames = ("200", "1", "0", "1")
    expected = (-8, ["opened", "ran", "ran"])
    assert child(IN_TFLITE, tflite.crash_on_black(tmp_path / "c.tflite"), *frames) == expected
    assert child(IN_ONNX, onnx.crash_on_black(tmp_path / "c.onnx"), *frames) == expected


@pytest.mark.parametrize(
    ("script", "build", "name"),
    [(IN_TFLITE, tflite.endless, "e.tflite"), (IN_ONNX, onnx.endless, "e.onnx")],
)
def test_endless_opens_and_never_answers(
    tmp_path: Path, script: str, build: Callable[[Path], Path], name: str
) -> None:
    command = [sys.executable, "-c", script, str(build(tmp_path / name)), "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "opened\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=1.5)
        finally:
            process.kill()


def test_slow_counts_its_rounds(tmp_path: Path) -> None:
    path = tflite.slow(tmp_path / "s.tflite", rounds=500)
    (count,) = run_tflite(path, np.ones((1, 8, 8, 3), np.uint8))
    assert count.tolist() == [500]
    path = onnx.slow(tmp_path / "s.onnx", rounds=500)
    (count,) = run_onnx(path, np.ones((1, 3, 8, 8), np.float32))
    assert count.tolist() == [500]


def test_hungry_models_get_what_there_is_and_no_more(tmp_path: Path) -> None:
    pixels = np.full((1, 8, 8, 3), 3, np.uint8)
    (filled,) = run_tflite(tflite.hungry(tmp_path / "h.tflite", mebibytes=2), pixels)
    assert filled.nbytes == 2 << 20
    assert np.all(filled == 3)
    with pytest.raises(RuntimeError):
        run_tflite(tflite.hungry(tmp_path / "h.tflite", mebibytes=1 << 24), pixels)
    real = np.full((1, 3, 8, 8), 3, np.float32)
    (filled,) = run_onnx(onnx.hungry(tmp_path / "h.onnx", mebibytes=2), real)
    assert filled.nbytes == 2 << 20
    with pytest.raises(Exception, match="allocate memory"):
        run_onnx(onnx.hungry(tmp_path / "h.onnx", mebibytes=1 << 24), real)


def test_outside_is_a_real_attack_on_engines_that_do_not_look(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "near.bin").write_bytes(np.float32(41).tobytes())
    (tmp_path / "far.bin").write_bytes(np.float32(41).tobytes())
    ones = np.ones((1, 3, 8, 8), np.float32)
    (near,) = run_onnx(onnx.outside(folder / "o.onnx", "near.bin"), ones)
    assert near.tolist() == [42]
    path = onnx.outside(folder / "o.onnx", "../far.bin")
    try:
        (far,) = run_onnx(path, ones)
    except Exception as refusal:
        assert "xternal data" in str(refusal)
    else:
        assert far.tolist() == [42], "neither refused nor read"
        assert version("onnxruntime") < "1.31", "this one used to refuse"
