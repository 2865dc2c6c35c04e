"""`vedette fleet serve` as a process: with a real broker and devices, through what goes wrong."""

from __future__ import annotations

import html
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from fleet.actions.office import REFRESH_S
from tests.brokers import Amqtt, Listener, Mosquitto
from tests.certificates import Authority
from tests.depot_folder import FLEET, Yard, make_yard, write_fleet_toml
from tests.fleet_talk import Talker
from tests.postgresql import Postgresql
from tests.story.depot_process import PROJECT, until
from tests.story.serve_process import ServeProcess, part, users, wait_for_part
from wire import topics
from wire.messages import Telemetry, to_json

pytestmark = pytest.mark.slow

WORDS = "a long way to go"
ENDS_IN_S = 10.0  # 2 s where nobody else works; systemd waits for 90
ACKS = topics.ack(FLEET, "any").replace("/any/", "/+/")


@pytest.fixture
def broker() -> Iterator[Mosquitto]:
    with Mosquitto() as broker:
        yield broker


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return make_yard(tmp_path)


def told(talker: Talker) -> tuple[str, bytes]:
    """Its next record: topic and payload."""
    return topics.telemetry(FLEET, talker.name), to_json(talker.record(time.time()))


def _page(client: httpx.Client) -> str:
    return html.unescape(client.get("/").text)


def names(client: httpx.Client) -> list[str]:
    return [each["name"] for each in client.get("/api/v1/devices").json()["devices"]]


def test_a_fleet_is_watched_from_the_first_start_to_the_end(broker: Mosquitto, yard: Yard) -> None:
    talker = Talker("door")
    with ServeProcess(yard, broker, "--json") as served, Listener(broker.port) as device:
        client = served.signed_in(*served.first_account())
        assert names(client) == []
        for name in ("live view", "depot", "ingest"):
            wait_for_part(client, name, "working")
        device.publish(*told(talker))
        until("the device", lambda: names(client) == ["door"])
        assert client.get("/").status_code == 200
        device.publish(*told(talker))
        with client.stream("GET", "/live") as stream:
            next(stream.iter_text())  # somebody looks on while it ends
            code, out, took_s = served.end()
        assert (code, json.loads(out)["devices"]) == (0, 1)
        assert took_s < ENDS_IN_S, served.lines
        assert not any("Traceback" in line for line in served.lines), served.lines
        assert not any("error" in line for line in served.lines), served.lines


def test_the_password_is_shown_once(broker: Mosquitto, yard: Yard) -> None:
    with ServeProcess(yard, broker) as served:
        account = served.first_account()
        served.end()
    with ServeProcess(yard, broker) as again:
        client = again.signed_in(*account)
        assert client.get("/api/v1/summary").status_code == 200
        assert not any("password" in line for line in again.lines)


def test_the_broker_goes_and_comes(broker: Mosquitto, yard: Yard) -> None:
    talker = Talker("door")
    with ServeProcess(yard, broker) as served:
        client = served.signed_in(*served.first_account())
        wait_for_part(client, "ingest", "working")
        broker.stop()
        for name in ("ingest", "depot"):
            wait_for_part(client, name, "broken")
        words = part(client, "ingest")["words"]
        until("the page says it, too", lambda: part(client, "ingest")["words"] in _page(client))
        assert "127.0.0.1" in words
        broker.start()
        for name in ("ingest", "depot"):
            wait_for_part(client, name, "working")
        with Listener(broker.port) as device:
            device.publish(*told(talker))
            until("the device", lambda: names(client) == ["door"])


def test_a_database_that_another_program_holds(broker: Mosquitto, yard: Yard) -> None:
    """The page that is open goes on and says what is wrong; nothing that was acked is lost."""
    talker = Talker("door")
    with ServeProcess(yard, broker) as served, Listener(broker.port) as device:
        client = served.signed_in(*served.first_account())
        wait_for_part(client, "ingest", "working")
        device.publish(*told(talker))
        until("the device", lambda: names(client) == ["door"])
        with closing(sqlite3.connect(served.folder / "registry.db")) as held:
            held.execute("BEGIN EXCLUSIVE")
            device.publish(*told(talker))
            time.sleep(1.0)
            assert names(client) == ["door"]  # who reads does not wait for who writes
            held.rollback()
        device.publish(*told(talker))
        until("three records", lambda: " 3 records" in " " + part(client, "ingest")["words"])


class Keeping:
    """A device that keeps each record until it is acked, and says it again."""

    def __init__(self, number: int) -> None:
        self.talker = Talker(f"d{number:03}", spool=f"{number:08x}")
        self.acked = 0
        self._kept: dict[int, Telemetry] = {}

    def speak(self, broker: Listener) -> None:
        record = self.talker.record(time.time())
        self._kept[record.seq] = record
        topic = topics.telemetry(FLEET, self.talker.name)
        for seq, kept in self._kept.items():
            if seq > self.acked:
                broker.publish(topic, to_json(replace(kept, oldest=self.acked + 1)), qos=0)


def _round(broker: Listener, devices: list[Keeping]) -> bool:
    """Everybody says something. Whether somebody was acked since the last round."""
    before = sum(device.acked for device in devices)
    for device in devices:
        device.speak(broker)
    time.sleep(0.3)
    by_spool = {device.talker.spool: device for device in devices}
    for heard in broker.heard:
        ack = json.loads(heard.payload)
        device = by_spool[ack["spool"]]
        device.acked = max(device.acked, ack["seq"])
    return sum(device.acked for device in devices) > before


def test_a_database_server_goes_and_comes(broker: Mosquitto, yard: Yard) -> None:
    """Who has a page open is told; who asks for another is told; then it goes on by itself."""
    talker = Talker("door")
    with Postgresql() as server, ServeProcess(yard, broker, "--database", server.url) as served:
        client = served.signed_in(*served.first_account())
        with Listener(broker.port) as device:
            device.publish(*told(talker))
            until("the device", lambda: names(client) == ["door"])
            with client.stream("GET", "/live") as stream:
                server.kill()
                said = ""
                for text in stream.iter_text():
                    said += text
                    if "database" in said:
                        break
            until("a page that says it", lambda: client.get("/").status_code == 503)
            page = client.get("/")
            assert "database" in page.text
            assert 'http-equiv="refresh"' in page.text
            answer = client.get("/api/v1/summary")
            assert (answer.status_code, list(answer.json())) == (503, ["error"])
            assert client.get("/sign-in").status_code == 200
            server.start()
            until("the page", lambda: client.get("/").status_code == 200)
            wait_for_part(client, "ingest", "working")
            device.publish(*told(talker))
            path = "/api/v1/devices/door/windows"
            span = {"pipeline": "lane", "from_s": time.time() - 3600, "to_s": time.time() + 60}
            until(
                "both records",
                lambda: sum(x["frames"] for x in client.get(path, params=span).json()) == 60,
            )
        assert not any("Traceback" in line for line in served.lines), served.lines


def test_killed_in_the_middle_it_goes_on(broker: Mosquitto, yard: Yard) -> None:
    devices = [Keeping(number) for number in range(40)]
    with Listener(broker.port, ACKS) as radio:
        for number in range(3):
            with ServeProcess(yard, broker) as served:
                if number == 0:
                    account = served.first_account()
                until("acks", lambda: _round(radio, devices))
                for device in devices:
                    device.speak(radio)  # and while this is written down:
                served.kill()
        with ServeProcess(yard, broker) as served:
            client = served.signed_in(*account)
            assert all(_frames(client, each) >= each.acked * 30 for each in devices)
            until("all acked", lambda: _round(radio, devices) and _is_all(devices))
            for device in devices:
                assert _frames(client, device) == device.talker.seq * device.talker.frames


def _is_all(devices: list[Keeping]) -> bool:
    return all(device.acked == device.talker.seq for device in devices)


def _frames(client: httpx.Client, device: Keeping) -> int:
    """That the registry counts."""
    span = {"pipeline": "lane", "from_s": time.time() - 3600, "to_s": time.time() + 60}
    found = client.get(f"/api/v1/devices/{device.talker.name}/windows", params=span).json()
    return sum(each["frames"] for each in found)


def test_over_tls(broker: Mosquitto, yard: Yard, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certified = authority.issue("127.0.0.1")
    files = ["--tls-cert", str(certified.certificate), "--tls-key", str(certified.key)]
    with ServeProcess(yard, broker, *files) as served:
        assert served.home.startswith("https://")
        name, password = served.first_account()
        answer = served.client(authority.file).post(
            "/sign-in", data={"name": name, "password": password}, headers={"origin": served.home}
        )
        assert answer.status_code == 303
        assert "Secure" in answer.headers["set-cookie"]
        assert answer.headers["set-cookie"].startswith("__Host-")


def test_parts_that_run_elsewhere(broker: Mosquitto, yard: Yard) -> None:
    with ServeProcess(yard, broker, "--without", "depot", "--without", "ingest") as served:
        client = served.signed_in(*served.first_account())
        assert part(client, "depot") == {}
        assert "start one" in wait_for_part(client, "ingest", "broken")
        command = [sys.executable, "-m", "vedette", "fleet", "ingest", "--dir", str(served.folder)]
        other = subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.DEVNULL)
        try:
            assert wait_for_part(client, "ingest", "working") == "1 service elsewhere"
        finally:
            other.send_signal(signal.SIGTERM)
            assert other.wait(30) == 0


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--listen", "0.0.0.0:0"], 2, "in the clear"),
        (["--listen", "nonsense"], 2, "no HOST:PORT"),
        (["--listen", "127.0.0.1:70000"], 2, "no HOST:PORT"),
        (["--tls-cert", "x.pem"], 2, "go together"),
        (["--tls-cert", "x.pem", "--tls-key", "y.pem"], 2, "--tls-cert"),
        (["--database", "mysql://x"], 2, "give sqlite"),
        (["--database", "postgresql://nobody@127.0.0.1:9/none"], 1, "database"),
        (["--name", "a b"], 2, "no name of a host"),
        (["--without", "everything"], 2, "--without"),
        (["--without", "ingest", "--alone"], 2, "--alone"),
        (["--broker", "http://x"], 2, "http:// is not known"),
    ],
)
def test_what_is_refused(
    options: list[str], code: int, words: str, yard: Yard, broker: Mosquitto
) -> None:
    folder = write_fleet_toml(yard, broker.port)
    command = [sys.executable, "-m", "vedette", "fleet", "serve", "--dir", str(folder)]
    ended = subprocess.run(
        [*command, "--listen", "127.0.0.1:0", "--seconds", "1", *options], cwd=PROJECT,
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert ended.returncode == code, ended.stderr
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_who_is_asked_to_end_while_packages_are_loaded_ends_well(yard: Yard) -> None:
    folder = write_fleet_toml(yard, 9)
    words = ["-m", "vedette", "fleet", "serve", "--dir", str(folder), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", *words], cwd=PROJECT, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as served:  # fmt: skip
        assert served.stderr is not None
        next(line for line in served.stderr if "litestar.exceptions" in line)
        served.send_signal(signal.SIGTERM)
        said = [line for line in served.stderr if not line.startswith("import time:")]
        assert (served.wait(30), said) == (0, [])


def test_a_port_that_is_taken(yard: Yard, broker: Mosquitto) -> None:
    folder = write_fleet_toml(yard, broker.port)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = subprocess.run(
            [sys.executable, "-m", "vedette", "fleet", "serve", "--dir", str(folder),
             "--listen", f"127.0.0.1:{taken.getsockname()[1]}"],
            cwd=PROJECT, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert ended.returncode == 1
    assert "cannot listen there" in ended.stderr


def test_an_address_of_another_machine(yard: Yard, broker: Mosquitto) -> None:
    folder = write_fleet_toml(yard, broker.port)
    ended = subprocess.run(
        [sys.executable, "-m", "vedette", "fleet", "serve", "--dir", str(folder),
         "--listen", "192.0.2.1:8080", "--behind-proxy"],
        cwd=PROJECT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "it is no address of this machine" in ended.stderr


def test_users_by_command(yard: Yard, broker: Mosquitto, tmp_path: Path) -> None:
    folder = write_fleet_toml(yard, broker.port)
    secret = tmp_path / "password"
    secret.write_text(f"{WORDS}\nand more\n")
    from_file = ["--password-from", str(secret)]
    assert users(folder, "add", "vera", *from_file).stdout == "vera may sign in as viewer\n"
    assert "which role" in users(folder, "role", "vera").stderr
    assert "needs the NAME" in users(folder, "add").stderr
    assert "--password-from" in users(folder, "add", "x").stderr  # nobody can type here
    assert users(folder, "add", "olga", "--role", "operator", *from_file).returncode == 0
    listed = json.loads(users(folder, "list", "--json").stdout)
    assert [(each["name"], each["role"]) for each in listed] == [
        ("olga", "operator"), ("vera", "viewer"),
    ]  # fmt: skip
    token = json.loads(users(folder, "token", "vera", "--json").stdout)["secret"]
    with ServeProcess(yard, broker) as served:
        client = served.signed_in("vera", WORDS)
        bearer = {"authorization": f"Bearer {token}"}
        program = served.client()
        assert program.get("/api/v1/summary", headers=bearer).status_code == 200
        assert program.get("/metrics", headers=bearer).text.startswith("# HELP")
        # what is changed by the command counts at once for who is signed in
        assert users(folder, "role", "vera", "--role", "operator").returncode == 0
        assert client.get("/api/v1/summary").status_code == 401
        assert program.get("/api/v1/summary", headers=bearer).status_code == 401
        assert users(folder, "remove", "vera").returncode == 0
        assert "only operator" in users(folder, "remove", "olga").stderr


@pytest.mark.parametrize("away", ["closed", "silent", "frozen"])
def test_it_ends_at_once_while_the_broker_is_away(broker: Mosquitto, yard: Yard, away: str) -> None:
    """closed: nobody listens; silent: somebody does, and never says a word; frozen: the broker
    stopped in the middle, when all parts worked."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        if away == "silent":
            broker.port = nobody.getsockname()[1]
        elif away == "closed":
            broker.stop()
        with ServeProcess(yard, broker) as served:
            client = served.signed_in(*served.first_account())
            if away == "frozen":
                for name in ("models", "depot", "ingest"):
                    wait_for_part(client, name, "working")
                broker.freeze()
                time.sleep(REFRESH_S + 1)  # so that it asks who will never answer
            else:
                wait_for_part(client, "models", "starting")
            code, _, took_s = served.end()
            if away == "frozen":
                broker.thaw()
    assert code == 0, served.lines
    assert not any("left behind" in line for line in served.lines), served.lines
    assert took_s < ENDS_IN_S, served.lines


def test_alone_it_needs_no_shared_subscriptions(yard: Yard) -> None:
    talker = Talker("door")
    with (
        Amqtt() as broker,  # it knows none
        ServeProcess(yard, broker, "--alone") as served,
        Listener(broker.port) as device,
    ):
        client = served.signed_in(*served.first_account())
        wait_for_part(client, "ingest", "working")
        device.publish(*told(talker))
        until("the device", lambda: names(client) == ["door"])
