"""Many large messages both ways at once over a real broker, plain and by TLS: none is torn."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from tests.brokers import Authority, Mosquitto, TcpGate
from tests.story.links import linked
from wire.config import Broker
from wire.link import Connected, Disconnected, Received

COUNT = 150
PORTS = {"mqtt": "port", "mqtts": "tls_port"}
PAYLOADS = [random.Random(number).randbytes(1 + number * 400) for number in range(COUNT)]


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts"])
def test_two_threads_publish_what_they_also_receive(scheme: str, tmp_path: Path) -> None:
    """QoS 0 and 1 in between each other, up to 60 kB, while the line stalls and flows."""
    authority = Authority(tmp_path)
    ca_file = str(authority.file) if scheme == "mqtts" else None
    with (
        Mosquitto(certified=authority.issue("127.0.0.1")) as mosquitto,
        TcpGate(getattr(mosquitto, PORTS[scheme]), window_bytes=4096) as gate,
        linked(Broker(f"{scheme}://127.0.0.1:{gate.port}", ca_file=ca_file)) as (link, inbox),
    ):
        inbox.wait(Connected)
        link.subscribe("flood/+")

        def publish(topic: str, qos: int) -> None:
            for payload in PAYLOADS:
                while link.publish(topic, payload, qos=qos) is None:
                    time.sleep(0.002)

        threads = [
            threading.Thread(target=publish, args=(f"flood/{qos}{half}", qos))
            for qos in (0, 1)
            for half in "ab"
        ]
        for thread in threads:
            thread.start()
        for _ in range(5):
            gate.stall()
            time.sleep(0.05)
            gate.flow()
            time.sleep(0.05)
        for thread in threads:
            thread.join(30)
        until = time.monotonic() + 30
        topics = [f"flood/{qos}{half}" for qos in (0, 1) for half in "ab"]
        while len(inbox.all_of(Received)) < COUNT * len(topics) and time.monotonic() < until:
            time.sleep(0.01)
        for topic in topics:
            came = [one.payload for one in inbox.all_of(Received) if one.topic == topic]
            assert came == PAYLOADS, topic
        assert inbox.all_of(Disconnected) == []
