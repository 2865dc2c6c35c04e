"""How fast one device alone gets a model over MQTT, against bare pairs."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from scripts.benching.page import machine

DELIVERY = """
## Delivery

20 MB over MQTT through one mosquitto, all processes on this machine, in MB/s. A fetch is one
device alone with one depot: every block's digest is checked, the whole is verified, fsynced and
named durably within its time. The pairs only pass as many messages of the same size (32 KiB,
QoS 0): mosquitto_pub and mosquitto_sub in C, with the start of mosquitto_pub, and two processes
with paho. Each row is one turn of the three, the last one the medians; the shares are the fetch's
speed by a pair's. On two cores all of them compete for the processor, so other work moves every
figure. `tests/budget/test_blocks.py` measures the same. {machine}.

| mosquitto pair | paho pair | fetch | share of mosquitto | share of paho |
| --- | --- | --- | --- | --- |
"""
DELIVERIES = 9  # turns


def section(rounds: int) -> str:
    from tests.budget.test_blocks import speeds, turns

    print(f"bench: delivery, {rounds} turns", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        found = turns(Path(folder), rounds)
    told, mb = speeds(found), 20_000_000 / 1e6
    rows = "".join(
        f"| {mb / turn.in_c_s:.0f} | {mb / turn.paho_s:.0f} | {mb / turn.ours_s:.0f} | "
        f"{turn.in_c_s / turn.ours_s:.2f} | {turn.paho_s / turn.ours_s:.2f} |\n"
        for turn in found
    )
    last = (
        f"| **{told.in_c:.0f}** | **{told.paho:.0f}** | **{told.ours:.0f}** | "
        f"**{told.share_of_c:.2f}** | **{told.share_of_paho:.2f}** |\n"
    )
    return DELIVERY.format(machine=machine()) + rows + last
