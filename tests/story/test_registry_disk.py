"""The disk under the registry is really full: ingest says so, acknowledges nothing that it has not
stored, the dashboard goes on, and all goes on by itself when there is room again."""

from __future__ import annotations

import html
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from fleet.registry.registry import open_registry
from fleet.registry.words import Scope, Span
from tests.brokers import Mosquitto
from tests.depot_folder import FLEET, make_yard
from tests.ingesting import Ingesting, make_folder
from tests.patient_devices import PatientDevices
from tests.story.depot_process import until
from tests.story.serve_process import ServeProcess, part, wait_for_part

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
DEVICES = 20
ROOM = "64m"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with little room."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "none", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    with Mosquitto() as broker:
        yield broker


def fill(folder: Path) -> Path:
    """To the last byte, and keep it so."""
    ballast = folder / "ballast"
    with open(ballast, "ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast


def stored(database: str, names: list[str]) -> dict[str, int]:
    """How many records of each device anybody can read."""
    now_s = time.time()
    span = Span(now_s - 3600, now_s + 10)
    with closing(open_registry(database)) as registry:
        return {name: len(registry.windows(name, "lane", span, 100_000)) for name in names}


def check_all(database: str, made: dict[str, int]) -> None:
    """Every record is there once, in windows and in their sums."""
    assert stored(database, list(made)) == made
    now_s = time.time()
    span = Span(now_s - 3600, now_s + 10)
    with closing(open_registry(database)) as registry:
        while registry.roll_up(now_s + 86_400):
            pass
        for scope in (Scope(), Scope(devices=list(made))):
            assert registry.latency(span, scope).end_to_end.count == 5 * sum(made.values())
        assert all(registry.gaps(name, span) == () for name in made)


def until_nothing_comes(devices: PatientDevices) -> int:
    """Acknowledgements that were on their way have come. How many there were."""
    before, since_s = devices.acked, time.monotonic()
    while time.monotonic() - since_s < 1.5:
        time.sleep(0.1)
        if devices.acked != before:
            before, since_s = devices.acked, time.monotonic()
    return before


def test_it_fills_up_while_records_come_and_there_is_room_again(
    small_disk: Path, tmp_path: Path, broker: Mosquitto
) -> None:
    """One process of all, as most people have it."""
    database = f"sqlite:///{small_disk}/registry.db"
    yard = make_yard(tmp_path)
    with ServeProcess(yard, broker, "--database", database) as served:
        client = served.signed_in(*served.first_account())
        wait_for_part(client, "ingest", "working")
        with PatientDevices(broker.port, FLEET, DEVICES) as devices:
            devices.until_acked(200)
            ballast = fill(small_disk)
            until("words", lambda: "make room" in part(client, "ingest").get("words", ""))
            acked = until_nothing_comes(devices)
            fill(small_disk)
            found = stored(database, list(devices.made))
            assert acked <= sum(found.values()), "acknowledged what is not stored"
            answers(client)
            ballast.unlink()
            until("room", lambda: part(client, "ingest").get("status") == "working")
            devices.until_acked(acked + 200)
            devices.settle()
            made = devices.made
        code, _, _ = served.end()
    assert code == 0
    assert not any("Traceback" in line for line in served.lines), served.lines
    said = [line for line in served.lines if "nothing is stored and nothing acknowledged" in line]
    assert said and "make room" in said[0], served.lines
    assert len(said) < 5, "it is said once, not each second"
    check_all(database, made)


def answers(client: httpx.Client) -> None:
    """Who is signed in sees devices, and what is wrong."""
    for path in ("/", "/device/door-001", "/events", "/api/v1/summary"):
        assert client.get(path).status_code == 200, path
    assert "make room" in html.unescape(client.get("/").text)
    # who signs in now is told why that cannot be: who does is written down first
    answer = client.post("/sign-in", data={"name": "x", "password": "y"},
                         headers={"origin": str(client.base_url).rstrip("/")})  # fmt: skip
    assert answer.status_code in (401, 403, 503), answer.text
    assert "Traceback" not in answer.text


def test_it_begins_on_a_full_disk_and_is_killed_on_it(
    small_disk: Path, tmp_path: Path, broker: Mosquitto
) -> None:
    """Ingest alone: nothing that was acknowledged is lost by a kill while there is no room."""
    database = f"sqlite:///{small_disk}/registry.db"
    fleet = make_folder(tmp_path / "fleet", broker.url())
    with PatientDevices(broker.port, "yard", DEVICES) as devices:
        with Ingesting(fleet, database, tmp_path / "one.log") as one:
            devices.until_acked(200)
            ballast = fill(small_disk)
            one.until_says("nothing is stored and nothing acknowledged")
            one.kill()
        acked = until_nothing_comes(devices)
        fill(small_disk)
        with Ingesting(fleet, database, tmp_path / "two.log") as two:
            two.until_says("make room")
            assert until_nothing_comes(devices) == acked
            assert acked <= sum(stored(database, list(devices.made)).values())
            ballast.unlink()
            two.until_says("records are stored again")
            devices.settle()
            assert "Traceback" not in two.log
            two.end()
        made = devices.made
    check_all(database, made)
