"""How fast one device alone gets 20 MB, against a bare publisher and subscriber.

The yardstick is a pair of paho clients, each its own process, that pass as many messages of one
block (32 KiB, QoS 0) through the same mosquitto and do nothing else with them: from the first
publish to the last message taken. A fetch takes each block over the same two hops, and checks its
digest, writes it, fsyncs, verifies the whole, and names the file durably: all of it is in its time.
mosquitto_pub and mosquitto_sub, in C, are printed beside it.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import time
from pathlib import Path
from statistics import median

import pytest

from tests.brokers import Mosquitto
from tests.story.test_blocks import Ends, done
from wire.blocks import BLOCK, block_count

pytestmark = pytest.mark.budget

SIZE = 20_000_000
ROUNDS = 9
SHARE = 0.5


def bare_s(ends: Ends, port: int) -> float:
    """Of the pair of paho clients."""
    count = block_count(SIZE)
    subscriber = ends.start("bare-subscriber", port, "--count", count)
    assert subscriber.stdout is not None
    assert subscriber.stdout.readline() == "ready\n"
    publisher = ends.start("bare-publisher", port, "--count", count)
    ended = json.loads(subscriber.communicate(timeout=60)[0])["ended_s"]
    begun = json.loads(publisher.communicate(timeout=60)[0])["begun_s"]
    return float(ended - begun)


def in_c_s(port: int, folder: Path) -> float:
    """Of mosquitto_pub and mosquitto_sub, with the start of mosquitto_pub."""
    (folder / "block").write_bytes(bytes(BLOCK))
    where = ["-p", str(port), "-t", "bare", "-q", "0"]
    count = str(block_count(SIZE))
    subscriber = subprocess.Popen(["mosquitto_sub", *where, "-C", count], stdout=subprocess.DEVNULL)
    time.sleep(0.5)  # it does not say when it has subscribed
    begun = time.monotonic()
    publish = ["mosquitto_pub", *where, "-f", str(folder / "block"), "--repeat", count]
    subprocess.run(publish, check=True, timeout=60)
    subscriber.wait(60)
    return time.monotonic() - begun


def test_one_device_alone_against_a_bare_pair(tmp_path: Path) -> None:
    content = random.Random(9).randbytes(SIZE)
    ends = Ends(tmp_path, content)
    ratios, ours, bare = [], [], []
    try:
        with Mosquitto() as broker:
            ends.serve(broker.port)
            for _ in range(ROUNDS):
                bare.append(bare_s(ends, broker.port))
                told = done(ends.fetch(broker.port))
                ours.append(float(str(told["seconds"])))
                ratios.append(bare[-1] / ours[-1])
                assert hashlib.sha256(ends.got).hexdigest() == ends.key
                (ends.here / "got").unlink()
            in_c = in_c_s(broker.port, tmp_path)
    finally:
        ends.end()
    print(
        f"{median(ratios):.2f} of the bare pair: {SIZE / median(ours) / 1e6:.0f} MB/s, bare"
        f" {SIZE / median(bare) / 1e6:.0f} MB/s, in C {SIZE / in_c / 1e6:.0f} MB/s"
    )
    assert median(ratios) >= SHARE
