"""How fast one device alone gets 20 MB, against bare pairs of a publisher and a subscriber.

Two yardsticks pass as many messages of one block (32 KiB, QoS 0) through the same mosquitto, and do
nothing else with them: mosquitto_pub and mosquitto_sub, in C, from before the start of the one to
the end of the other; and a pair of paho clients, each its own process, from the first publish to
the last message taken. A fetch takes each block over the same two hops, and checks its digest,
writes it, verifies the whole, fsyncs it, and names it durably: all of it is in its time. The three
take turns; what counts are the medians of each turn's ratios.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

from tests.brokers import Mosquitto
from tests.story.test_blocks import Ends, done
from wire.block.blocks import BLOCK, block_count

pytestmark = pytest.mark.budget

SIZE = 20_000_000
ROUNDS = 9
SHARE_OF_C = 0.3  # about 0.5 where nothing else runs, 0.4 to 0.8 beside other work
SHARE_OF_PAHO = 0.5


@dataclass(frozen=True)
class Turn:
    """Seconds, one after the other."""

    in_c_s: float
    paho_s: float
    ours_s: float


@dataclass(frozen=True)
class Speeds:
    """MB/s, and shares: all medians."""

    in_c: float
    paho: float
    ours: float
    share_of_c: float
    share_of_paho: float


def paho_s(ends: Ends, port: int) -> float:
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


def turns(folder: Path, rounds: int) -> list[Turn]:
    """Each measured `rounds` times, in turns. folder: is there, and empty."""
    ends = Ends(folder, random.Random(9).randbytes(SIZE))
    found = []
    try:
        with Mosquitto() as broker:
            ends.serve(broker.port)
            for _ in range(rounds):
                in_c = in_c_s(broker.port, folder)
                paho = paho_s(ends, broker.port)
                ours = float(str(done(ends.fetch(broker.port))["seconds"]))
                found.append(Turn(in_c, paho, ours))
                assert hashlib.sha256(ends.got).hexdigest() == ends.key
                (ends.here / "got").unlink()
    finally:
        ends.end()
    return found


def speeds(found: list[Turn]) -> Speeds:
    mb = SIZE / 1e6
    return Speeds(
        mb / median(turn.in_c_s for turn in found),
        mb / median(turn.paho_s for turn in found),
        mb / median(turn.ours_s for turn in found),
        median(turn.in_c_s / turn.ours_s for turn in found),
        median(turn.paho_s / turn.ours_s for turn in found),
    )


def test_one_device_alone_against_bare_pairs(tmp_path: Path) -> None:
    told = speeds(turns(tmp_path, ROUNDS))
    print(
        f"ours {told.ours:.0f} MB/s: {told.share_of_c:.2f} of mosquitto_pub and mosquitto_sub"
        f" ({told.in_c:.0f} MB/s), {told.share_of_paho:.2f} of a pair of paho's"
        f" ({told.paho:.0f} MB/s)"
    )
    assert told.share_of_c >= SHARE_OF_C
    assert told.share_of_paho >= SHARE_OF_PAHO
