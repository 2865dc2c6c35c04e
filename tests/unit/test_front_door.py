"""The front door as a user sees it: words in, one clear line and an exit code out."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import vedette
from runtime.cameras import KINDS
from runtime.commands import run
from wire import troubles
from wire.version import VERSION

ROOT = Path(__file__).resolve().parents[2]


def test_says_what_it_can_do_and_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert vedette.main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(command in told for command in vedette.COMMANDS)
    assert vedette.main(["--version"]) == 0
    assert capsys.readouterr().out == f"vedette {VERSION}\n"


@pytest.mark.parametrize("words", [[], ["fly"], ["--fly"], [""]])
def test_a_command_that_is_not_there_is_the_users_mistake(words: list[str]) -> None:
    assert vedette.main(words) == 2


def test_names_the_word_that_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    vedette.main(["fly"])
    told = capsys.readouterr().err
    assert "no command 'fly'" in told
    assert "run" in told


def test_explaining_itself_loads_no_room() -> None:
    """`vedette --help` must work, and be quick, where numpy and the engines are missing."""
    code = (
        "import sys, vedette; vedette.main(['--help'])\n"
        "sys.exit(any(n.split('.')[0] in ('numpy', 'cv2', 'runtime') for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=-3).returncode == 0


def test_a_missing_package_is_named_in_one_line() -> None:
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "import vedette; sys.exit(vedette.main(['run', '--help']))"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 1
    assert "Traceback" not in told.stderr
    assert told.stderr.startswith("vedette: cannot load a Python package:")
    assert "numpy" in told.stderr
    assert told.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (troubles.Refused("bad: use another"), 2),
        (troubles.Unavailable("gone: plug it in"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_a_trouble_is_one_line_and_a_code(
    trouble: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(_: object) -> int:
        raise trouble

    assert troubles.exit_code(command, []) == code
    told = capsys.readouterr().err
    assert told == (f"vedette: {trouble}\n" if str(trouble) else "")


def test_a_bug_is_not_hidden() -> None:
    def command(_: object) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        troubles.exit_code(command, [])


def test_a_hostile_name_cannot_write_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    def command(_: object) -> int:
        raise troubles.Refused("no such file: a\nb\x1b[2J\u202e.tflite")

    troubles.exit_code(command, [])
    assert capsys.readouterr().err == "vedette: no such file: a\\nb\\x1b[2J\\u202e.tflite\n"


MUCH = "for _ in range(100_000): print('a line of output')\nreturn 0"


def shell(body: str, tail: str) -> subprocess.CompletedProcess[str]:
    """Run a command with this body through the front door's exit, in a shell with this tail."""
    lines = "\n    ".join(body.splitlines())
    code = (
        f"import sys, time\nfrom wire.troubles import exit_code\n"
        f"def main(_):\n    {lines}\nsys.exit(exit_code(main, []))"
    )
    return subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {tail}', sys.executable, code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_a_reader_that_leaves_early_is_no_fault() -> None:
    told = shell(MUCH, '| head -n 1; echo "code ${PIPESTATUS[0]}"')
    assert told.stdout == "a line of output\ncode 141\n"
    assert told.stderr == ""


@pytest.mark.parametrize("body", [MUCH, "print('one line')\nreturn 0"])
def test_a_full_disk_is_said_in_one_line(body: str) -> None:
    told = shell(body, "> /dev/full")
    assert told.returncode == 1
    assert told.stderr == (
        "vedette: cannot write: No space left on device: make room and try again\n"
    )


def test_a_closed_output_is_no_fault() -> None:
    told = shell("print('unheard')\nreturn 0", ">&-")
    assert (told.returncode, told.stderr) == (0, "")


def test_ctrl_c_ends_quietly() -> None:
    code = (
        "import sys, time\nfrom wire.troubles import exit_code\n"
        "def main(_):\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "sys.exit(exit_code(main, []))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=30)
    assert (child.returncode, told) == (130, b"")


def test_the_help_names_every_kind_of_camera() -> None:
    text = "".join(run.parser().format_help().split())
    ours = [kind for kind, home in KINDS.items() if home.startswith("runtime.")]  # no twin of tests
    kinds = {kind for kind in ours if kind[:-1] not in ours}  # with and without TLS
    assert [kind for kind in sorted(kinds) if f"{kind}://" not in text] == []
