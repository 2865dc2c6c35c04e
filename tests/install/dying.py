"""Runs something in a process that is killed right before one of its durable steps."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from installing import durable

DURABLE = ("write", "link", "remove", "make_folder", "sync_all")


def in_a_child(act: Callable[[], object], steps: int) -> bool:
    """steps: how many it may take before it is killed with SIGKILL. Whether it was."""
    pid = os.fork()
    if pid == 0:
        left = [steps]

        def dying(known: Callable[..., object]) -> Callable[..., object]:
            def step(*words: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return known(*words)

            return step

        for name in DURABLE:
            setattr(durable, name, dying(getattr(durable, name)))
        try:
            act()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])
