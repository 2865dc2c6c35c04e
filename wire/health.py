"""How a device is: what can be read about its hardware and system. What cannot be read is None."""

from __future__ import annotations

from msgspec import Struct


class Memory(Struct, frozen=True):
    """Bytes. available: what programs could still get without swapping."""

    total: int
    available: int
    swap_total: int | None = None
    swap_used: int | None = None


class Disk(Struct, frozen=True):
    """The file system of the state folder, in bytes. free: what an ordinary user may still use."""

    total: int
    free: int


class Traffic(Struct, frozen=True):
    """What one network interface carried since it came up."""

    received_bytes: int
    sent_bytes: int
    errors: int
    dropped: int


class Throttle(Struct, frozen=True):
    """Why the board is or was slowed down, in the words of the Raspberry Pi firmware: any of
    under_voltage, frequency_capped, throttled, soft_temperature_limit.

    since_boot: as far as the kernel remembers, and what was seen since this process started.
    """

    now: tuple[str, ...] = ()
    since_boot: tuple[str, ...] = ()


class Health(Struct, frozen=True, omit_defaults=True):
    """One reading.

    cpu_percent: busy share of each core since the reading before, 0 to 100. load: the averages over
    1, 5 and 15 minutes. process_rss: bytes, by process name. temperatures_c: by sensor.
    clocks_mhz: now, by clock. network: by interface, without loopback. uptime_s: since boot, sleep
    included. clock_synchronised: whether the system clock follows a time server.
    fan_percent: what the fan is driven with; fan_rpm: how fast it turns.
    gpu_percent, power_mw (by rail), power_mode: Jetson.
    """

    cpu_percent: tuple[float, ...] | None = None
    load: tuple[float, float, float] | None = None
    memory: Memory | None = None
    process_rss: dict[str, int] | None = None
    disk: Disk | None = None
    temperatures_c: dict[str, float] | None = None
    clocks_mhz: dict[str, float] | None = None
    network: dict[str, Traffic] | None = None
    uptime_s: float | None = None
    clock_synchronised: bool | None = None
    throttle: Throttle | None = None
    gpu_percent: float | None = None
    power_mw: dict[str, float] | None = None
    fan_percent: float | None = None
    fan_rpm: int | None = None
    power_mode: str | None = None
