"""Log lines on stderr: for a person in words, for journald with the level that it reads."""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

from wire.troubles import one_line

ROOT = "vedette"  # every logger of ours is below this one
PRIORITIES = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}


def log_to_stderr(level: str) -> None:
    """From now on what is logged goes to stderr. level: debug, info, warning or error. May be
    called again."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JournalLines() if goes_to_journal(sys.stderr) else PlainLines())
    root = logging.getLogger(ROOT)
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.propagate = False
    set_level(level)


def set_level(level: str) -> None:
    """What is below this level is not logged any more."""
    logging.getLogger(ROOT).setLevel(level.upper())


def goes_to_journal(stream: TextIO | None) -> bool:
    """Whether journald reads this stream: systemd names its file in the environment, and a child
    that was given another one inherits the name (systemd.exec(5), JOURNAL_STREAM)."""
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(stream.fileno()) if stream is not None else None
    except (OSError, ValueError):
        return False
    return status is not None and named == f"{status.st_dev}:{status.st_ino}"


class PlainLines(logging.Formatter):
    """`vedette: what happened`; from warnings up with the level's name."""

    def format(self, record: logging.LogRecord) -> str:
        grave = record.levelno >= logging.WARNING
        start = f"vedette: {record.levelname.lower()}: " if grave else "vedette: "
        return "\n".join(start + line for line in lines_of(self, record))


class JournalLines(logging.Formatter):
    """Every line begins with its priority in angle brackets (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        start = f"<{PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(start + line for line in lines_of(self, record))


def lines_of(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    """The message as one line, then the traceback if there is one. Names of files and words of
    strangers are in it, so nothing in a line can end it or command a terminal."""
    lines = [one_line(record.getMessage())]
    if record.exc_info:
        lines += map(one_line, formatter.formatException(record.exc_info).splitlines())
    return lines
