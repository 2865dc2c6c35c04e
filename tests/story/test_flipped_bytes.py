"""Models with flipped bytes: whatever an engine does with them, it is said, and soon."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from runtime.child import run_check
from runtime.engines import EngineOptions
from runtime.locating import ZOO
from tests.graphs import onnx, tflite
from tests.story.shell import ROOT
from wire.troubles import Trouble

ONE = EngineOptions(threads=1)
MUTANTS = 80  # of each format, over all its seeds

# Many in one process, as long as it lives; a new one goes on after a native crash.
MANY = """
import sys
from runtime.commands import check
from wire.troubles import exit_code
for path in sys.argv[1:]:
    print("next", path, flush=True)
    print("code", exit_code(check.main, [path, "--threads", "1", "--seconds", "20"]), flush=True)
"""
Build = Callable[[Path], object]


def seeds(folder: Path, ending: str) -> list[Path]:
    builders: dict[str, list[Build]] = {
        "tflite": [tflite.colours, tflite.ssd_known, tflite.echo, tflite.open_batch],
        "onnx": [onnx.colours, onnx.echo, onnx.open_size],
    }
    made = []
    for number, build in enumerate(builders[ending]):
        made.append(folder / f"seed{number}.{ending}")
        build(made[-1])
    (zoo,) = (ZOO / "digits" / ending).glob(f"*.{ending}")
    return [*made, zoo]


def mutants(folder: Path, ending: str) -> list[Path]:
    chance = np.random.default_rng(len(ending))
    grown = [seed.read_bytes() for seed in seeds(folder, ending)]
    made = []
    for number in range(MUTANTS):
        content = bytearray(grown[number % len(grown)])
        for _ in range(int(chance.choice((1, 1, 1, 2, 3, 8)))):  # more, and no engine looks further
            place = int(chance.integers(0, len(content)))
            content[place] = int(chance.integers(0, 256))
        if number % 11 == 10:
            del content[int(chance.integers(0, len(content))) :]
        made.append(folder / f"mutant{number}.{ending}")
        made[-1].write_bytes(content)
    return made


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("ending", ["tflite", "onnx"])
def test_flipped_bytes_never_end_in_a_traceback_or_a_hang(tmp_path: Path, ending: str) -> None:
    left = [str(path) for path in mutants(tmp_path, ending)]
    codes: list[int] = []
    crashed: list[Path] = []
    while left:
        done = subprocess.run(
            [sys.executable, "-c", MANY, *left], cwd=ROOT, capture_output=True, text=True,
            errors="replace", timeout=300,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        begun = [line.split(" ", 1)[1] for line in done.stdout.splitlines() if line[:5] == "next "]
        codes += [int(line[5:]) for line in done.stdout.splitlines() if line.startswith("code ")]
        refused = [line for line in done.stderr.splitlines() if line.startswith("vedette: ")]
        assert all(str(tmp_path) in line for line in refused), "each names its file"
        if done.returncode < 0:
            crashed.append(Path(begun[-1]))
        else:
            assert done.returncode == 0, done.stderr
        left = left[len(begun) :]
    assert set(codes) <= {0, 2}
    assert codes.count(2) > MUTANTS / 10, "the mutants are too tame"
    for path in crashed[:5]:  # a user sees a line for those, too
        with pytest.raises(Trouble, match=r"crashes its engine|within"):
            run_check(path, {"tflite": "litert", "onnx": "onnxruntime"}[ending], ONE)
