"""A broker for one command: mosquitto, on loopback and in a folder that goes with it."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wire.troubles import Unavailable

HOST = "127.0.0.1"
START_S = 10.0
TRIES = 5  # a free port may be taken by somebody else before the broker has it


@contextmanager
def broker() -> Iterator[str]:
    """Its address. Raises Unavailable."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise Unavailable("mosquitto is missing: apt install mosquitto, or name a --broker")
    with tempfile.TemporaryDirectory(prefix="tuf-client-") as name:
        for _ in range(TRIES):
            port = _free_port()
            process = _started(program, Path(name), port)
            try:
                if _listens(process, port):
                    yield f"mqtt://{HOST}:{port}"
                    return
            finally:
                process.kill()
                process.wait()
    raise Unavailable("mosquitto does not start")


def _started(program: str, folder: Path, port: int) -> subprocess.Popen[bytes]:
    config = folder / "mosquitto.conf"
    lines = (f"user {getpass.getuser()}", f"listener {port} {HOST}", "allow_anonymous true", "")
    config.write_text("\n".join(lines), encoding="utf-8")
    return subprocess.Popen(
        [program, "-c", str(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s and process.poll() is None:
        with suppress(OSError):
            socket.create_connection((HOST, port), 1).close()
            return process.poll() is None
        threading.Event().wait(0.01)  # time.sleep fails under faketime
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
