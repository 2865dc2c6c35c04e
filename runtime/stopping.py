"""How a command that runs until it is told to end hears signals."""

from __future__ import annotations

import os
import signal
import threading

ENDS = (signal.SIGTERM, signal.SIGINT)
_asked = threading.Event()  # replaced where somebody listens


def leave_on_sigterm(exit_code: int = 128 + signal.SIGTERM) -> None:
    """Until there is a loop to stop: end as the signal asks, but give back what was taken, such as
    an unpacked bundle."""

    def leave(*_: object) -> None:
        raise SystemExit(exit_code)

    signal.signal(signal.SIGTERM, leave)


def stop_on_signals() -> threading.Event:
    """SIGTERM and SIGINT ask for an end; a second one, of either kind, leaves at once.

    They are heard on a thread of their own: Python's handlers wait until the engine returns, and
    an engine that hangs does not.
    """
    global _asked
    stop = _asked = threading.Event()
    hears, tells = os.pipe()
    os.set_blocking(tells, False)
    signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
    for number in ENDS:
        signal.signal(number, lambda *_: None)
    threading.Thread(target=_listen, args=(hears, stop), name="signals", daemon=True).start()
    return stop


def is_asked_for() -> bool:
    """Whether a signal has asked this process to end: who waits for long, looks at it."""
    return _asked.is_set()


def _listen(hears: int, stop: threading.Event) -> None:
    while True:
        for number in os.read(hears, 64):
            if number in ENDS and stop.is_set():
                os._exit(128 + number)
            if number in ENDS:
                stop.set()
