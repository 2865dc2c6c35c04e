"""What it costs when many devices fetch a bundle at once."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from scripts.benching.page import machine

FAN_OUT = """
## Fan-out

A bundle of 4 MB is deployed to all devices at once, through one mosquitto, from one depot. The
devices are those of `vedette fleet simulate`, all in one process and on one thread: they wake
within two seconds after the bell, ask for metadata, then for blocks, and check each. Times are from
the bell until a device has the whole bundle. `sent` is what the depot published by the size of the
bundle, metadata included, `came` what came to a device on average. `beside`: processes that compute
without end meanwhile, at nice 10. All share the processor, which the devices keep busy: in a real
fleet each has its own. Memory is the most that each process had: a broker keeps for each device
what that has not taken yet. {machine}.

| herd | beside | half | 99 % | all | sent | came | depot | broker | herd | depot | broker | herd |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
TOLD = """
{devices:,} such devices that fetch nothing and tell every {period_s:g} s: {per_s:,.0f} records a
second come to who listens, for {ours:.2f} cores and {mib:.0f} MiB of their process and {broker:.2f}
cores of the broker.
"""
CROWD, CROWD_S, LISTEN_S = 10_000, 5.0, 20.0
LOOPS = (0, 2)
HERDS, PATIENCE_S = (200, 1000), 500.0


def section(herds: Sequence[int]) -> str:
    from tests.fanout import busy, telling
    from tests.fanout import fan_out as measured

    page = FAN_OUT.format(machine=machine())
    for devices, loops in product(herds, LOOPS):
        print(f"bench: fan-out to {devices} devices, beside {loops} others", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder, busy(loops):
            found = measured(Path(folder), devices, 4_000_000, PATIENCE_S)
        p50, p99, most = found.fetch_s
        came = found.received / found.devices / found.bundle
        cpu_s, mib = found.cpu_s, found.rss_mib
        page += f"| {devices} | {loops} | {p50:.1f} s | {p99:.1f} s | {most:.1f} s "
        page += f"| {found.share:.2f} | {came:.2f} | {cpu_s['depot']:.1f} s CPU "
        page += f"| {cpu_s['broker']:.1f} s CPU | {cpu_s['devices']:.1f} s CPU "
        page += f"| {mib['depot']:.0f} MiB | {mib['broker']:.0f} MiB | {mib['devices']:.0f} MiB |\n"
    print(f"bench: {CROWD} devices tell", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        told = telling(Path(folder), CROWD, CROWD_S, LISTEN_S)
    return page + TOLD.format(
        devices=CROWD, period_s=CROWD_S, per_s=told.per_s, ours=told.cores["devices"],
        mib=told.rss_mib, broker=told.cores["broker"],
    )  # fmt: skip
