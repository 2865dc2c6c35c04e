"""A machine where an engine is not installed, or cannot be loaded: what to install, in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.graphs import onnx, tflite
from tests.story.shell import Said, Shell

CAMERA = ("--camera", "synthetic://64x48", "--frames", "2", "--json")
LITERT, TFLITE, ONNX = "ai_edge_litert", "tflite_runtime", "onnxruntime"

# comes before everything else that is imported, in the children too
BLOCKER = """
import sys
for name in {names!r}:
    sys.modules[name] = None
"""
BROKEN = "raise ImportError('libgomp.so.1: cannot open shared object file')"
OLD = {
    "__init__.py": "__version__ = '2.14.0'",
    "interpreter.py": "class Interpreter:\n    def __init__(self, **_): raise SystemError",
}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.make_home()
    tflite.colours(tmp_path / "c.tflite")
    onnx.colours(tmp_path / "c.onnx")
    return shell


def vedette(
    shell: Shell, *words: str, without: tuple[str, ...] = (), with_: Path | None = None
) -> Said:
    """Run with modules that cannot be imported, and with a folder whose modules come first."""
    site = shell.folder / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(BLOCKER.format(names=without))
    paths = [str(site), *([str(with_)] if with_ else []), shell.environment["PYTHONPATH"]]
    done = subprocess.run(
        [sys.executable, "-m", "vedette", *words], cwd=shell.folder, capture_output=True, text=True,
        env=shell.environment | {"PYTHONPATH": ":".join(paths)}, timeout=60,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


def check_line(said: Said, *parts: str) -> None:
    assert (said.code, said.out, len(said.lines)) == (1, "", 1), said
    assert said.lines[0].startswith("vedette: ")
    assert [part for part in parts if part not in said.lines[0]] == [], said.lines[0]


@pytest.mark.parametrize(
    ("model", "without", "parts"),
    [
        ("c.tflite", (LITERT, TFLITE), ["LiteRT is missing", "pip install 'vedette[litert]'"]),
        ("c.onnx", (ONNX,), ["ONNX Runtime is missing", "pip install 'vedette[onnx]'"]),
        ("digits", (LITERT, TFLITE, ONNX), ["no engine here", "vedette[litert]", "vedette[onnx]"]),
    ],
)
def test_a_missing_engine_is_named_with_what_to_install(
    shell: Shell, model: str, without: tuple[str, ...], parts: list[str]
) -> None:
    check_line(vedette(shell, "run", *CAMERA, "--model", model, without=without), *parts)


@pytest.mark.parametrize(
    ("without", "engine"), [((LITERT, TFLITE), "onnxruntime"), ((ONNX,), "litert")]
)
def test_a_model_in_both_formats_runs_on_the_engine_that_is_there(
    shell: Shell, without: tuple[str, ...], engine: str
) -> None:
    said = vedette(shell, "run", *CAMERA, "--model", "digits", without=without)
    assert said.code == 0, said.err
    assert f'"engine":"{engine}"' in said.out


@pytest.mark.parametrize(("package", "model"), [(LITERT, "c.tflite"), (ONNX, "c.onnx")])
def test_an_engine_that_cannot_be_loaded_says_why(shell: Shell, package: str, model: str) -> None:
    broken = shell.folder / "broken"
    (broken / package).mkdir(parents=True)
    (broken / package / "__init__.py").write_text(BROKEN)
    said = vedette(shell, "run", *CAMERA, "--model", model, with_=broken)
    check_line(said, f"{package} is installed but cannot be loaded", "libgomp.so.1")


def test_old_tflite_with_new_numpy_says_what_to_install(shell: Shell) -> None:
    """Its own words are a page long, and come with a stack."""
    old = shell.folder / "old"
    (old / TFLITE).mkdir(parents=True)
    for name, text in OLD.items():
        (old / TFLITE / name).write_text(text)
    said = vedette(shell, "run", *CAMERA, "--model", "c.tflite", without=(LITERT,), with_=old)
    check_line(said, "tflite_runtime does not work with numpy 2", "'numpy<2'", "ai-edge-litert")


def test_doctor_says_the_same_and_still_tries_the_rest(shell: Shell) -> None:
    said = vedette(shell, "doctor", without=(LITERT, TFLITE))
    assert said.code == 0 and said.err == ""
    lines = said.out.splitlines()
    start = lines.index("engines") + 1
    litert, mend, onnx_runtime = lines[start : start + 3]
    assert litert.split()[:2] == ["warn", "litert:"] and "pip install 'vedette[litert]'" in litert
    assert mend.endswith(f"{sys.executable} -m pip install ai-edge-litert")
    assert onnx_runtime.split()[:2] == ["ok", "onnxruntime:"]
    assert vedette(shell, "doctor", without=(LITERT, TFLITE, ONNX)).code == 1
