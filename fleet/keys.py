"""Single keys from the terminal, without Enter and without an echo."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Callable
from functools import partial


class Keys:
    """Nothing is read where standard input is no terminal, or the terminal is another's now."""

    def __init__(self) -> None:
        self._give_back: Callable[[], None] | None = None
        with contextlib.suppress(OSError, ValueError, AttributeError, termios.error):
            self._file = sys.stdin.fileno()
            # in the background, changing the terminal would stop us
            if os.tcgetpgrp(self._file) == os.getpgrp():
                before = termios.tcgetattr(self._file)
                tty.setcbreak(self._file, termios.TCSANOW)
                self._give_back = partial(termios.tcsetattr, self._file, termios.TCSANOW, before)

    def pressed(self) -> str:
        """What was typed since the last call."""
        if self._give_back is None or not select.select([self._file], [], [], 0)[0]:
            return ""
        try:
            typed = os.read(self._file, 64)
        except OSError:
            typed = b""
        if not typed:  # the terminal went
            self._give_back = None
        return typed.decode("ascii", "ignore")

    def close(self) -> None:
        """Give the terminal back as it was."""
        if self._give_back is not None:
            with contextlib.suppress(OSError, termios.error):
                self._give_back()
            self._give_back = None
