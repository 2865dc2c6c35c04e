"""Tries what happens if a process dies, fails or hangs at one state of an update (wire/steps.py).

Off, unless the process was started with VEDETTE_FAULT=STATE:KIND[:N[:DIGEST]] in its environment:
the N-th time (the first, unless said) that STATE is reached it does

    kill     end at once by SIGKILL, as a power cut of this process would
    error    raise RuntimeError, as a bug would
    hang     wait for ever on the thread that came there
    enospc   raise OSError: the disk is full
    eio      raise OSError: the disk fails

DIGEST: only of a model whose digest begins so, where a state is about a model. With
VEDETTE_FAULT_ONCE=FILE it does so once: it makes FILE first, and nothing where FILE is already, so
that the process which is started next goes on.

No unit of systemd sets these. Whoever can set the environment of a service can run anything in its
place: for an attacker there is nothing here to gain.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from wire.steps import NAMES, Strike, set_strike
from wire.troubles import Refused

FAULT, ONCE = "VEDETTE_FAULT", "VEDETTE_FAULT_ONCE"

log = logging.getLogger("vedette.fault")


def arm(environment: Mapping[str, str] = os.environ) -> None:
    """Have the fault that the environment names come true. Raises Refused for one that cannot."""
    wish = environment.get(FAULT, "")
    if not wish:
        set_strike(None)
        return
    set_strike(_strike_of(wish, environment.get(ONCE, "")))
    log.warning("%s=%s: this process is about to fail on purpose", FAULT, wish)


def _strike_of(wish: str, once: str) -> Strike:
    state, kind, times, about = [*wish.split(":"), "", "", ""][:4]
    if state not in NAMES or kind not in KINDS or wish.count(":") > 3:
        raise Refused(
            f"{FAULT}={wish}: must be STATE:KIND[:N[:DIGEST]], STATE one of the table in "
            f"docs/reliability.md, KIND one of {', '.join(KINDS)}"
        )
    if times and not (times.isdecimal() and int(times) > 0):
        raise Refused(f"{FAULT}={wish}: {times} must be a number from 1 on")
    if about.strip("0123456789abcdef"):
        raise Refused(f"{FAULT}={wish}: {about} must be how a digest begins, in hex digits")
    if once and not Path(once).parent.is_dir():
        raise Refused(f"{ONCE}={once}: there is no folder {Path(once).parent}")
    left = int(times or 1)

    def strike(name: str, digest: str) -> None:
        nonlocal left
        if name != state or not digest.startswith(about):
            return
        left -= 1
        if left == 0 and _is_first(once):
            log.warning("%s=%s: now", FAULT, wish)
            KINDS[kind](f"{FAULT}={wish}")

    return strike


def _is_first(once: str) -> bool:
    if not once:
        return True
    try:
        os.close(os.open(once, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    return True


def _kill(_: str) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL does not return")


def _fail(why: str) -> NoReturn:
    raise RuntimeError(why)


def _hang(_: str) -> NoReturn:
    while True:
        time.sleep(3600)


def _fill(why: str) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), why)


def _break(why: str) -> NoReturn:
    raise OSError(errno.EIO, os.strerror(errno.EIO), why)


KINDS: dict[str, Callable[[str], NoReturn]] = {
    "kill": _kill,
    "error": _fail,
    "hang": _hang,
    "enospc": _fill,
    "eio": _break,
}
