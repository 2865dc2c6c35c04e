"""How a process that tried or built a model ended, as a trouble of one line."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

from wire.troubles import Refused, Unavailable

MESSAGE_START = "vedette: "


@dataclass(frozen=True)
class Allowance:
    """What a model may take until it is known. memory_mb: None: as much as there is.

    done: what must be done with it within these seconds.
    """

    seconds: int
    memory_mb: int | None
    done: str = "run"


def judge(path: Path, code: int, said: str, allowed: Allowance) -> None:
    """Returns if it did what it should. code: its exit status, said: its stderr.

    Raises Refused or Unavailable as it said; Refused if it crashed, hung or ran out of its memory;
    Unavailable if the machine had no memory left for it: that is not the model's fault alone.
    """
    if code == 0:
        return
    ours = own_words(said)
    if code in (1, 2) and ours is not None:
        raise (Refused if code == 2 else Unavailable)(ours)
    if code == -signal.SIGALRM:
        raise Refused(
            f"{path}: is not {allowed.done} within {allowed.seconds} s: "
            "the file is hostile, or too large for this machine"
        )
    if "MemoryError" in said or "bad_alloc" in said:
        if allowed.memory_mb is None:
            raise Unavailable(f"{path}: needs more memory than is free here now: stop others")
        raise Refused(
            f"{path}: needs more than {allowed.memory_mb} MB of memory, "
            "which is all that a model may take here"
        )
    if code == -signal.SIGKILL:  # by the kernel: such a process is the first to go
        raise Unavailable(
            f"{path}: needs more memory than is free here now: stop others, or use a board with "
            "more"
        )
    if code < 0:
        raise Refused(
            f"{path}: crashes its engine ({signal_name(-code)}): the file is broken or hostile"
        )
    last = (said.strip().splitlines() or [f"exit code {code}"])[-1]
    raise Refused(f"{path}: cannot be {allowed.done}: {last}")


def own_words(said: str) -> str | None:
    """The trouble that a process of ours told on its stderr, if it came to that."""
    ours = [line for line in said.splitlines() if line.startswith(MESSAGE_START)]
    return ours[-1].removeprefix(MESSAGE_START) if ours else None


def signal_name(number: int) -> str:
    """As in signal(7); most real-time signals have no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
