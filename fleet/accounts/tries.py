"""How often somebody may try to sign in: by address, by account, and by both."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable

WINDOW_S = 900.0
# wrong passwords in that time
MOST_HERE, MOST_OF_ADDRESS, MOST_OF_ACCOUNT = 5, 20, 50
MOST_KNOWN = 20_000  # places that are remembered; the oldest is forgotten


class Tries:
    """Wrong passwords lately. In memory: a restart forgives. Any thread. clock: seconds that only
    go forward."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failed: OrderedDict[tuple[str, str], list[float]] = OrderedDict()

    def wait_s(self, account: str, address: str) -> float:
        """How long to wait before the next try; 0: none."""
        now_s = self._clock()
        with self._lock:
            waits = [self._wait_s(place, most, now_s) for place, most in _places(account, address)]
        return max(waits)

    def failed(self, account: str, address: str) -> None:
        now_s = self._clock()
        with self._lock:
            for place, most in _places(account, address):
                times = self._failed.pop(place, [])
                self._failed[place] = [*times, now_s][-most:]
            while len(self._failed) > MOST_KNOWN:
                self._failed.popitem(last=False)

    def succeeded(self, account: str, address: str) -> None:
        """Somebody who knows the password may mistype it again from there."""
        with self._lock:
            self._failed.pop((account, network(address)), None)

    def _wait_s(self, place: tuple[str, str], most: int, now_s: float) -> float:
        times = self._failed.get(place, [])
        if len(times) < most:
            return 0.0
        return max(0.0, times[-most] + WINDOW_S - now_s)


def network(address: str) -> str:
    """Who counts as one: an IPv4 address, or the /64 that one customer has of IPv6."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(known, ipaddress.IPv4Address):
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((known, 64), strict=False))


def _places(account: str, address: str) -> tuple[tuple[tuple[str, str], int], ...]:
    account, where = account[:64], network(address)
    return (
        ((account, where), MOST_HERE),
        (("", where), MOST_OF_ADDRESS),
        ((account, ""), MOST_OF_ACCOUNT),
    )
