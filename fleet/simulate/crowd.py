"""Many simulated devices: opened at a steady pace, telling by turns, counted together."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct

from fleet.simulate.device import MakeLink, Place, SimulatedDevice

CLOSE_TOGETHER = 64
OPEN_PER_S = 200.0  # connections; brokers have a short queue of those that come


class Report(Struct, frozen=True):
    """`--json`. connected: now. lost: connections that broke. fetched: models that came whole, of
    all devices; fetch_s: how long those took from the bell on: the median, 99 of 100, all.
    content_bytes: of these models; received_bytes: of blocks that came to devices, wanted or not.
    up_to_date: devices that have done what the newest bell asks for; idle: of these, those to whose
    pipeline nothing is deployed. troubles: that last, and of how many devices."""

    devices: int
    connected: int
    lost: int
    up_to_date: int
    idle: int
    fetched: int
    fetch_s: tuple[float, float, float] | None
    content_bytes: int
    received_bytes: int
    troubles: dict[str, int]


class Crowd:
    """`open`, then `step` again and again, then `close`. For one thread."""

    def __init__(self, names: Sequence[str], place: Place, make_link: MakeLink) -> None:
        self._period_s = place.period_s
        self._devices = [SimulatedDevice(name, place, make_link) for name in names]
        self._opened = 0
        self._told = 0  # records
        self._began_s = time.monotonic()

    def step(self) -> float:
        """Open and tell what is due. Returns seconds until more is."""
        now_s = time.monotonic() - self._began_s
        while self._opened < min(len(self._devices), int(now_s * OPEN_PER_S) + 1):
            self._devices[self._opened].open()
            self._opened += 1
        # the turns of all devices lie evenly in each period, the first at the end of the first one
        gap_s = self._period_s / len(self._devices)
        while self._period_s + self._told * gap_s <= now_s:
            self._devices[self._told % len(self._devices)].tell()
            self._told += 1
        told_s = self._period_s + self._told * gap_s - now_s
        return told_s if self._opened == len(self._devices) else min(told_s, 1 / OPEN_PER_S)

    def close(self) -> None:
        """Every device says goodbye, many at a time: each waits for the broker."""
        opened = self._devices[: self._opened]
        for device in opened:
            device.say_goodbye()
        with ThreadPoolExecutor(CLOSE_TOGETHER) as pool:
            list(pool.map(SimulatedDevice.close, opened))

    def report(self) -> Report:
        counted = [device.counted for device in self._devices]
        took_s = sorted(each for one in counted for each in list(one.fetches_s))
        return Report(
            devices=len(counted),
            connected=sum(one.is_connected for one in counted),
            lost=sum(one.lost for one in counted),
            up_to_date=sum(one.is_up_to_date for one in counted),
            idle=sum(one.is_up_to_date and one.has_nothing for one in counted),
            fetched=len(took_s),
            fetch_s=None if not took_s else _shares(took_s),
            content_bytes=sum(one.content_bytes for one in counted),
            received_bytes=sum(device.received_bytes for device in self._devices),
            troubles=dict(Counter(why for one in counted if (why := one.apart or one.trouble))),
        )


def _shares(ascending: Sequence[float]) -> tuple[float, float, float]:
    """The median, 99 of 100, and all."""
    last = len(ascending) - 1
    p50, p99, most = (round(ascending[round(last * share)], 3) for share in (0.5, 0.99, 1.0))
    return p50, p99, most
