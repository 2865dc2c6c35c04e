"""One door, knocked at in a process with limits: python -m scripts.fuzzing.child JOB."""

from __future__ import annotations

import ctypes
import importlib
import logging
import os
import random
import resource
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import msgspec

from scripts.fuzzing.board import MOST, Board
from scripts.fuzzing.finds import MOST as MOST_FINDS
from scripts.fuzzing.finds import Find, find_of, save
from scripts.fuzzing.jobs import SEEDS, Job
from tests.fuzz.door import Door, scratch, tried

if TYPE_CHECKING:
    from tests.fuzz.changing import Stock
    from tests.fuzz.door import Opened

END_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
MIB = 1 << 20
ROOM_MIB = 64  # of addresses, for threads and allocators
PEAK_EVERY = 256


class TooLong(BaseException):
    """An input took more of the processor than its door allows. No `except Exception` hides it."""


def main() -> int:
    """0: done. 3: too many finds."""
    job = msgspec.json.decode(sys.argv[1], type=Job)
    logging.disable(logging.CRITICAL)
    ctypes.CDLL(None).prctl(END_WITH_PARENT, signal.SIGKILL)
    with ExitStack() as last:
        folder = last.enter_context(scratch(Path(job.board).parent))
        board = last.enter_context(Board(Path(job.board)))
        if job.engine == "atheris":
            guided(job, board, folder, last)
            return 0
        door = _door(job)
        knocking = Knocking(door, door.open(folder, last), job, board)
        return by_chance(knocking, job)


def by_chance(knocking: Knocking, job: Job) -> int:
    """The built-in search: changes of seeds, drawn by chance."""
    from tests.fuzz.changing import changed, drawn

    chance = random.Random(f"{job.door} {job.seed}")  # noqa: S311 - to be repeated
    end_s = time.monotonic() + job.seconds
    for _ in range(job.inputs):
        if time.monotonic() >= end_s:
            break
        seed = chance.choice(knocking.opened.seeds)
        dice = chance.random()
        if dice < 0.02:
            content = chance.randbytes(chance.randrange(300))
        else:
            content = changed(seed, drawn(chance), knocking.stock)
        knocking.knock(content)
        if len(knocking.known) >= MOST_FINDS:
            return 3
    return 0


def guided(job: Job, board: Board, folder: Path, last: ExitStack) -> None:
    """The search of libFuzzer, led by the lines that an input reaches. Does not return. When its
    time is over, the parent ends it: libFuzzer's own limit of time may end an input in the middle,
    which looks as if the input had done it."""
    import atheris

    with atheris.instrument_imports(include=["agent", "fleet", "models", "runtime", "wire"]):
        door = _door(job)
    from tests.fuzz.changing import changed, drawn

    knocking = Knocking(door, door.open(folder, last), job, board)
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(knocking.opened.seeds):
        (corpus / str(number)).write_bytes(seed)

    def mutate(content: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)  # noqa: S311 - to be repeated
        dice = chance.random()
        if dice < 0.3:
            return bytes(atheris.Mutate(content, most))
        begin = content if dice < 0.7 else chance.choice(knocking.opened.seeds)
        return changed(begin, drawn(chance), knocking.stock)[:most]

    options = [
        f"-runs={min(job.inputs, 2**31 - 1)}", f"-seed={job.seed % SEEDS + 1}",
        f"-max_len={min(door.most_bytes, MOST)}", "-timeout=0", "-rss_limit_mb=0",
        "-print_final_stats=1", f"-artifact_prefix={folder}/", str(corpus),
    ]  # fmt: skip
    atheris.Setup(["fuzz", *options], knocking.knock, custom_mutator=mutate)
    atheris.Fuzz()


class Knocking:
    """Tries inputs, each within the door's limits. known: what was found, by its place."""

    def __init__(self, door: Door, opened: Opened, job: Job, board: Board) -> None:
        self.known: set[str] = set()
        self.opened = opened
        self.stock = _stock(door, opened)
        self._door = door
        self._crashes = Path(job.crashes)
        self._board = board
        self._is_at_it = False
        signal.signal(signal.SIGPROF, self._too_long)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        most = _address_bytes() + (door.most_mib + ROOM_MIB) * MIB
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        self._begun_kib = _peak_kib()

    def knock(self, content: bytes) -> None:
        """Try one input, and write down what must not have come of it."""
        content = content[: min(self._door.most_bytes, MOST)]
        self._board.begin(content)
        outcome, self._is_at_it = "wrong", True
        signal.setitimer(signal.ITIMER_PROF, self._door.limit_s)
        try:
            outcome = tried(self.opened.attempt, content)
        except TooLong as error:
            self._note(find_of(error, "slow"), content)
        except MemoryError as error:
            self._note(find_of(error, "memory"), content)
        except Exception as error:
            self._note(find_of(error, "error"), content)
        finally:
            self._is_at_it = False
            signal.setitimer(signal.ITIMER_PROF, 0)
        if self._board.inputs % PEAK_EVERY == 0:
            self._board.peak_kib = max(self._board.peak_kib, _peak_kib() - self._begun_kib)
        self._board.end(outcome)

    def _too_long(self, _signal: int, _frame: FrameType | None) -> None:
        if self._is_at_it:
            raise TooLong

    def _note(self, find: Find, content: bytes) -> None:
        if find.where not in self.known:
            self.known.add(find.where)
            save(self._crashes, self._door.name, find, content)


def _door(job: Job) -> Door:
    found: Door = importlib.import_module(job.table).BY_NAME[job.door]
    return found


def _stock(door: Door, opened: Opened) -> Stock:
    from tests.fuzz.changing import Stock

    return Stock(door.form, door.words, opened.seeds)


def _address_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
