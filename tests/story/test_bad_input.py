"""Bad input: one clear line that says what is wrong and what to do, a code, and nothing else."""

from __future__ import annotations

import json
import shutil
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from models import bundle
from runtime.locating import ZOO
from tests.graphs import onnx, tflite
from tests.story.shell import Said, Shell

DIGITS = ZOO / "digits" / "tflite"
CAMERA = ("--camera", "synthetic://64x48")
WRONG, FAULT = 2, 1


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    assert shell.left_behind() == []


def check_line(said: Said, code: int, *parts: str) -> None:
    """Exactly one line, ours; nothing on stdout; the code that is meant."""
    assert "Traceback" not in said.err
    assert len(said.lines) == 1, said.err
    (line,) = said.lines
    assert line.startswith("vedette: ")
    assert [part for part in parts if part not in line] == [], line
    assert (said.code, said.out) == (code, "")


def run_model(shell: Shell, model: str, *more: str) -> Said:
    return shell.run("run", *CAMERA, "--frames", "2", "--json", "--model", model, *more)


def test_tracking_without_boxes_is_said(shell: Shell) -> None:
    done = run_model(shell, "digits", "--track")
    assert done.code == 0 and len(done.lines) == 1
    assert "tracking: does nothing here: digits classifies" in done.err


# --- cameras and options ------------------------------------------------------------------------

REQUESTS = {
    "no such device": (FAULT, ["--camera", "v4l2:///dev/video99"], ["/dev/video99"]),
    "no device at all": (WRONG, ["--camera", "v4l2:///dev/null"], ["/dev/null"]),
    "no such recording": (WRONG, ["--camera", "file://nowhere.mp4"], ["nowhere.mp4"]),
    "no kind of camera": (WRONG, ["--camera", "ftp://x"], ["'ftp://x'", "synthetic://", "v4l2:"]),
    "no URI": (WRONG, ["--camera", "webcam"], ["'webcam'", "synthetic://"]),
    "a size that is none": (WRONG, ["--camera", "synthetic://640"], ["synthetic://640"]),
    "an unknown option": (WRONG, ["--camera", "synthetic://64x48?colour=red"], ["colour"]),
    "a device option": (WRONG, ["--camera", "v4l2:///dev/video0?size=big"], ["size"]),
    "an unknown engine": (WRONG, ["--engine", "tensorflow"], ["'tensorflow'", "litert"]),
    "an engine for another format": (WRONG, ["--model", str(DIGITS), "--engine", "onnxruntime"],
                                     ["onnxruntime cannot run tflite", "use litert"]),
    "an unknown delegate": (WRONG, ["--accelerator", "nobody.so"], ["'nobody.so'", "CPU"]),
    "a delegate that is not installed": (WRONG, ["--accelerator", "edgetpu"],
                                         ["libedgetpu.so.1", "install it"]),
    "an accelerator without a name": (WRONG, ["--accelerator", ""], ["has no name"]),
    "an unknown provider": (WRONG, ["--engine", "onnxruntime", "--accelerator", "cudda"],
                            ["'cudda'", "did you mean cuda?", "cpu"]),
    "a provider for a delegate": (WRONG, ["--accelerator", "cuda"], ["'cuda'", "for .onnx models"]),
    "a delegate for a provider": (WRONG, ["--engine", "onnxruntime", "--accelerator", "edgetpu"],
                                  ["'edgetpu'", "for .tflite models"]),
    "results in no folder": (WRONG, ["--results", "no/such/folder/r.json"],
                             ["--results no/such/folder/r.json", "No such file"]),
    "results over a folder": (WRONG, ["--results", "home"], ["--results home", "directory"]),
}  # fmt: skip


@pytest.mark.parametrize("case", REQUESTS)
def test_a_request_that_cannot_be_met(shell: Shell, case: str) -> None:
    code, words, parts = REQUESTS[case]
    given = [*words] if "--model" in words else [*words, "--model", "digits"]
    given += [] if "--camera" in words else CAMERA
    check_line(shell.run("run", "--frames", "2", "--json", *given), code, *parts)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["run"], "--model"),
        (["run", "--model", "digits", "--frames", "0"], "'0' is not a whole number from 1 up"),
        (["run", "--model", "digits", "--frames", "ten"], "'ten' is not a whole number"),
        (["run", "--model", "digits", "--frames", "1e3"], "'1e3' is not a whole number"),
        (["run", "--model", "digits", "--seconds", "nan"], "'nan' is not a number of seconds"),
        (["run", "--model", "digits", "--seconds", "-1"], "-1"),
        (["run", "--model", "digits", "--threads", "1000000"], "from 1 to 256"),
        (["run", "--model", "digits", "--preview", "70000"], "from 0 to 65535"),
        (["run", "--model", "digits", "--fast"], "--fast"),
        (["run", "--model", "digits", "--frmaes=3"], "--frmaes=3; did you mean --frames?"),
        (["model", "show", "digits", "x\x1b[2J", "--jsn"], "x\\x1b[2J --jsn; did you mean --json?"),
        (["model"], "VERB"),
        (["model", "show"], "PATH"),
        (["bench", "--model", "digits", "--frames", "x"], "'x' is not a whole number"),
    ],
)
def test_words_that_cannot_be_meant(shell: Shell, words: list[str], part: str) -> None:
    """One line, and where the options are listed."""
    said = shell.run(*words)
    assert (said.code, said.out, len(said.lines)) == (WRONG, "", 1)
    assert said.lines[0].startswith(f"vedette {words[0]}") and ": error: " in said.lines[0]
    assert part in said.lines[0] and said.lines[0].endswith(" --help)")


def test_an_unknown_command(shell: Shell) -> None:
    said = shell.run("fly")
    assert (said.code, said.out) == (WRONG, "")
    assert said.lines[0] == "vedette: there is no command 'fly'"
    assert "there is no command 'bnech'; did you mean bench?" in shell.run("bnech").lines[0]
    assert "usage: vedette COMMAND" in said.lines[1]


def test_a_port_that_is_taken(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = run_model(shell, "digits", "--preview", str(port))
    check_line(said, FAULT, str(port))


# --- models that are not there, or no models -----------------------------------------------------


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def damaged(build: Callable[[Path], object], name: str) -> Callable[[Path], None]:
    """The second half is missing."""

    def make(folder: Path) -> None:
        build(folder / name)
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])

    return make


def built(build: Callable[[Path], object], name: str) -> Callable[[Path], None]:
    return lambda folder: build(folder / name) and None


def swapped(folder: Path) -> None:
    onnx.colours(folder / "m.tflite")


NOISE = np.random.default_rng(7).bytes(20_000)
AGAIN = "copy or export it again"
FILES: dict[str, tuple[Callable[[Path], object], str, list[str]]] = {
    "missing": (lambda folder: None, "m.tflite", ["no model at m.tflite", "digits"]),
    "a name that nobody has": (lambda folder: None, "~no-such-user/m", ["~no-such-user/m"]),
    "an endless name": (lambda folder: None, "m" * 5000, ["no model at"]),
    "an empty folder": (lambda folder: (folder / "m").mkdir(), "m", ["m: no manifest.toml"]),
    "another ending": (write("m.txt", b"hello"), "m.txt", ["m.txt is no model", ".onnx"]),
    "an empty tflite": (write("m.tflite", b""), "m.tflite", ["m.tflite", AGAIN]),
    "an empty onnx": (write("m.onnx", b""), "m.onnx", ["m.onnx", AGAIN]),
    "a text as tflite": (write("m.tflite", b"hello\n" * 99), "m.tflite", ["m.tflite", AGAIN]),
    "a text as onnx": (write("m.onnx", b"hello\n" * 99), "m.onnx", ["m.onnx", AGAIN]),
    "noise as tflite": (write("m.tflite", NOISE), "m.tflite", ["m.tflite", AGAIN]),
    "noise as onnx": (write("m.onnx", NOISE), "m.onnx", ["m.onnx", AGAIN]),
    "half a tflite": (damaged(tflite.colours, "m.tflite"), "m.tflite", ["m.tflite", AGAIN]),
    "half an onnx": (damaged(onnx.colours, "m.onnx"), "m.onnx", ["m.onnx", AGAIN]),
    "onnx as tflite": (swapped, "m.tflite", ["m.tflite", AGAIN]),
    "two inputs": (built(tflite.two_inputs, "m.tflite"), "m.tflite", ["m.tflite", "2 inputs"]),
    "two inputs, onnx": (built(onnx.two_inputs, "m.onnx"), "m.onnx", ["m.onnx", "2 inputs"]),
    "an unknown operator": (built(tflite.unknown_op, "m.tflite"), "m.tflite",
                            ["m.tflite", "NobodyKnowsThisOp"]),
    "an unknown operator, onnx": (built(onnx.unknown_op, "m.onnx"), "m.onnx",
                                  ["m.onnx", "Mystery"]),
    "an open size": (built(tflite.open_size, "m.tflite"), "m.tflite",
                     ["m.tflite", "manifest.toml that gives width and height"]),
    "an open size, onnx": (built(onnx.open_size, "m.onnx"), "m.onnx",
                           ["m.onnx", "manifest.toml that gives width and height"]),
    "NaN": (built(tflite.poisoned, "m.tflite"), "m.tflite", ["m.tflite", "NaN", "export it again"]),
    "NaN, onnx": (built(onnx.poisoned, "m.onnx"), "m.onnx", ["m.onnx", "NaN", "export it again"]),
    "crash when opened": (built(tflite.crash_on_open, "m.tflite"), "m.tflite",
                          ["m.tflite", "crashes its engine (SIGSEGV)", "broken or hostile"]),
    "stack overflow": (built(tflite.overflow_on_open, "m.tflite"), "m.tflite",
                       ["m.tflite", "crashes its engine (SIGSEGV)"]),
    "crash when run": (built(tflite.crash_on_run, "m.tflite"), "m.tflite",
                       ["m.tflite", "crashes its engine (SIGSEGV)"]),
    "crash on black": (built(tflite.crash_on_black, "m.tflite"), "m.tflite",
                       ["m.tflite", "crashes its engine (SIGFPE)"]),
    "crash on black, onnx": (built(onnx.crash_on_black, "m.onnx"), "m.onnx",
                             ["m.onnx", "crashes its engine (SIGFPE)"]),
    "fails on white": (built(tflite.fails_on_bright, "m.tflite"), "m.tflite",
                       ["m.tflite", "cannot run it", "bounds"]),
    "fails on white, onnx": (built(onnx.fails_on_bright, "m.onnx"), "m.onnx",
                             ["m.onnx", "cannot run it", "bounds"]),
    "hungry": (built(lambda path: tflite.hungry(path, 1 << 24), "m.tflite"), "m.tflite",
               ["m.tflite", "not enough memory"]),
    "hungry, onnx": (built(lambda path: onnx.hungry(path, 1 << 24), "m.onnx"), "m.onnx",
                     ["m.onnx", "not enough memory"]),
    "a text as bundle": (write("m.zip", b"hello\n" * 99), "m.zip", ["m.zip"]),
    "an empty bundle": (write("m.zip", b""), "m.zip", ["m.zip"]),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_is_no_good_model(shell: Shell, case: str) -> None:
    make, name, parts = FILES[case]
    make(shell.folder)
    check_line(run_model(shell, name), WRONG, *parts)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_model_that_never_answers_is_given_up(shell: Shell) -> None:
    tflite.endless(shell.folder / "m.tflite")
    process = shell.start("run", *CAMERA, "--json", "--model", "m.tflite")
    out, err = process.communicate(timeout=200)
    check_line(Said(process.returncode, out, err), WRONG, "m.tflite", "within 60 s")


def test_limits_of_a_trial_are_kept(shell: Shell) -> None:
    """What the slow story waits a minute for, in two seconds."""
    tflite.endless(shell.folder / "m.tflite")
    said = shell.run_cold("check", "m.tflite", "--seconds", "2", module="runtime")
    assert (said.code, said.out) == (-14, "")  # the alarm
    onnx.endless(shell.folder / "m.onnx")
    said = shell.run_cold("check", "m.onnx", "--seconds", "2", module="runtime")
    assert (said.code, said.out) == (-14, "")
    tflite.hungry(shell.folder / "h.tflite", mebibytes=3000)
    said = shell.run_cold("check", "h.tflite", "--memory-mb", "1500", module="runtime")
    check_line(said, WRONG, "h.tflite", "not enough memory")
    onnx.hungry(shell.folder / "h.onnx", mebibytes=3000)
    said = shell.run_cold("check", "h.onnx", "--memory-mb", "1500", module="runtime")
    check_line(said, WRONG, "h.onnx", "not enough memory")


# --- manifests ------------------------------------------------------------------------------------

EDITS = {
    "an unknown key": ("width = 48", "widht = 48", ["manifest.toml:", "widht", "width"]),
    "a wrong type": ("width = 48", 'width = "wide"', ["manifest.toml:", "input.width"]),
    "no TOML": ("[input]", "[input", ["manifest.toml", "not valid TOML"]),
    "another shape": ("width = 48", "width = 64", ["(1, 48, 64, 1)", "(1, 48, 48, 1)"]),
    "another colour": ('"grey"', '"rgb"', ["(1, 48, 48, 3)", "(1, 48, 48, 1)"]),
    "another dtype": ('dtype = "int8"\nstd', 'dtype = "uint8"\nstd', ["manifest.toml", "uint8"]),
    "another layout": ('"NHWC"', '"NCHW"', ["NCHW", "the model is NHWC"]),
    "another scale": ("scale = 0.003921568859368563", "scale = 0.1", ["scale = 0.1", "0.00392"]),
    "another output": ("shape = [1, 10]", "shape = [1, 11]", ["(1, 11)", "(1, 10)"]),
    "another head": ('head = "probabilities"', 'head = "ssd"', ["outputs", "head 'ssd'"]),
    "no such file": ('"digits.tflite"', '"other.tflite"', ["other.tflite", "not there"]),
    "no such labels": ('"labels.txt"', '"other.txt"', ["other.txt"]),
    "no such picture": ('"golden-1.png"', '"golden-9.png"', ["golden-9.png"]),
    "a path": ('"digits.tflite"', '"../digits.tflite"', ["manifest.toml:", "plain name"]),
    "too little memory": ("[decoding]", "[limits]\nmemory_mb = 1\n[decoding]", ["1", "memory"]),
}  # fmt: skip


@pytest.fixture
def digits(shell: Shell) -> Path:
    return Path(shutil.copytree(DIGITS, shell.folder / "digits-copy"))


@pytest.mark.parametrize("case", EDITS)
def test_a_manifest_that_is_wrong(shell: Shell, digits: Path, case: str) -> None:
    old, new, parts = EDITS[case]
    text = (digits / "manifest.toml").read_text()
    assert text.count(old) >= 1
    (digits / "manifest.toml").write_text(text.replace(old, new, 1))
    check_line(run_model(shell, "digits-copy"), WRONG, "digits-copy", *parts)


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("labels.txt", b"0\n1\n2\n", ["3 labels", "10 classes"]),
        ("labels.txt", b"\xff\xfe\xff\n" * 10, ["not UTF-8"]),
        ("golden-1.png", b"no picture", ["golden-1.png", "not a picture"]),
        ("golden-1.json", b"{}", ["golden-1.json", "not an expected answer"]),
        (
            "golden-1.json",
            b'[{"index": 99, "label": "?", "score": 1.0}]',
            ["golden-1.png: expected"],
        ),
        ("digits.tflite", b"TFL3", ["digits.tflite", "cannot load it"]),
    ],
)
def test_a_folder_whose_files_are_wrong(
    shell: Shell, digits: Path, name: str, content: bytes, parts: list[str]
) -> None:
    (digits / name).write_bytes(content)
    check_line(run_model(shell, "digits-copy"), WRONG, "digits-copy", *parts)


def test_a_hostile_bundle(shell: Shell, digits: Path) -> None:
    with zipfile.ZipFile(shell.folder / "evil.zip", "w") as archive:
        archive.write(digits / "manifest.toml", "manifest.toml")
        archive.writestr("../../escaped.txt", "outside")
    check_line(run_model(shell, "evil.zip"), WRONG, "evil.zip")
    assert list(shell.folder.rglob("escaped.txt")) == []


def test_a_bundle_whose_model_crashes(shell: Shell, digits: Path) -> None:
    (digits / "manifest.toml").write_text(
        'schema = 1\nname = "c"\nversion = "1"\ntask = "raw"\nformat = "tflite"\n'
        'file = "c.tflite"\n'
        '[input]\nwidth = 8\nheight = 8\ncolour = "rgb"\nlayout = "NHWC"\ndtype = "uint8"\n'
    )
    tflite.crash_on_run(digits / "c.tflite")
    bundle.pack(digits, shell.folder / "c.zip")
    check_line(run_model(shell, "c.zip"), WRONG, "c.zip", "crashes its engine")


def test_a_manifest_is_not_written_over_another(shell: Shell) -> None:
    tflite.colours(shell.folder / "c.tflite")
    (shell.folder / "manifest.toml").write_text("# mine\n")
    said = shell.run("model", "show", "c.tflite", "--write-manifest")
    check_line(said, WRONG, "manifest.toml is there already")
    assert (shell.folder / "manifest.toml").read_text() == "# mine\n"


def test_a_manifest_that_is_written_says_what_was_guessed(shell: Shell) -> None:
    tflite.colours(shell.folder / "c.tflite")
    said = shell.run("model", "show", "c.tflite", "--write-manifest", "--json")
    lines = (shell.folder / "manifest.toml").read_text().splitlines()
    guesses = json.loads(said.out)["guesses"]
    assert guesses and lines[1 : 1 + len(guesses)] == [f"# - {guess}" for guess in guesses]


def test_onnx_runtime_tells_nobody_and_leaves_nothing(shell: Shell) -> None:
    """From 1.29 on it reports to its maker unless told not to, and keeps a device id at home."""
    onnx.colours(shell.folder / "c.onnx")
    said = run_model(shell, "c.onnx")
    assert said.code == 0
    left = [path for path in (shell.folder / "home").rglob("*") if path.is_file()]
    assert [path.parent.name for path in left] == ["tried"]


def test_a_name_that_would_command_the_terminal(shell: Shell) -> None:
    said = run_model(shell, "evil\x1b[2J\nname.tflite")
    check_line(said, WRONG, "evil\\x1b[2J\\nname.tflite")
