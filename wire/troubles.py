"""The two troubles that are handled. Anything else is a bug and ends the process."""

from __future__ import annotations

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
    """Run a command to its exit code; a trouble becomes one line on stderr, never a traceback."""
    try:
        code = main(argv)
        sys.stdout.flush()
        return code
    except Trouble as trouble:
        print(f"vedette: {trouble}", file=sys.stderr)
        return 2 if isinstance(trouble, Refused) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # the reader went away (`| head`): nothing more to say, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
