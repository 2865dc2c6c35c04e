"""A fleet whose broker is a real mosquitto, with the very files that the product writes."""

from __future__ import annotations

import getpass
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from fleet.folder import FleetFolder, open_fleet
from tests.brokers import HOST, Mosquitto, free_port
from tests.depot_folder import make_yard
from tests.laws.sources import ROOT
from wire.config import Broker
from wire.link import Connected, Delivered, Disconnected, LinkEvent, Received
from wire.mqtt.mqtt import MqttLink

PATIENCE_S = 60.0


def vedette(*words: str, where: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A command, as a process of its own."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VEDETTE_")}
    return subprocess.run(
        [sys.executable, "-m", "vedette", *words], cwd=where, capture_output=True, text=True,
        timeout=120, stdin=subprocess.DEVNULL, env=environment | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def told(*words: str) -> dict[str, object]:
    """What a command that works says with --json."""
    done = vedette(*words, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


class EnrolledBroker(Mosquitto):
    """mosquitto in the foreground. It reads a copy of FLEET/broker, as on another machine."""

    def __init__(self, place: Path, fleet: Path) -> None:
        place.mkdir()
        super().__init__(place)
        self.fleet = fleet

    def bring(self) -> None:
        """Copy the files, as the operator does by hand."""
        for path in (self.fleet / "broker").iterdir():
            if not path.name.startswith("."):
                shutil.copyfile(path, self.folder / path.name)
                (self.folder / path.name).chmod(0o600)

    def reload(self) -> None:
        """As `systemctl reload mosquitto`."""
        before = self.log.count("Reloading config.")
        os.kill(self.pid, signal.SIGHUP)
        until(lambda: self.log.count("Reloading config.") > before)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _configure(self) -> None:
        self.bring()
        (self.folder / "mosquitto.conf").write_text(
            f"user {getpass.getuser()}\nlog_type all\ninclude_dir {self.folder / 'conf.d'}\n"
        )

    def _launch(self) -> None:
        (self.folder / "conf.d").mkdir(exist_ok=True)
        shutil.copyfile(self.folder / "vedette.conf", self.folder / "conf.d" / "vedette.conf")
        super()._launch()


class Scene:
    """A new fleet in `folder`/yard, set up for a scheme, and its broker. Use it in a `with`."""

    def __init__(self, folder: Path, scheme: str = "mqtts") -> None:
        self.folder = folder
        self.path = make_yard(folder).place
        self.port = free_port()
        place = folder / "place"
        self.set_up = told(
            "fleet", "broker", "--dir", str(self.path), "--place", str(place), "--bind", HOST,
            "--url", f"{scheme}://{HOST}:{self.port}",
        )  # fmt: skip
        self.broker = EnrolledBroker(place, self.path)
        self.broker.port = self.port

    def __enter__(self) -> Scene:
        self.broker._configure()
        self.broker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.broker.kill()

    @property
    def fleet(self) -> FleetFolder:
        return open_fleet(self.path)

    def enroll(self, name: str, *words: str) -> Path:
        """Enrol, and bring what changed to the broker. NAME.vedette."""
        file = self.folder / f"{name}.vedette"
        done = told("fleet", "enroll", name, "--dir", str(self.path), "--out", str(file), *words)
        self.broker.bring()
        if done["broker"] == "restart":
            self.broker.restart()
        elif done["broker"] == "reload":
            self.broker.reload()
        return file

    def forbids(self, client: Client, *topic_names: str) -> None:
        """Try to write there: the broker says of each that it threw it away."""
        for topic in topic_names:
            before = self.broker.log.count("Denied PUBLISH")
            client.try_to_say(topic, b"false")
            until(lambda: self.broker.log.count("Denied PUBLISH") > before)  # noqa: B023

    def revoke(self, name: str, *words: str) -> dict[str, object]:
        return told("fleet", "revoke", name, "--dir", str(self.path), *words)

    def broker_for(self, file: Path, folder: Path) -> Broker:
        """What a device that was enrolled with a file knows of the broker."""
        done = vedette("enroll", str(file), "--etc", str(folder))
        assert done.returncode == 0, done.stderr
        from wire.config import load

        return load(folder / "vedette.toml").broker


class Client:
    """The product's own link, as somebody. A `with`; the connection is there in it."""

    def __init__(self, broker: Broker, client_id: str, *patterns: str) -> None:
        self.events: queue.Queue[LinkEvent] = queue.Queue()
        self.heard: list[Received] = []
        self._link = MqttLink(broker, client_id, self.events.put)
        for pattern in patterns:
            self._link.subscribe(pattern)

    def __enter__(self) -> Client:
        self._link.open()
        self.until(lambda event: isinstance(event, Connected))
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()

    def try_to_say(self, topic: str, payload: bytes) -> None:
        """Publish, whatever comes of it."""
        assert self._link.publish(topic, payload) is not None, "no connection"

    def say(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """Publish, and wait until the broker has it."""
        number = self._link.publish(topic, payload, retain=retain)
        assert number is not None, "no connection"
        self.until(lambda event: isinstance(event, Delivered) and event.number == number)

    def hear(self, topic: str, payload: bytes) -> None:
        """Wait for a message."""
        if not any((one.topic, one.payload) == (topic, payload) for one in self.heard):
            self.until(
                lambda event: (
                    isinstance(event, Received) and (event.topic, event.payload) == (topic, payload)
                )
            )

    def topics(self) -> list[str]:
        return [one.topic for one in self.heard]

    def until(self, holds: Callable[[LinkEvent], bool]) -> LinkEvent:
        end_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                event = self.events.get(timeout=max(0.0, end_s - time.monotonic()))
            except queue.Empty:
                raise AssertionError("it never came") from None
            if isinstance(event, Received):
                self.heard.append(event)
            if holds(event):
                return event


def why_refused(broker: Broker, client_id: str) -> str | None:
    """Why no connection can be had; None: one was had."""
    events: queue.Queue[LinkEvent] = queue.Queue()
    with closing(MqttLink(broker, client_id, events.put)) as link:
        link.open()
        event = events.get(timeout=PATIENCE_S)
    return event.why if isinstance(event, Disconnected) else None


def until(holds: Callable[[], object]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end_s, "it never came to that"
        time.sleep(0.02)
