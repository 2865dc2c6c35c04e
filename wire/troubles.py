"""The two troubles that are handled. Anything else is a bug and ends the process."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence


class Trouble(Exception):
    """Something a person must read. The message is one line: what is wrong, and what to do."""


class Refused(Trouble):
    """What we were given is bad. Trying again will not help: tell the sender. Exit code 2."""


class Unavailable(Trouble):
    """Something we need is not there now. Trying again later may help. Exit code 1."""


def exit_code(main: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    """Run a command to its exit code; a trouble becomes one line on stderr, never a traceback.

    0 and up: what `main` returned. 1: Unavailable, or the disk is full. 2: Refused. 130: Ctrl-C.
    141: the reader of our output went away (`| head`).
    """
    try:
        code = main(argv)
        if sys.stdout is not None:  # None: started with standard output closed
            sys.stdout.flush()
        return code
    except Trouble as trouble:
        print(f"vedette: {one_line(str(trouble))}", file=sys.stderr)
        return 2 if isinstance(trouble, Refused) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        forget_output()
        return 141
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        forget_output()
        print(f"vedette: cannot write: {error.strerror}: make room and try again", file=sys.stderr)
        return 1


def one_line(text: str) -> str:
    """Text that may hold anything (a file name, a label), safe to print: control characters and
    line ends are shown as escapes, so a hostile name can neither break the line nor the terminal.
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def forget_output() -> None:
    """Nothing more can be written to standard output: not even the rest, when Python ends."""
    if sys.stdout is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
