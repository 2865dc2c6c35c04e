"""`vedette ask` with a real broker, agent and runtime: what operators ask, and what thieves try."""

from __future__ import annotations

import json
import queue
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import msgspec
import pytest

from fleet.asking import new_command
from tests import warm
from tests.brokers import Mosquitto
from tests.device import ROOT, Device, until
from wire import orders, topics
from wire.config import Broker
from wire.link import Connected, LinkEvent, Received
from wire.messages import PipelineSettings, Reply, parse
from wire.mqtt.mqtt import MqttLink
from wire.orders import Command, Order, Set, Status, Watch
from wire.signing import SigningKey, load_key, make_key

pytestmark = pytest.mark.slow
PATIENCE_S = 60.0
FLEET = "yard"


class Operator:
    """Types `vedette ask` in a folder, with the key that the devices know."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.key: SigningKey = load_key(folder / "ops.pem")

    def start(self, *words: str) -> warm.Process:
        command = ["ask", *words, "--fleet", FLEET]
        command += ["--broker", f"mqtt://127.0.0.1:{self.port}"]
        if "--key" not in words:
            command += ["--key", str(self.folder / "ops.pem")]
        return warm.Process(
            command, cwd=self.folder, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def type(self, *words: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        return ended(self.start(*words))

    def ask(self, *words: str) -> str:
        """What was answered; it must be good."""
        code, out, err = self.type(*words)
        assert code == 0, err
        return out

    def state(self, device: str = "door") -> dict[str, Any]:
        reply = json.loads(self.ask(device, "status", "--json"))
        state: dict[str, Any] = reply["content"]
        return state


def ended(process: warm.Process) -> tuple[int, str, str]:
    with process:
        try:
            out, err = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    return process.returncode, out, err


class Site:
    """A broker; a device `door` with a pipeline `lane`; a device `roof` that has an agent only."""

    def __init__(self, folder: Path, broker: Mosquitto, door: Device, roof: Device) -> None:
        self.broker = broker
        self.door = door
        self.roof = roof
        self.operator = Operator(folder, broker.port)

    def is_serving(self) -> bool:
        lane = self.operator.state()["pipelines"].get("lane")
        return lane is not None and lane["phase"] == "serving"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    key = make_key(folder / "ops.pem")
    keys = f'[commands]\nkeys = ["{key.public}"]\n'
    with (
        Mosquitto() as broker,
        Device(folder / "door", broker.port, tables=f"{keys}snapshot = true\n") as door,
        Device(folder / "roof", broker.port, name="roof", tables=keys) as roof,
    ):
        for device in (door, roof):
            device.start("agent")
        door.start("lane")
        site = Site(folder, broker, door, roof)
        until(site.is_serving, PATIENCE_S, "door does not serve")
        yield site


class Wiretap:
    """Somebody who can write to the topic of commands, and reads the replies."""

    def __init__(self, port: int, device: str = "door") -> None:
        self._events: queue.SimpleQueue[LinkEvent] = queue.SimpleQueue()
        self._device = device
        broker = Broker(url=f"mqtt://127.0.0.1:{port}")
        self._link = MqttLink(broker, f"wiretap-{device}", self._events.put)
        self._link.subscribe(topics.reply(FLEET, device))

    def __enter__(self) -> Wiretap:
        self._link.open()
        while not isinstance(self._events.get(timeout=PATIENCE_S), Connected):
            pass
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()

    def say(self, payload: bytes, retain: bool = False) -> None:
        number = self._link.publish(topics.command(FLEET, self._device), payload, retain=retain)
        assert number is not None

    def reply(self, identity: str, timeout_s: float = PATIENCE_S) -> Reply | None:
        """The next reply to this command; None if none comes in time."""
        end_s = time.monotonic() + timeout_s
        while (left_s := end_s - time.monotonic()) > 0:
            try:
                event = self._events.get(timeout=left_s)
            except queue.Empty:
                break
            if isinstance(event, Received):
                reply = parse(event.payload, Reply)
                if reply.id == identity:
                    return reply
        return None

    def answer(self, payload: bytes) -> Reply:
        """Send a command and wait for the reply to it."""
        self.say(payload)
        reply = self.reply(json.loads(json.loads(payload)["body"])["id"])
        assert reply is not None
        return reply


@pytest.fixture
def wiretap(site: Site) -> Iterator[Wiretap]:
    with Wiretap(site.broker.port) as wiretap:
        yield wiretap


def signed(site: Site, order: Order, **changes: Any) -> bytes:
    command = new_command(FLEET, "door", order, time.time(), 10.0)
    fields = {name: getattr(command, name) for name in Command.__struct_fields__} | changes
    return orders.signed(Command(**fields), site.operator.key)


def test_status_is_a_table_and_json(site: Site) -> None:
    table = site.operator.ask("door", "status")
    assert table.startswith("door: vedette ")
    assert re.search(r"^  snapshots +allowed$", table, re.MULTILINE)
    assert re.search(r"^  lane +serving +digits 1 ", table, re.MULTILINE)
    assert site.operator.state()["pipelines"]["lane"]["phase"] == "serving"
    assert re.search(r"snapshots +not allowed", site.operator.ask("roof", "status"))


def test_a_snapshot_is_a_picture_in_a_file(site: Site) -> None:
    site.operator.ask("door", "snapshot", "--output", "now.jpg")
    picture = cv2.imread(str(site.operator.folder / "now.jpg"))
    assert picture is not None
    tall, wide, _ = picture.shape
    assert (wide * 3, wide >= 160) == (tall * 4, True)
    told = json.loads(site.operator.ask("door", "snapshot", "lane", "--json"))
    assert re.fullmatch(r"door-lane-\d{8}-\d{6}\.jpg", told["file"])
    assert (site.operator.folder / told["file"]).stat().st_size > 1000


def test_a_snapshot_that_is_not_allowed_is_refused(site: Site) -> None:
    code, out, err = site.operator.type("roof", "snapshot", "--output", "no.jpg")
    assert (code, out) == (2, "")
    assert "roof says no: snapshots are not allowed here" in err and "vedette.toml" in err
    assert not (site.operator.folder / "no.jpg").exists()


def test_a_pipeline_without_a_process_is_said(site: Site) -> None:
    code, _, err = site.operator.type("roof", "bench")
    assert code == 2 and "pipeline lane is not there" in err
    code, _, err = site.operator.type("door", "restart", "gate")
    assert code == 2 and "there is no pipeline gate: this device has lane" in err


def test_watch_makes_telemetry_frequent(site: Site) -> None:
    assert "telemetry_period_s is now 30" in site.operator.ask(
        "door", "set", "telemetry_period_s=30"
    )
    assert site.operator.state()["telemetry_s"] == 30
    assert "every 10 s for 1 minute" in site.operator.ask("door", "watch", "1")
    assert site.operator.state()["telemetry_s"] == 10
    site.operator.ask("door", "set", "telemetry_period_s=default")


def test_what_was_set_is_in_the_state_and_outlives_kill_9(site: Site) -> None:
    ask = site.operator.ask
    ask("roof", "set", "telemetry_period_s=45", "log_level=debug")
    ask("door", "set", "lane", "results=every", "results_per_s=7", "min_score=0.25")

    def settings() -> PipelineSettings:
        lane = site.operator.state()["pipelines"]["lane"]
        return msgspec.convert(lane["settings"], PipelineSettings)

    wanted = PipelineSettings("every", 7.0, 0.25)
    until(lambda: settings() == wanted, PATIENCE_S)
    for device in (site.roof, site.door):
        device.kill("agent")
        device.start("agent")
    after = site.operator.state("roof")
    assert (after["telemetry_s"], after["log_level"]) == (45, "debug")
    until(site.is_serving, PATIENCE_S)
    assert settings() == wanted
    ask("door", "set", "results=default", "results_per_s=default", "min_score=default")
    until(lambda: settings() == PipelineSettings(), PATIENCE_S)


def test_a_bench_measures_the_live_loop(site: Site) -> None:
    rows = site.operator.ask("door", "bench", "lane", "--frames", "50")
    assert "50 frames of the live loop" in rows
    assert re.search(r"^  inference +\S+ (us|ms)", rows, re.MULTILINE)


def test_restart_ends_the_process_of_the_pipeline(site: Site) -> None:
    assert site.door.runs("lane")
    site.operator.ask("door", "restart")
    until(lambda: not site.door.runs("lane"), PATIENCE_S)
    assert site.door.stop("lane") == 0
    site.door.start("lane")
    until(site.is_serving, PATIENCE_S)


def test_what_a_kill_cut_off_is_answered(site: Site) -> None:
    """At 30 fps a bench of 2000 frames would take more than a minute."""
    asking = site.operator.start("door", "bench", "--frames", "2000", "--json")
    path = site.door.folder / "state" / "commands.json"

    def is_measuring() -> bool:
        return "done" not in json.loads(path.read_text())["seen"][-1]

    until(is_measuring, PATIENCE_S)
    site.door.kill("agent")
    site.door.start("agent")
    code, out, _ = ended(asking)
    assert code == 2
    assert "restarted while doing this" in json.loads(out)["text"]


def test_thieves_get_nothing_done(site: Site, wiretap: Wiretap, tmp_path: Path) -> None:
    before = site.operator.state()["log_level"]
    wish = Set(log_level="error")
    thief = make_key(tmp_path / "thief.pem")
    good = json.loads(signed(site, wish))
    command = new_command(FLEET, "door", wish, time.time(), 10.0)
    forged = json.loads(orders.signed(command, thief)) | {"key": site.operator.key.public[:16]}
    past = int(time.time()) - 600
    attempts = [
        (json.dumps({"body": good["body"]}).encode(), "not signed"),
        (orders.signed(command, thief), "does not know the key"),
        (json.dumps(forged).encode(), "signature is wrong"),
        (signed(site, wish, issued=past, expires=past + 60), "expired"),
        (signed(site, wish, issued=past + 1300, expires=past + 1400), "from the future"),
        (signed(site, wish, device="roof"), "for roof of fleet yard"),
        (signed(site, wish, fleet="home"), "for door of fleet home"),
    ]
    for payload, why in attempts:
        time.sleep(1.1)  # strangers are answered once a second
        reply = wiretap.answer(payload)
        assert not reply.ok and why in reply.text
    assert site.operator.state()["log_level"] == before


def test_a_replay_is_answered_and_not_done_again(site: Site, wiretap: Wiretap) -> None:
    first = signed(site, Set(log_level="debug"), id="replayed1")
    done = wiretap.answer(first)
    assert done.ok and site.operator.state()["log_level"] == "debug"
    site.operator.ask("door", "set", "log_level=default")
    assert wiretap.answer(first) == done
    site.door.kill("agent")
    site.door.start("agent")
    until(site.operator.state, PATIENCE_S)
    assert wiretap.answer(first) == done
    assert site.operator.state()["log_level"] == "info"


def test_garbage_harms_nobody(site: Site, wiretap: Wiretap) -> None:
    for payload in (b"", b"\xff\xfe", b"[" * 60_000, b"{}", b'{"body":"[]"}', b"x" * 200_000):
        wiretap.say(payload)
    assert wiretap.answer(signed(site, Status())).ok


def test_a_command_that_the_broker_kept_is_not_carried_out(site: Site, wiretap: Wiretap) -> None:
    """A thief who makes a true command retained would have it done whenever the device connects."""
    site.roof.stop("agent")
    command = new_command(FLEET, "roof", Watch(1), time.time(), 60.0)
    kept = orders.signed(command, site.operator.key)
    with Wiretap(site.broker.port, "roof") as roof:
        roof.say(kept, retain=True)
        site.roof.start("agent")
        until(lambda: site.operator.state("roof"), PATIENCE_S)
        assert roof.reply(command.id, 0.5) is None
        roof.say(b"", retain=True)
        assert roof.answer(kept).ok


def test_nobody_there(site: Site) -> None:
    code, out, err = site.operator.type("dooor", "status", "--timeout", "3")
    assert (code, out) == (1, "")
    assert "dooor was never seen in fleet yard" in err
    assert site.roof.stop("agent") == 0
    code, _, err = site.operator.type("roof", "status", "--timeout", "3")
    assert code == 1 and "no answer in 3 s: roof is offline" in err
    asking = site.operator.start("roof", "status", "--timeout", "60")
    site.roof.start("agent")
    code, out, err = ended(asking)
    assert code == 0 and out.startswith("roof: vedette "), err


def test_no_broker(site: Site) -> None:
    operator = Operator(site.operator.folder, 1)
    code, out, err = operator.type("door", "status", "--timeout", "2")
    assert (code, out) == (1, "")
    first, last = err.splitlines()
    assert "port 1" in first and first.endswith("waiting for the broker")
    assert last.startswith("vedette: no connection to the broker in 2 s: nothing listens at")


def test_a_broker_that_comes_back_in_time_is_asked(site: Site) -> None:
    site.broker.kill()
    asking = site.operator.start("door", "status", "--timeout", "50")
    time.sleep(1.0)  # it finds nobody; if the machine is too busy for that, it has it easier
    site.broker.start()
    code, out, err = ended(asking)
    assert code == 0 and out.startswith("door: vedette "), err


def test_who_is_refused_is_told_at_once(site: Site) -> None:
    words = ("door", "status", "--timeout", "1000")
    (site.operator.folder / "wrong").write_text("wrong\n")
    with Mosquitto(users={"me": "right"}) as broker:
        me = ("--username", "me", "--password-file", "wrong")
        code, _, err = Operator(site.operator.folder, broker.port).type(*words, *me)
    assert code == 1 and "check the user name and the password file" in err
    code, _, err = site.operator.type(*words, "--username", "me", "--password-file", "none")
    assert code == 1 and f"the password file {site.operator.folder / 'none'} cannot be read" in err
