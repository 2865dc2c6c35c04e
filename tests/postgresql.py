"""A real PostgreSQL server in a folder of its own, on a free port of loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

import pytest

from tests.brokers import HOST, free_port

START_S = 60.0
# what is durable stays as it is: tests are about that
LINES = "shared_buffers = 64MB\nmax_connections = 60\nlogging_collector = off\n"


class Postgresql:
    """`with` starts it and ends it; meanwhile it can be killed and started again."""

    def __init__(self, folder: Path | None = None) -> None:
        self._programs = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="vedette-pg-", dir=folder))
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._user = None if os.geteuid() else _somebody()

    def __enter__(self) -> Postgresql:
        if self._user is not None:
            _let_through(self._folder)
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, -1)
        subprocess.run(
            [self._programs / "initdb", "-D", self._place, "-U", "vedette", "-A", "trust", "-E",
             "UTF8", "--locale=C", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, user=self._user,
            cwd=self._folder,
        )  # fmt: skip
        (self._place / "postgresql.auto.conf").write_text(LINES)
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _place(self) -> Path:
        return self._folder / "server"

    @property
    def url(self) -> str:
        return f"postgresql://vedette@{HOST}:{self._port}/postgres"

    def fresh(self, name: str) -> str:
        """A new database. Returns its address."""
        subprocess.run(
            [self._programs / "createdb", "-h", HOST, "-p", str(self._port), "-U", "vedette", name],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return f"postgresql://vedette@{HOST}:{self._port}/{name}"

    def start(self) -> None:
        until_s = time.monotonic() + START_S
        self._launch()
        while not self._answers():
            assert time.monotonic() < until_s, self.log
            if self._process is not None and self._process.poll() is not None:
                time.sleep(0.2)  # processes of one that was killed are still ending
                self._launch()
            time.sleep(0.05)

    def _launch(self) -> None:
        command = [self._programs / "postgres", "-D", self._place, "-p", str(self._port),
                   "-c", f"listen_addresses={HOST}", "-k", self._folder]  # fmt: skip
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self._user,
                cwd=self._folder, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server was not started"
        return self._process.pid

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def stop(self) -> None:
        """At once, but in order: connections are ended."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """As a power cut does, but for what the disk forgets."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(START_S)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(START_S)

    def _answers(self) -> bool:
        asked = subprocess.run(
            [self._programs / "pg_isready", "-q", "-h", HOST, "-p", str(self._port)], check=False
        )
        return asked.returncode == 0


def _programs() -> Path:
    """The folder of the server's programs."""
    found = shutil.which("initdb")
    if found is not None:
        folder = Path(found).resolve().parent
        if (folder / "pg_isready").exists():
            return folder
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not places:
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    return places[-1].parent


def _somebody() -> str:
    """Its programs do not run as root."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.skip("no user to run PostgreSQL as")


def _let_through(folder: Path) -> None:
    """Folders above it are pytest's, and for its user only."""
    for above in folder.parents:
        mode = above.stat().st_mode
        if above.owner() == pwd.getpwuid(os.geteuid()).pw_name and not mode & 0o001:
            above.chmod(mode | 0o011)
