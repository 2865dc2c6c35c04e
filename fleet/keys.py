"""Single keys from the terminal, without Enter and without an echo."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty


class Keys:
    """Nothing is read where standard input is no terminal, or the terminal is another's now."""

    def __init__(self) -> None:
        self._before: list[object] | None = None
        with contextlib.suppress(OSError, ValueError, AttributeError, termios.error):
            self._file = sys.stdin.fileno()
            # in the background, changing the terminal would stop us
            if os.tcgetpgrp(self._file) == os.getpgrp():
                before = termios.tcgetattr(self._file)
                tty.setcbreak(self._file, termios.TCSANOW)
                self._before = before

    def pressed(self) -> str:
        """What was typed since the last call."""
        if self._before is None or not select.select([self._file], [], [], 0)[0]:
            return ""
        try:
            typed = os.read(self._file, 64)
        except OSError:
            typed = b""
        if not typed:  # the terminal went
            self._before = None
        return typed.decode("ascii", "ignore")

    def close(self) -> None:
        """Give the terminal back as it was."""
        if self._before is not None:
            with contextlib.suppress(OSError, termios.error):
                termios.tcsetattr(self._file, termios.TCSANOW, self._before)
            self._before = None
