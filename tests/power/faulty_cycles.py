"""Updates on a disk that fails now and then, each followed by one without failures. For fiu-run.

    fiu-run -x -f '' python -m tests.power.faulty_cycles DEPOTS STATE SEED CYCLES CHANCE

DEPOTS/N is a depot whose newest version is N, 1 and up. In a process of its own each cycle opens
the device in STATE/LIFE and lets it take the next version, while any call of the disk may fail;
whatever comes of it, another process then opens it without faults, and must bring that version in.
Prints a line of JSON for each cycle: how the first process ended.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from models import bundle
from tests.power.device_life import config_of
from tests.power.survivor import DepotFolder, Survivor
from wire.config import Config
from wire.troubles import Trouble

# a close that fails closes all the same, on Linux; libfiu would leave the file open
KINDS = (b"posix/io/oc/open", b"posix/io/rw/*", b"posix/io/sync/*", b"posix/io/dir/*")
ERRORS = (errno.EIO, errno.ENOSPC, errno.ENOMEM, errno.EMFILE)
LONGEST_S = 60  # of a process: then it hangs
ENDS = {0: "well", 3: "trouble", 4: "error of the disk", 5: "bug", -signal.SIGALRM: "hung"}


class Device:
    """A device of the fleet whose depots these are."""

    def __init__(self, depots: Path) -> None:
        self.count = len(list(depots.iterdir()))
        root = depots / "1" / "metadata" / "1.root.json"
        self._root = root.read_bytes()
        self._config: Config = config_of(root)
        self._depots = {n: DepotFolder(depots / str(n)) for n in range(1, self.count + 1)}
        for depot in self._depots.values():
            depot.read_all()

    def take(self, state: Path, version: int) -> None:
        """Whatever comes of it."""
        with self._opened(state, version) as device:
            device.live(30)

    def bring_in(self, state: Path, version: int) -> None:
        """It must be good in the end, and nothing else be left."""
        with self._opened(state, version) as device:
            first = device.store.pipeline("lane")
            for digest in device.store.installed():
                whole = bundle.folder_digest(device.store.folder(digest))
                assert whole == digest or digest not in (first.active, first.good)
            assert version == 1 or first.good is not None, "the model of before is lost"
            device.live(60)
            update, lane = device.update, device.store.pipeline("lane")
            assert update is not None, device.words
            assert (update.version, update.phase) == (str(version), "good"), (
                update,
                device.words,
                device.told,
            )
            assert lane.active == lane.good == update.digest == device.runtime.digest
            device.sweep()
            assert device.store.installed() == (lane.good,)
            assert bundle.folder_digest(device.store.folder(lane.good or "")) == lane.good
        left = [path.name for path in state.rglob("*") if path.name.endswith((".part", ".zip"))]
        assert not left

    def _opened(self, state: Path, version: int) -> Survivor:
        return Survivor(state, self._depots[version], self._config, self._root)


def fail_by_chance(seed: int, chance: float) -> None:
    """From here on any call of the disk may fail."""
    fiu = ctypes.CDLL("libfiu.so.0")
    fiu.fiu_set_prng_seed.argtypes = [ctypes.c_uint]
    kinds = [ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_float]
    fiu.fiu_enable_random.argtypes = kinds
    fiu.fiu_set_prng_seed(seed)
    for kind in KINDS:
        assert fiu.fiu_enable_random(kind, 1, ERRORS[seed % len(ERRORS)], 0, chance) == 0


def ended(act: Callable[[], None], log: Path | None) -> int:
    """How a process of its own that does this ends. log: for what it says."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    signal.alarm(LONGEST_S)
    if log is not None:
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
    code = 0
    try:
        act()
    except Trouble:
        code = 3
    except OSError:
        code = 4
    except BaseException:
        traceback.print_exc()
        code = 5
    os._exit(code)


def main(depots: Path, states: Path, seed: int, cycles: int, chance: float) -> int:
    device = Device(depots)
    with tempfile.TemporaryDirectory() as warm:  # all is imported before a call can fail
        device.take(Path(warm), 1)
    state = states
    for cycle in range(cycles):
        version = cycle % device.count + 1
        if version == 1:
            shutil.rmtree(state, ignore_errors=True)
            state = states / str(cycle)
            state.mkdir(parents=True)

        def faulty(state: Path = state, version: int = version, cycle: int = cycle) -> None:
            fail_by_chance(seed + cycle, chance)
            device.take(state, version)

        def clean(state: Path = state, version: int = version) -> None:
            device.bring_in(state, version)

        log = states / "faulty.log"
        first = ended(faulty, log)
        told = log.read_text(errors="replace")[-2000:] if first == 5 else ""
        second = ended(clean, None)
        print(json.dumps([cycle, ENDS.get(first, str(first)), ENDS[second], told]), flush=True)
        if second:
            return 1
    return 0


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(Path(words[0]), Path(words[1]), int(words[2]), int(words[3]), float(words[4])))
