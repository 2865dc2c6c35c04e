"""Processes that start warm: forked from one that has imported already what they will need.

A front door takes a quarter of a second of a processor, and up to one, to import its packages; the
suite goes through it a thousand times. Each is a process of its own all the same, with environment,
folder, files and exit code as those of `python -m MODULE WORDS`, and starts at the same line.
What a start itself costs or imports is for tests that start Python: see tests/laws/test_commands.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 1 << 17  # bytes of a wish
# what commands import only when they need it
LATE = {
    "agent": ("wire.mqtt.mqtt", "paho.mqtt.client"),
    "runtime": ("ai_edge_litert.interpreter",),
    "run": ("ai_edge_litert.interpreter",),
    "ask": ("wire.mqtt.mqtt", "paho.mqtt.client"),
    "watch": ("wire.mqtt.mqtt", "paho.mqtt.client"),
    "fleet": ("wire.mqtt.mqtt", "paho.mqtt.client"),
    "fleet serve": ("fleet.serve.app", "fleet.serve.whole"),
    "fleet simulate": ("wire.mqtt.mqtt", "paho.mqtt.client"),
}
ALWAYS = ("cryptography.hazmat.primitives.asymmetric.ed25519",
          "cryptography.hazmat.primitives.serialization",
          "cryptography.hazmat.primitives.ciphers")  # fmt: skip


class Wish(NamedTuple):
    """A process that is wanted."""

    module: str
    words: list[str]
    folder: str
    environment: dict[str, str]


class Process:
    """As subprocess.Popen, as far as tests need it."""

    def __init__(
        self,
        words: Sequence[object],
        *,
        module: str = "vedette",
        cwd: Path | str = ROOT,
        env: Mapping[str, str] | None = None,
        stdout: IO[bytes] | IO[str] | int = subprocess.DEVNULL,
        stderr: IO[bytes] | IO[str] | int = subprocess.DEVNULL,
    ) -> None:
        """stdout, stderr: files, PIPE (of text), or DEVNULL. stdin is empty."""
        given = os.environ if env is None else env
        assert "LD_PRELOAD" not in given, "what is to be loaded first needs a Python of its own"
        wish = Wish(module, [str(word) for word in words], str(cwd), dict(given))
        self.returncode: int | None = None
        self._hears, says = os.pipe()
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, says)
            nothing = stack.enter_context(open(os.devnull, "r+b"))
            self.stdout, out = _ends(stdout, stack)
            self.stderr, err = _ends(stderr, stack)
            files = [each or nothing.fileno() for each in (None, out, err)]
            socket.send_fds(_nursery(_world()), [json.dumps(wish).encode()], [*files, says])
        pid = self._next(None)
        assert pid is not None and pid > 0, "no process can be forked any more"
        self.pid = pid

    def _next(self, timeout_s: float | None) -> int | None:
        """What is told next, None when the time is up: first its number, and then how it ended."""
        poll = select.poll()
        poll.register(self._hears, select.POLLIN)
        if not poll.poll(None if timeout_s is None else max(0.0, timeout_s) * 1000):
            return None
        said = os.read(self._hears, 8)
        return int.from_bytes(said, "little", signed=True) if said else -signal.SIGKILL

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """All that it says on its pipes, to its end. They are closed then."""
        pipes = (self.stdout, self.stderr)
        with ThreadPoolExecutor(2) as readers:
            said = [readers.submit(pipe.read) if pipe else None for pipe in pipes]
            try:
                self.wait(timeout)
            except BaseException:
                self.kill()  # else the readers would wait for ever
                raise
        out, err = ("" if each is None else each.result() for each in said)
        self._close()
        return out, err

    def _close(self) -> None:
        for pipe in (self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = self._next(timeout)
            if self.returncode is None:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            os.close(self._hears)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
        self.wait()


def run(
    words: Sequence[object],
    *,
    module: str = "vedette",
    cwd: Path | str = ROOT,
    env: Mapping[str, str] | None = None,
    timeout: float = 110.0,
) -> subprocess.CompletedProcess[str]:
    """To its end. What it says is read as text."""
    with contextlib.ExitStack() as stack:
        # files, not pipes: what it leaves behind may go on to hold them
        out, err = (stack.enter_context(_scratch()) for _ in range(2))
        process = Process(words, module=module, cwd=cwd, env=env, stdout=out, stderr=err)
        try:
            code = process.wait(timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess([module, *map(str, words)], code, *texts)


def _scratch() -> IO[bytes]:
    return open(os.memfd_create("said", os.MFD_CLOEXEC), "r+b")


def _ends(
    wanted: IO[bytes] | IO[str] | int, stack: contextlib.ExitStack
) -> tuple[IO[str] | None, int | None]:
    """Ours, to read from, and the number of that which the process writes to."""
    if wanted == subprocess.PIPE:
        ours, its = os.pipe()
        stack.callback(os.close, its)
        return open(ours, encoding="utf-8"), its
    return None, None if isinstance(wanted, int) else wanted.fileno()


def _world() -> tuple[int, ...]:
    """What a process has from the one that starts it, and cannot be told: networks, disks, user."""
    spaces = (os.stat(f"/proc/thread-self/ns/{name}").st_ino for name in ("net", "mnt"))
    return (*spaces, os.geteuid())


@functools.cache
def _nursery(world: tuple[int, ...]) -> socket.socket:
    """The way to the process that forks in this world, ours; it ends with this process."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.warm", str(its.fileno())], cwd=ROOT, pass_fds=[its.fileno()],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    its.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def attend(way: socket.socket) -> Wish | None:
    """Fork whoever is wished for. Returns in each of them, with its wish; None at the end."""
    poll = select.poll()
    poll.register(way, select.POLLIN)
    told: dict[int, tuple[int, int]] = {}  # by the pidfd: who, and where its end is told
    while True:
        for ready, _ in poll.poll():
            if ready in told:
                poll.unregister(ready)
                _tell_end(ready, *told.pop(ready))
                continue
            content, files, _, _ = socket.recv_fds(way, LARGEST, 4)
            if not content:
                return None
            wish = Wish(*json.loads(content))
            _import(wish)
            pid = os.fork()
            if not pid:
                for number in (0, 1, 2):
                    os.dup2(files[number], number)
                return wish
            for file in files[:3]:
                os.close(file)
            os.write(files[3], pid.to_bytes(8, "little", signed=True))
            pidfd = os.pidfd_open(pid)
            told[pidfd] = (pid, files[3])
            poll.register(pidfd, select.POLLIN)


def _tell_end(pidfd: int, pid: int, report: int) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(BrokenPipeError):  # nobody wants to know any more
        os.write(report, code.to_bytes(8, "little", signed=True))
    os.close(report)
    os.close(pidfd)


def _import(wish: Wish) -> None:
    """All that it will import. What cannot be imported here is its own affair."""
    import vedette
    from fleet.commands import fleet

    first, second = (*wish.words, "", "")[:2]
    found = [*ALWAYS, *LATE.get(first, ()), *LATE.get(f"{first} {second}", ())]
    if wish.module == "vedette" and first in vedette.COMMANDS:
        found.append(vedette.COMMANDS[first][0])
    if wish.module == "vedette" and first == "fleet" and second in fleet.COMMANDS:
        found.append(fleet.COMMANDS[second][0])
    if all(name in sys.modules for name in found):
        return
    for name in found:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # memory that is not looked at stays shared


def become(wish: Wish) -> None:
    """The process that was wished for, as Python would start it."""
    os.closerange(3, 1 << 16)
    os.environ.clear()
    os.environ.update(wish.environment)
    os.chdir(wish.folder)
    tempfile.tempdir = None  # what TMPDIR says counts
    paths = [path for path in wish.environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:1] = [wish.folder, *paths]
    if wish.environment.get("PYTHONFAULTHANDLER"):
        faulthandler.enable()
    sys.argv = [wish.module, *wish.words]
    runpy.run_module(wish.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    # forking is safe here: no thread of this process holds anything
    warnings.filterwarnings("ignore", "This process", DeprecationWarning)
    with socket.socket(fileno=int(sys.argv[1])) as taken:
        wished = attend(taken)
        if wished is not None:
            taken.detach()
    if wished is not None:
        become(wished)
