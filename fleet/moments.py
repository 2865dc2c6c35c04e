"""When records were made, on the watcher's clock, though the device's clock may be wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

from wire.messages import Event, Telemetry

MOST_BOOTS = 8
LONGEST_NAME = 64  # of a boot
MOST_EARLY_S = 10.0  # further ahead of ours, a device's clock is wrong
MOST_LATE_S = 31 * 86400.0  # a spool keeps records no longer than about that
OLDEST_S = 366 * 86400.0  # what claims to be older is shown as this old


@dataclass(frozen=True)
class Moment:
    """at_s: Unix time by the watcher. clock_off_s: how far the device's clock was ahead, 0 if it
    is believed."""

    at_s: float
    clock_off_s: float


@dataclass
class Moments:
    """Of one device. A record cannot have been made after it arrived, so each boot was at the
    latest `arrival - uptime`; the least delayed record of a boot says it best."""

    boots: dict[str, float] = field(default_factory=dict)
    synchronised: bool | None = None

    def place(self, record: Telemetry | Event, now_s: float) -> Moment:
        """When the record that arrived at `now_s` was made."""
        if isinstance(record, Telemetry):
            self.synchronised = record.health.clock_synchronised
        boot = record.boot[:LONGEST_NAME]
        booted_s = min(self.boots.get(boot, now_s), now_s - record.uptime_s)
        self.boots[boot] = booted_s
        if len(self.boots) > MOST_BOOTS:
            del self.boots[next(iter(self.boots))]
        late_s = now_s - record.time
        plausible = -MOST_EARLY_S <= late_s <= MOST_LATE_S
        if plausible and self.synchronised is not False:
            return Moment(min(record.time, now_s), 0.0)
        at_s = min(now_s, max(booted_s + record.uptime_s, now_s - OLDEST_S))
        return Moment(at_s, record.time - at_s)
