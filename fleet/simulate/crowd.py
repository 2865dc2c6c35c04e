"""Many simulated devices: opened at a steady pace, telling by turns, counted together."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct

from fleet.simulate.device import MakeLink, Place, SimulatedDevice
from wire.turns import Turns, Wait

CLOSE_TOGETHER = 64
OPEN_PER_S = 200.0  # connections; brokers have a short queue of those that come
LOOK_S = 1.0  # between two looks at what waits for an acknowledgement, and what was commanded
END_S = 5.0


class Report(Struct, frozen=True):
    """`--json`. connected: now; heard: of these, whose word the broker takes. lost:
    connections that broke. records: that were made; waiting: of these, not
    acknowledged yet; dropped: that had no room to wait. fetched: models that came whole, of all
    devices; fetch_s: how long those took from the bell on: the median, 99 of 100, all.
    content_bytes: of these models; received_bytes: of blocks that came to devices, wanted or not.
    up_to_date: devices that have done what the newest bell asks for; idle: of these, those to whose
    pipeline nothing is deployed. late_s: how much later than they should the last records were
    made. answered: commands. troubles: that last, and of how many devices."""

    devices: int
    connected: int
    heard: int
    lost: int
    records: int
    waiting: int
    dropped: int
    late_s: float
    up_to_date: int
    idle: int
    fetched: int
    fetch_s: tuple[float, float, float] | None
    content_bytes: int
    received_bytes: int
    answered: int
    troubles: dict[str, int]


class Crowd:
    """`open`, then `report` now and then, perhaps `settle`, then `close`. For one thread."""

    def __init__(self, names: Sequence[str], place: Place, make_link: MakeLink) -> None:
        self._period_s = place.period_s
        self._reactor = place.reactor
        self._devices = [SimulatedDevice(name, place, make_link) for name in names]
        self._opened = 0
        self._told = 0  # records of telemetry
        self._late_s = 0.0
        self._is_quiet = self._is_over = False
        self._pace = self._reactor.routine()

    def open(self) -> None:
        """Begin to be them, one after the other."""
        self._pace.start(self._pacing())

    def settle(self, patience_s: float, stop: threading.Event) -> None:
        """Tell nothing new, until all is acknowledged that was told, or somebody says stop."""
        self._is_quiet = True
        until_s = time.monotonic() + patience_s
        while any(one.records.waiting for one in self._devices) and time.monotonic() < until_s:
            if stop.wait(LOOK_S / 10):
                return

    def close(self) -> None:
        """Every device says goodbye, many at a time: each waits for the broker."""
        self._is_over = True
        self._pace.ring()
        self._pace.join(END_S)
        opened = self._devices[: self._opened]
        for device in opened:
            device.say_goodbye()
        with ThreadPoolExecutor(CLOSE_TOGETHER) as pool:
            list(pool.map(SimulatedDevice.close, opened))

    def _pacing(self) -> Turns[None]:
        """Open and tell what is due."""
        began_s = time.monotonic()
        looked_s = began_s
        # the turns of all devices lie evenly in each period, the first at the end of the first one
        gap_s = self._period_s / len(self._devices)
        while not self._is_over:
            now_s = time.monotonic() - began_s
            if self._opened < min(len(self._devices), int(now_s * OPEN_PER_S) + 1):
                self._devices[self._opened].open()
                self._opened += 1
            told_s = self._period_s + self._told * gap_s - now_s
            if told_s <= 0:
                self._late_s = -told_s
                self._tell_next(now_s)
            if now_s + began_s - looked_s > LOOK_S:
                looked_s = now_s + began_s
                for device in self._devices[: self._opened]:
                    device.tick(looked_s)
            is_open = self._opened == len(self._devices)
            open_s = math.inf if is_open else self._opened / OPEN_PER_S - now_s
            yield Wait(max(0.0, min(told_s, open_s, LOOK_S)))

    def _tell_next(self, now_s: float) -> None:
        device = self._devices[self._told % len(self._devices)]
        self._told += 1
        if not self._is_quiet:
            device.tell(time.monotonic())

    @property
    def is_unheard(self) -> bool:
        """Whether the broker lets none of them say anything."""
        devices = self._devices
        return any(one.is_mute for one in devices) and not any(one.is_heard for one in devices)

    def report(self) -> Report:
        devices = self._devices
        followed = [device.followed for device in devices]
        took_s = sorted(each for one in followed for each in list(one.fetches_s))
        troubles = (one.trouble for one in devices)
        return Report(
            devices=len(devices),
            connected=sum(one.is_connected for one in devices),
            heard=sum(one.is_heard for one in devices),
            lost=sum(one.lost for one in devices),
            records=sum(one.records.made for one in devices),
            waiting=sum(one.records.waiting for one in devices),
            dropped=sum(one.records.lost for one in devices),
            late_s=round(self._late_s, 3),
            up_to_date=sum(one.is_up_to_date for one in followed),
            idle=sum(one.is_up_to_date and one.has_nothing for one in followed),
            fetched=len(took_s),
            fetch_s=None if not took_s else _shares(took_s),
            content_bytes=sum(one.content_bytes for one in followed),
            received_bytes=sum(one.received_bytes for one in devices),
            answered=sum(one.answered for one in devices),
            troubles=dict(Counter(why for why in troubles if why)),
        )


def _shares(ascending: Sequence[float]) -> tuple[float, float, float]:
    """The median, 99 of 100, and all."""
    last = len(ascending) - 1
    p50, p99, most = (round(ascending[round(last * share)], 3) for share in (0.5, 0.99, 1.0))
    return p50, p99, most
