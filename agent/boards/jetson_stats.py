"""What jetson-stats says. Its service may be missing, of another version, or hang: nobody waits."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from msgspec import Struct
from msgspec.structs import asdict

INTERVAL_S = 5.0  # between two readings; the service works only while somebody asks
FRESH_S = 60.0  # what is older says nothing about now
RETRY_S = 600.0
LONGEST = 64  # characters of a name
MOST_RAILS = 16


class Figures(Struct, frozen=True):
    """The part of a board's health that jetson-stats knows too. Units as in wire.health."""

    gpu_percent: float | None = None
    power_mw: dict[str, float] | None = None
    fan_percent: float | None = None
    power_mode: str | None = None

    def is_complete(self) -> bool:
        return None not in asdict(self).values()

    def filled_from(self, other: Figures) -> Figures:
        theirs = asdict(other)
        return Figures(**{k: theirs[k] if v is None else v for k, v in asdict(self).items()})


class Client(Protocol):
    """What is used of `jtop.jtop`. ok() waits for the next reading."""

    @property
    def stats(self) -> Mapping[str, object]: ...
    def ok(self) -> bool: ...


Connect = Callable[[], AbstractContextManager[Client]]


class Jtop:
    """Asks from a thread that dies with the process: no call here waits for the service."""

    def __init__(
        self,
        connect: Connect,
        clock: Callable[[], float] = time.monotonic,
        retry_s: float = RETRY_S,
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._retry_s = retry_s
        self._latest: tuple[float, Figures] | None = None
        self._thread = threading.Thread(target=self._ask, name="jetson-stats", daemon=True)
        self._thread.start()

    def is_asking(self) -> bool:
        """Whether there may still be an answer one day."""
        return self._thread.is_alive()

    def latest(self) -> Figures:
        """The newest figures; none of them where there is no service."""
        latest = self._latest
        if latest is None or self._clock() - latest[0] > FRESH_S:
            return Figures()
        return latest[1]

    def _ask(self) -> None:
        while True:
            try:
                with self._connect() as client:
                    while client.ok():
                        self._latest = self._clock(), figures_of(client.stats)
            except ImportError:
                return  # it is not installed, and will not be while we run
            except Exception:  # noqa: S110  it raises what sockets and pickles raise; we ask again
                pass
            time.sleep(self._retry_s)


def figures_of(stats: Mapping[str, object]) -> Figures:
    """Out of the flat table of jtop: per cent, milliwatts, names."""
    rails = {
        key.removeprefix("Power ")[:LONGEST]: power
        for key, value in stats.items()
        if key.startswith("Power ") and (power := _within(value, 1e6)) is not None
    }
    fans = [_within(value, 100) for key, value in stats.items() if key.lower().startswith("fan")]
    gpus = [_within(stats.get(key), 100) for key in ("GPU", "GPU1")]
    mode = stats.get("nvp model")
    return Figures(
        gpu_percent=_first(gpus),
        power_mw=dict(list(rails.items())[:MOST_RAILS]) or None,
        fan_percent=_first(fans),
        power_mode=mode[:LONGEST] if isinstance(mode, str) and mode.isprintable() else None,
    )


def _within(value: object, most: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if 0 <= value <= most else None


def _first(values: list[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)
