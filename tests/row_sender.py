"""Who publishes rows of numbers on a broker of loopback, in a process of its own:
`python -m tests.row_sender PORT PERIOD_S`. What it allocates is no business of the camera's tests.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.brokers import HOST, Mosquitto
from tests.laws.sources import ROOT

TOPIC = "press/3"


@contextmanager
def row_sender(period_s: float) -> Iterator[str]:
    """The broker's HOST:PORT. A row of three numbers comes every so often, until the end."""
    with Mosquitto() as broker:
        words = [sys.executable, "-m", "tests.row_sender", str(broker.port), str(period_s)]
        sender = subprocess.Popen(words, cwd=ROOT)
        try:
            yield f"{HOST}:{broker.port}"
        finally:
            sender.kill()
            sender.wait()


@contextmanager
def publisher(port: int, user: str | None = None, password: str = "") -> Iterator[Client]:
    """A client that is connected."""
    client = Client(CallbackAPIVersion.VERSION2)
    if user is not None:
        client.username_pw_set(user, password)
    client.connect(HOST, port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def main(port: int, period_s: float) -> None:
    """Publish until killed."""
    with publisher(port) as client:
        due_s, number = time.monotonic(), 1
        while True:
            client.publish(TOPIC, f"[{number}, {number / 4}, 7]")
            number, due_s = number + 1, due_s + period_s
            time.sleep(max(0.0, due_s - time.monotonic()))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
