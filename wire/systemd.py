"""Tells systemd how its service is: ready, alive, what it does (sd_notify, over NOTIFY_SOCKET).

Protocol: sd_notify(3) and sd_watchdog_enabled(3). Without the environment that systemd gives,
nothing is said and nothing is due. Nothing here raises or waits, and the environment stays as it
is: systemd itself listens to the main process only (NotifyAccess=main).
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

NEVER_S = float("inf")
MOST_UNSAID = 4000  # characters; what comes first is kept: READY


class Notifier:
    """One service's line to systemd. clock: seconds, monotonic. pid: of this process."""

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
        pid: int | None = None,
    ) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._socket: socket.socket | None = None
        if self._address is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._clock = clock
        self._unsaid = ""  # what found no room
        self.watchdog_s = watchdog_s(environment, os.getpid() if pid is None else pid)
        self._period_s = self.watchdog_s / 3 if self.watchdog_s is not None else NEVER_S
        self._due_s = 0.0 if self._socket is not None and self.watchdog_s is not None else NEVER_S

    def ready(self, status: str) -> None:
        """The service is up; status: what it does, one line."""
        self._tell(f"READY=1\n{_status(status)}")

    def status(self, status: str) -> None:
        """What the service does now, as `systemctl status` shows it."""
        self._tell(_status(status))

    def due(self, now_s: float) -> bool:
        """Whether the watchdog should be petted, if there is reason to. Cheap enough per frame."""
        return now_s >= self._due_s

    def watchdog(self) -> None:
        """The service does what it is there for: pet the watchdog. Next due in a third of its
        time."""
        if self._due_s < NEVER_S and self._send("WATCHDOG=1\n"):
            self._due_s = self._clock() + self._period_s

    def stopping(self, status: str) -> None:
        """The service is on its way out; the watchdog no longer matters."""
        self._due_s = NEVER_S
        self._tell(f"STOPPING=1\n{_status(status)}")

    def extend_timeout(self, seconds: float) -> None:
        """Starting (or stopping) takes longer than the unit allows: so long from now, at most."""
        self._tell(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}\n")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._due_s = NEVER_S

    def __enter__(self) -> Notifier:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _tell(self, lines: str) -> None:
        """What finds no room is said together with what comes next: a lost READY would be fatal."""
        if not self._send(lines) and len(self._unsaid) < MOST_UNSAID:
            self._unsaid += lines

    def _send(self, lines: str) -> bool:
        """Whether it was said, or nobody wants to hear it."""
        if self._socket is None or self._address is None:
            return True
        try:
            text = (self._unsaid + lines).encode("utf-8", "replace")
            self._socket.sendto(text, socket.MSG_DONTWAIT, self._address)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self._unsaid = ""
        return True


def watchdog_s(environment: Mapping[str, str], pid: int) -> float | None:
    """How long this service may be silent before systemd kills it; None: as long as it likes."""
    with contextlib.suppress(ValueError):
        interval_us = int(environment.get("WATCHDOG_USEC", ""))
        meant_for = int(environment.get("WATCHDOG_PID", pid))
        if interval_us > 0 and meant_for == pid:
            return interval_us / 1e6
    return None


def _address(text: str) -> str | None:
    """A path, or a name in Linux's abstract space, which systemd writes with an @."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else None


def _status(text: str) -> str:
    line = "".join(c if c.isprintable() else " " for c in text)
    return f"STATUS={line[:400]}\n"
