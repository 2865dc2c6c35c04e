"""`vedette fleet serve` as a process of its own, and who signs in to it."""

from __future__ import annotations

import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx

from tests.brokers import Amqtt, Mosquitto
from tests.depot_folder import Yard, write_fleet_toml
from tests.story.depot_process import PROJECT, until

PATIENCE_S = 60.0


class ServeProcess:
    """On a yard's folder. lines: what it said. A `with`."""

    def __init__(self, yard: Yard, broker: Mosquitto | Amqtt, *options: str) -> None:
        self.folder = write_fleet_toml(yard, broker.port)
        words = ["fleet", "serve", "--dir", str(self.folder), "--listen", "127.0.0.1:0", *options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vedette", *words], cwd=PROJECT, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._clients: list[httpx.Client] = []

    @property
    def home(self) -> str:
        """Where it is, once it says so."""
        found: list[str] = []

        def is_said() -> bool:
            text = "".join(list(self.lines))
            found[:] = re.findall(r"the dashboard is at (\S+)/\n", text)
            assert found or self.process.poll() is None, text
            return bool(found)

        until("an address", is_said)
        return found[0]

    def first_account(self) -> tuple[str, str]:
        """The name and the password that the first start shows."""
        pattern = re.compile(r"sign in as (\S+) with the password (\S+)\n")
        until("a password", lambda: any(map(pattern.match, list(self.lines))))
        told = next(found for line in self.lines if (found := pattern.match(line)))
        return told[1], told[2]

    def client(self, ca_file: Path | None = None) -> httpx.Client:
        verify: bool | ssl.SSLContext = True
        if ca_file is not None:
            verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            verify.load_verify_locations(ca_file)
        client = httpx.Client(
            base_url=self.home, timeout=PATIENCE_S, trust_env=False, verify=verify
        )
        self._clients.append(client)
        return client

    def signed_in(self, name: str, password: str) -> httpx.Client:
        client = self.client()

        def is_in() -> bool:
            try:
                answer = client.post(
                    "/sign-in", data={"name": name, "password": password},
                    headers={"origin": self.home},
                )  # fmt: skip
            except httpx.TransportError:  # it listens, and is not ready yet
                return False
            assert answer.status_code in (303, 503), answer.text
            return answer.status_code == 303

        until("a session", is_in)
        return client

    def end(self) -> tuple[int, str, float]:
        """SIGTERM. The exit code, standard output, and how long it took, in seconds."""
        began_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        took_s = time.monotonic() - began_s
        self._reader.join()
        assert self.process.stdout is not None
        return code, self.process.stdout.read(), took_s

    def kill(self) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        self._reader.join()

    def __enter__(self) -> ServeProcess:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()
        self.kill()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)


def part(client: httpx.Client, name: str) -> dict[str, str]:
    """How a part of the server says it is."""
    told = client.get("/api/v1/parts").json()
    found: dict[str, str] = next((each for each in told if each["name"] == name), {})
    return found


def wait_for_part(client: httpx.Client, name: str, status: str) -> str:
    """Its words, once it has the status."""
    until(f"{name} is {status}", lambda: part(client, name).get("status") == status)
    return part(client, name)["words"]


def users(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`vedette fleet users`."""
    command = [sys.executable, "-m", "vedette", "fleet", "users", *words, "--dir", str(folder)]
    return subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
