"""A child that tries models may end in any way: what it told, or one line that says why not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from msgspec import Struct

from fleet.commands.pack import Noting
from fleet.pack import runtime as pack_runtime
from fleet.pack.folder import spoken_of
from fleet.pack.runtime import ask
from tests.graphs import tflite
from wire.troubles import Refused, Trouble, Unavailable


class Told(Struct, frozen=True):
    answer: int


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `python -m runtime` does in this test. It is written anew within a second and may be as
    long as before: bytecode of it must not be kept."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(pack_runtime, "ROOT", tmp_path)
    (tmp_path / "runtime").mkdir()
    (tmp_path / "runtime" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path / "runtime" / "__main__.py"


def why(script: Path, code: str, kind: type[Trouble] = Refused) -> str:
    script.write_text(f"import os, signal, sys, time\n{code}\n")
    with pytest.raises(kind) as caught:
        ask(["x"], Path("m.tflite"), 5, Told)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_answer_and_what_goes_on(script: Path) -> None:
    script.write_text(
        "import sys\nprint('noise of an engine', file=sys.stderr)\n"
        "print('progress: half', file=sys.stderr)\nprint('{\"answer\": 7}')\n"
    )
    said: list[str] = []
    assert ask(["x"], Path("m"), 5, Told, said.append) == Told(7)
    assert said == ["half"]


def test_a_trouble_is_passed_on_as_it_was_said(script: Path) -> None:
    line = "print('vedette: {}', file=sys.stderr); sys.exit({})"
    assert why(script, line.format("it is bad", 2)) == "it is bad"
    assert why(script, line.format("no engine", 1), Unavailable) == "no engine"
    later = "print('vedette: it is bad', file=sys.stderr); print('x', file=sys.stderr); sys.exit(2)"
    assert why(script, later) == "it is bad"


def test_every_other_end_has_a_line(script: Path) -> None:
    assert "crashes its engine (SIGSEGV)" in why(script, "os.kill(os.getpid(), 11)")
    assert "is not done within 5 s" in why(script, "os.kill(os.getpid(), signal.SIGALRM)")
    assert "more memory than is free here" in why(script, "os.kill(os.getpid(), 9)")
    assert "MB of memory" in why(script, "raise MemoryError")
    assert "cannot be run: ZeroDivisionError" in why(script, "1 / 0")
    assert "cannot be run: exit code 3" in why(script, "sys.exit(3)")
    assert "cannot be run" in why(script, "sys.stderr.buffer.write(bytes(range(255))); sys.exit(3)")


def test_endless_words_take_no_memory_and_end_with_it(script: Path) -> None:
    flood = "for _ in range(20_000): sys.stderr.write('x' * 1000)\nsys.exit(4)"
    assert len(why(script, flood)) < 400


def test_the_child_ends_when_we_are_interrupted(script: Path, tmp_path: Path) -> None:
    script.write_text(
        f"import os, sys, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "print('progress: on', file=sys.stderr, flush=True)\ntime.sleep(600)\n"
    )

    def interrupted(line: str) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        ask(["x"], Path("m"), 5, Told, interrupted)
    assert time.monotonic() - started < 60
    assert not os.path.exists(f"/proc/{(tmp_path / 'pid').read_text()}")


@pytest.mark.slow
def test_a_model_without_an_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_runtime, "SECONDS", 3)
    with pytest.raises(Refused, match="is not done within 3 s"):
        pack_runtime.describe(tflite.endless(tmp_path / "e.tflite"))


def test_a_greedy_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_runtime, "_memory_mb", lambda: 1024)
    with pytest.raises(Refused, match="memory") as told:
        pack_runtime.describe(tflite.hungry(tmp_path / "h.tflite", 3000))
    assert "\n" not in str(told.value)


def test_who_asks_needs_no_engine_itself() -> None:
    """The operator's machine may have none: neither numpy nor OpenCV is loaded to ask."""
    heavy = "{'numpy', 'cv2', 'runtime', 'ai_edge_litert', 'onnxruntime'}"
    code = f"import sys, fleet.commands.pack; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=pack_runtime.ROOT)  # fmt: skip
    assert done.stdout == "[]\n"


def test_what_lasts_is_said_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    noting = Noting(lambda: now[0])
    for second in range(10):
        now[0] = second / 2
        noting.note(f"at {second}\x1b")
    assert capsys.readouterr().err == "vedette: at 4\\x1b\nvedette: at 8\\x1b\n"


def test_a_trouble_with_the_copy_names_the_users_own_file(tmp_path: Path) -> None:
    mine, scratch = tmp_path / "mine", tmp_path / "scratch"
    for folder, name in ((mine, "x.tflite"), (scratch, "door.tflite")):
        folder.mkdir()
        (folder / name).write_bytes(b"TFL3")
    bare = mine / "x.tflite"
    for original, told, meant in (
        (bare, scratch / "door.tflite", bare),
        (bare, scratch / "labels.txt", mine / "labels.txt"),
        (bare, scratch, bare),
        (mine, scratch / "x.tflite", bare),
    ):
        with (
            pytest.raises(Refused, match=rf"^{re.escape(str(meant))}: no model$"),
            spoken_of(scratch, original),
        ):
            raise Refused(f"{told}: no model")
