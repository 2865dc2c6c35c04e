"""Log lines: one line each, with the priority that journald reads where journald reads."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.laws.sources import room_files
from wire import logs
from wire.logs import goes_to_journal, log_to_stderr, set_level

ROOT = Path(__file__).resolve().parents[2]
log = logging.getLogger("vedette.tests")


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What was written to stderr. The logger is as before afterwards."""
    root = logging.getLogger(logs.ROOT)
    handlers, propagate, level = root.handlers[:], root.propagate, root.level
    yield lambda: capsys.readouterr().err
    root.handlers, root.propagate = handlers, propagate
    root.setLevel(level)


def test_a_person_reads_words(stderr: Callable[[], str]) -> None:
    log_to_stderr("info")
    log.info("the camera is back: %s", "/dev/video0")
    log.warning("it is hot")
    log.debug("not said")
    assert stderr() == ("vedette: the camera is back: /dev/video0\nvedette: warning: it is hot\n")


def test_strangers_words_neither_end_a_line_nor_command_a_terminal(
    stderr: Callable[[], str],
) -> None:
    log_to_stderr("info")
    log.info("label %s", "a\n<0>b\x1b[2J")
    assert stderr() == "vedette: label a\\n<0>b\\x1b[2J\n"


def test_the_level_can_be_changed_and_nothing_is_said_twice(stderr: Callable[[], str]) -> None:
    log_to_stderr("info")
    log_to_stderr("error")
    log.warning("no")
    set_level("debug")
    log.debug("yes")
    assert stderr() == "vedette: yes\n"


def test_journald_is_given_priorities_also_for_a_traceback(tmp_path: Path) -> None:
    """A real stderr whose name the environment has, as systemd gives it."""
    told = written(tmp_path, named=True)
    lines = told.splitlines()
    assert lines[0] == "<6>one" and lines[1] == "<4>two" and lines[2] == "<3>three"
    assert len(lines) > 4 and all(line.startswith("<3>") for line in lines[3:])
    assert lines[-1] == "<3>ValueError: four"


def test_a_stderr_that_journald_does_not_read_is_for_people(tmp_path: Path) -> None:
    """The environment is inherited by children whose stderr is another one."""
    assert written(tmp_path, named=False).startswith("vedette: one\nvedette: warning: two\n")


def test_no_stderr_is_no_journal() -> None:
    assert not goes_to_journal(None)


def test_every_logger_of_ours_is_below_the_one_that_is_set() -> None:
    """Else its lines would have neither our form nor our level."""
    found = {
        name
        for path in room_files()
        for name in re.findall(r"^log = logging.getLogger\((.*)\)$", path.read_text(), re.MULTILINE)
    }
    assert found
    assert [name for name in found if not name.startswith(f'"{logs.ROOT}.')] == []


def written(folder: Path, *, named: bool) -> str:
    path = folder / "stderr"
    with open(path, "wb") as file:
        status = os.fstat(file.fileno())
        inode = status.st_ino if named else status.st_ino + 1
        environment = os.environ | {"JOURNAL_STREAM": f"{status.st_dev}:{inode}"}
        code = (
            "import logging\nfrom wire.logs import log_to_stderr\nlog_to_stderr('info')\n"
            "log = logging.getLogger('vedette.x')\nlog.info('one')\nlog.warning('two')\n"
            "try:\n    raise ValueError('four')\nexcept ValueError:\n    log.exception('three')\n"
        )
        subprocess.run(
            [sys.executable, "-c", code], stderr=file, env=environment, cwd=ROOT, check=True
        )
    return path.read_text()
