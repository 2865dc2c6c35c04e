"""`vedette fleet serve` tells people what lasts: real processes, broker, and web server."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from fleet.registry.registry import open_registry
from tests.alert_inbox import Inbox
from tests.yard import ROOT, Yard

pytestmark = pytest.mark.slow
ALERTS = """
[[alerts]]
url = "{url}"

[alerting]
gather_s = 1
pace_s = 1
hold_s = {{ offline = 2, silent = 3600, depot = 2, ingest = 3600 }}
calm_s = {{ offline = 2 }}
"""


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    yield made
    made.close()


@contextmanager
def serving(yard: Yard, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """The dashboard, registry and alerts; the depot is the yard's own."""
    command = ["fleet", "serve", "--dir", str(yard.fleet), "--listen", "127.0.0.1:0"]
    with open(yard.folder / "serve.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "vedette", *command, "--without", "depot", *words],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def simulating(yard: Yard, many: int) -> Iterator[subprocess.Popen[bytes]]:
    command = ["fleet", "simulate", "--dir", str(yard.fleet), "--devices", str(many)]
    with open(yard.folder / "simulate.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "vedette", *command],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(yard: Yard, inbox: Inbox, title: str, patience_s: float = 150.0) -> dict[str, str]:
    """Wait for a message."""
    end_s = time.monotonic() + patience_s
    while True:
        found = [one for one in inbox.taken if title in one["title"]]
        if found:
            return found[-1]
        log = (yard.folder / "serve.log").read_text()
        assert time.monotonic() < end_s, f"{title!r} never came: {inbox.titles}\n{log}"
        time.sleep(0.05)


@pytest.mark.timeout(400)
def test_devices_that_die_and_a_depot_that_dies(tmp_path: Path, inbox: Inbox) -> None:
    with Yard(tmp_path) as yard:
        with open(yard.fleet / "fleet.toml", "a") as toml:
            toml.write(ALERTS.format(url=inbox.url))
        with serving(yard) as server, simulating(yard, 5):
            until_known(yard, 5)
            time.sleep(8)  # nothing is wrong: nobody may be told that
            assert inbox.titles == []
            server.kill()  # what it held is another's only when its time is up
            server.wait()
        with serving(yard):  # all five are dead now
            until(yard, inbox, "[yard] 5 devices offline")
            assert len(inbox.taken) == 1
        with serving(yard), simulating(yard, 5):  # another server goes on, and they are back
            told = until(yard, inbox, "[yard] over: 5 devices offline")
            assert told["type"] == "success"
            assert len(inbox.taken) == 2, inbox.titles
            yard.kill_depot()
            until(yard, inbox, "devices may get no models")
        listed = yard.run("fleet", "alerts", "--json").said
        assert [one["kind"] for one in listed["standing"]] == ["depot"]  # type: ignore[index, attr-defined]
        assert yard.run("fleet", "alerts", "--test").code == 0
        assert inbox.titles[-1] == "[yard] a test"


def until_known(yard: Yard, many: int) -> None:
    """Until the registry has so many devices."""
    end_s = time.monotonic() + 60
    while True:
        if (yard.fleet / "registry.db").exists():
            with closing(open_registry(f"sqlite:///{yard.fleet / 'registry.db'}")) as registry:
                known = registry.changed(0).devices
            if len([one for one in known if one.presence and one.presence.online]) == many:
                return
        assert time.monotonic() < end_s, (yard.folder / "serve.log").read_text()
        time.sleep(0.2)
