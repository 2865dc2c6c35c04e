"""Real brokers as processes of their own, and a witness that listens to what they carry."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.certificates import Authority, Certified
from tests.gate import TcpGate

__all__ = ["Amqtt", "Authority", "Heard", "Listener", "Mosquitto", "TcpGate", "free_port"]

HOST = "127.0.0.1"
START_S = 30.0
TRIES = 3  # a free port may be taken by somebody else before the broker has it


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class _BrokerProcess(ABC):
    """A broker that can be stopped, killed, frozen, and started again where it was."""

    def __init__(self, folder: Path | None) -> None:
        self._owned = None if folder else tempfile.TemporaryDirectory(prefix="broker-")
        self.folder = folder or Path(self._owned.name if self._owned else "")
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the broker was not started"
        return self._process.pid

    @property
    def log(self) -> str:
        """What the broker wrote so far, over all starts."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start, and wait until it takes connections. Ports stay the same over restarts."""
        is_first = self.port == 0
        for left in reversed(range(TRIES)):
            if is_first:
                self._configure()
            self._launch()
            if self._comes_up():
                return
            self.kill()
            if not is_first or left == 0:
                raise AssertionError(f"the broker did not start:\n{self.log}")

    def stop(self) -> None:
        """End in order: mosquitto sends DISCONNECT to those who speak MQTT 5."""
        self._signal_and_wait(signal.SIGTERM)

    def kill(self) -> None:
        self._signal_and_wait(signal.SIGKILL)

    def freeze(self) -> None:
        """Stand still with all connections open, as on a network that swallows everything."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        if self._owned is not None:
            self._owned.cleanup()

    @abstractmethod
    def _configure(self) -> None:
        """Choose ports and write the configuration."""

    @abstractmethod
    def _command(self) -> list[str]: ...

    def _ports(self) -> list[int]:
        """All that the broker listens on."""
        return [self.port]

    def _launch(self) -> None:
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _comes_up(self) -> bool:
        assert self._process is not None
        until = time.monotonic() + START_S
        while time.monotonic() < until and self._process.poll() is None:
            try:
                for port in self._ports():
                    socket.create_connection((HOST, port), 1).close()
                return self._process.poll() is None
            except OSError:
                time.sleep(0.02)
        return False

    def _signal_and_wait(self, number: signal.Signals) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(number)
            if number != signal.SIGKILL:
                process.send_signal(signal.SIGCONT)
            process.wait(START_S)


class Mosquitto(_BrokerProcess):
    """mosquitto on free ports of loopback: plain always, others when asked for.

    lines: of mosquitto.conf, "{folder}" is replaced. users: name -> password; without users,
    everybody may come. acl: text of the acl_file. certified: opens TLS and wss ports; clients:
    whose certificates it asks for there. port, ws_port, tls_port, wss_port: where it listens.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        lines: Sequence[str] = (),
        users: Mapping[str, str] | None = None,
        acl: str | None = None,
        certified: Certified | None = None,
        clients: Authority | None = None,
    ) -> None:
        self._program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if self._program is None:
            pytest.skip("mosquitto is not installed: apt install mosquitto")
        super().__init__(folder)
        self.ws_port = self.tls_port = self.wss_port = 0
        self._lines = lines
        self._users = users or {}
        self._acl = acl
        self._certified = certified
        self._clients = clients

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def url(self, scheme: str = "mqtt", host: str = HOST) -> str:
        ports = {"mqtt": self.port, "ws": self.ws_port, "mqtts": self.tls_port}
        return f"{scheme}://{host}:{ports.get(scheme, self.wss_port)}"

    def _command(self) -> list[str]:
        return [str(self._program), "-c", str(self.folder / "mosquitto.conf")]

    def _ports(self) -> list[int]:
        ports = (self.port, self.ws_port, self.tls_port, self.wss_port)
        return [port for port in ports if port]

    def _configure(self) -> None:
        self.port, self.ws_port = free_port(), free_port()
        listeners = [f"listener {self.port} {HOST}"]
        listeners += [f"listener {self.ws_port} {HOST}", "protocol websockets"]
        if self._certified is not None:
            self.tls_port, self.wss_port = free_port(), free_port()
            listeners += [f"listener {self.tls_port} {HOST}", *self._tls(self._certified)]
            listeners += [f"listener {self.wss_port} {HOST}", "protocol websockets"]
            listeners += self._tls(self._certified)
        lines = [line.replace("{folder}", str(self.folder)) for line in self._lines]
        text = "\n".join([f"user {getpass.getuser()}", *self._access(), *lines, *listeners, ""])
        (self.folder / "mosquitto.conf").write_text(text, encoding="utf-8")

    def _tls(self, certified: Certified) -> list[str]:
        lines = [f"certfile {certified.certificate}", f"keyfile {certified.key}"]
        if self._clients is not None:
            lines += [f"cafile {self._clients.file}", "require_certificate true"]
        return lines

    def _access(self) -> list[str]:
        lines = []
        if self._acl is not None:
            acl = self._write_private("acl", self._acl)
            lines.append(f"acl_file {acl}")
        if not self._users:
            return [*lines, "allow_anonymous true"]
        plain = "".join(f"{name}:{password}\n" for name, password in self._users.items())
        passwords = self._write_private("passwords", plain)
        subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True)
        return [*lines, "allow_anonymous false", f"password_file {passwords}"]

    def _write_private(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path


class Amqtt(_BrokerProcess):
    """A broker that speaks MQTT 3.1.1 only."""

    def __init__(self, folder: Path | None = None) -> None:
        program = shutil.which("amqtt", path=str(Path(sys.executable).parent))
        if program is None:
            pytest.skip("amqtt is not installed: pip install 'vedette[broker]'")
        self._program = program
        super().__init__(folder)

    def __enter__(self) -> Amqtt:
        self.start()
        return self

    def url(self) -> str:
        return f"mqtt://{HOST}:{self.port}"

    def _command(self) -> list[str]:
        return [self._program, "-c", str(self.folder / "amqtt.yaml")]

    def _configure(self) -> None:
        self.port = free_port()
        text = (
            f"listeners:\n  default:\n    type: tcp\n    bind: {HOST}:{self.port}\n"
            "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n"
            "    allow_anonymous: true\n"
        )
        (self.folder / "amqtt.yaml").write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Heard:
    """A message. at_s: when it came, on time.monotonic."""

    topic: str
    payload: bytes
    retained: bool
    at_s: float


class Listener:
    """A client that is not ours: hears what the broker carries, and says what it is told to."""

    def __init__(
        self,
        port: int,
        *patterns: str,
        username: str | None = None,
        password: str | None = None,
        client_id: str = "",
    ) -> None:
        self._port = port
        self._patterns = patterns
        self._heard: list[Heard] = []
        self._changed = threading.Condition()
        self._taken: set[int] = set()
        self._subscribed = threading.Event()
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv311
        )
        self._client.username_pw_set(username, password)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda *_: self._subscribe()
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_disconnect = lambda *_: self._subscribed.clear()
        self._client.on_publish = lambda _client, _userdata, mid, *_: self._note_taken(mid)
        self._client.on_message = lambda _client, _userdata, message: self._hear(message)

    def __enter__(self) -> Listener:
        self._client.connect(HOST, self._port, keepalive=600)
        self._client.loop_start()
        if not self._subscribed.wait(START_S):
            self.__exit__(None, None, None)
            raise AssertionError("the broker did not let the listener subscribe")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def heard(self) -> list[Heard]:
        """Everything so far, in order."""
        with self._changed:
            return list(self._heard)

    def payloads(self, topic: str) -> list[bytes]:
        """What came on one topic so far, in order."""
        return [message.payload for message in self.heard if message.topic == topic]

    def wait_for(
        self, predicate: Callable[[list[Heard]], bool], timeout_s: float = 30.0
    ) -> list[Heard]:
        """Everything heard, as soon as the predicate is true of it. Raises AssertionError."""
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self._heard), timeout_s):
                told = [(one.topic, one.payload[:200]) for one in self._heard[-20:]]
                raise AssertionError(f"not heard in {timeout_s} s; the last messages: {told}")
            return list(self._heard)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        """Publish, and wait until the broker has it (QoS 1) or the socket (QoS 0).

        While the broker is away this waits for it.
        """
        assert self._subscribed.wait(START_S), "the listener has no connection"
        mid = self._client.publish(topic, payload, qos, retain).mid
        with self._changed:
            taken = self._changed.wait_for(lambda: mid in self._taken, START_S)
        assert taken, f"the broker did not take the message to {topic}"

    def _subscribe(self) -> None:
        if self._patterns:
            self._client.subscribe([(pattern, 1) for pattern in self._patterns])
        else:
            self._subscribed.set()

    def _note_taken(self, mid: int) -> None:
        with self._changed:
            self._taken.add(mid)
            self._changed.notify_all()

    def _hear(self, message: MQTTMessage) -> None:
        one = Heard(message.topic, bytes(message.payload), message.retain, time.monotonic())
        with self._changed:
            self._heard.append(one)
            self._changed.notify_all()
