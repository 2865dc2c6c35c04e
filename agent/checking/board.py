"""What the board says of clock, power and heat."""

from __future__ import annotations

import time
from collections.abc import Iterator

from agent.checking.certificates import day
from wire import mends
from wire.finding import Finding
from wire.health import Health
from wire.version import RELEASED_S

HOT_C = 80.0  # here a Raspberry Pi begins to slow down
WEAK = "under_voltage"
POWER = "vcgencmd get_throttled"


def is_clock_right(health: Health) -> bool:
    """As far as is known."""
    return health.clock_synchronised is not False and time.time() >= RELEASED_S


def look_at_clock(health: Health) -> Iterator[Finding]:
    now_s = time.time()
    if now_s < RELEASED_S:
        says = f"it says {day(now_s)}, which is before this version was made"
        yield Finding("clock", "bad", "", says, mends.set_clock())
    elif health.clock_synchronised is False:
        says = f"it says {day(now_s)}, and follows no time server"
        yield Finding("clock", "warning", "", says, mends.set_clock())
    elif health.clock_synchronised is None:
        yield Finding("clock", "ok", "", f"it says {day(now_s)}; nobody here tells who sets it")
    else:
        yield Finding("clock", "ok", "", f"it says {day(now_s)}, and follows a time server")


def look_at_power(health: Health) -> Iterator[Finding]:
    """Under-voltage is a cable or a supply; the rest is heat."""
    found = False
    if health.throttle is not None:
        now, before = health.throttle.now, health.throttle.since_boot
        if WEAK in now or WEAK in before:
            found = True
            says = "the board gets too little voltage" if WEAK in now else "it got too little once"
            says += ": use its own power supply and a short thick cable, then look again"
            yield Finding("power", "bad" if WEAK in now else "warning", "voltage", says, POWER)
        slow = [reason.replace("_", " ") for reason in now or before if reason != WEAK]
        if slow:
            found = True
            says = f"it {'is' if now else 'was'} slowed down ({', '.join(slow)}): cool it better"
            yield Finding("power", "warning", "heat", says, "vcgencmd measure_temp")
    hot = {n: c for n, c in (health.temperatures_c or {}).items() if c >= HOT_C}
    for name, degrees_c in hot.items():
        says = f"{degrees_c:.0f} °C: give it a heat sink, a fan or air"
        yield Finding("power", "warning", name, says, "watch -n 5 cat /sys/class/thermal/*/temp")
    if not found and not hot:
        about = "no under-voltage and no throttling" if health.throttle else "nothing is too hot"
        yield Finding("power", "ok", "", about)
