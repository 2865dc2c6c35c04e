"""The demo's dashboard: an account, the server with depot and registry, and a crowd around it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from scripts.telling.machines import PASSPHRASE, PATIENCE_S, ROOT, Place, running, vedette

CROWD = 24  # simulated devices around the real one
CROWD_PIPELINE = "door"
NAME = "operator"


@dataclass(frozen=True)
class Dashboard:
    """Where it is, and who may sign in."""

    port: int
    password: str
    token: str

    @property
    def words(self) -> str:
        return f"dashboard on http://127.0.0.1:{self.port}/ for {NAME}, password {self.password}"

    def summary(self) -> dict[str, object]:
        """What its API says of the whole fleet. Raises OSError while nobody answers."""
        with contextlib.closing(HTTPConnection("127.0.0.1", self.port, timeout=5)) as asking:
            asking.request(
                "GET", "/api/v1/summary", headers={"authorization": f"Bearer {self.token}"}
            )
            answer = asking.getresponse()
            said: dict[str, object] = json.loads(answer.read())
        if answer.status != 200:
            raise OSError(f"the dashboard answers {answer.status}: {said}")
        return said

    def wait_for_all(self) -> dict[str, object]:
        """Until every device is online there. Raises TimeoutError."""
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            with contextlib.suppress(OSError):
                if (said := self.summary())["online"] == CROWD + 1:
                    return said
            time.sleep(0.2)
        raise TimeoutError(f"the dashboard does not show {CROWD + 1} devices online")


@contextlib.contextmanager
def dashboard(place: Place, port: int) -> Iterator[Dashboard]:
    """The fleet's server, with the depot and the registry in it."""
    password = secrets.token_urlsafe(9)
    secret = _kept(place, "password", password)
    users = ("fleet", "users", "--dir", str(place.fleet), "--json")
    added = [*users, "add", NAME, "--role", "operator", "--password-from", str(secret)]
    _said(added)
    token = str(_said([*users, "token", NAME])["secret"])
    serve = ["fleet", "serve", "--dir", str(place.fleet), "--listen", f"127.0.0.1:{port}"]
    serve += ["--command-key", str(place.fleet / "keys" / "command.pem")]
    serve += ["--passphrase-file", str(_kept(place, "passphrase", PASSPHRASE))]
    with running("serve", vedette(*serve), place):
        yield Dashboard(port, password, token)


@contextlib.contextmanager
def crowd(place: Place) -> Iterator[None]:
    """Simulated devices, which fetch what is deployed to a pipeline of their own: what the real one
    tries does not reach them, as they would believe anything."""
    words = ["--devices", str(CROWD), "--prefix", "cam", "--pipeline", CROWD_PIPELINE]
    words += ["--fetch", "--spread-s", "0.5", "--snapshots"]
    words += ["--telemetry-s", "10", "--registry", "--dir", str(place.fleet)]
    simulate = vedette("fleet", "simulate", *words)
    with running("crowd", simulate, place):
        yield


def _kept(place: Place, name: str, secret: str) -> Path:
    """A file that nobody else may read."""
    path = place.folder / name
    path.touch(mode=0o600)
    path.write_text(secret)
    return path


def _said(words: list[str]) -> dict[str, object]:
    """What a command says as JSON."""
    done = subprocess.run(
        vedette(*words), stdout=subprocess.PIPE, cwd=ROOT, env=os.environ, check=True
    )
    said: dict[str, object] = json.loads(done.stdout)
    return said


def seen(said: dict[str, object]) -> dict[str, object]:
    """Of a summary, what the demo's verdict says."""
    return {"dashboard": {each: said[each] for each in ("devices", "online", "needing")}}
