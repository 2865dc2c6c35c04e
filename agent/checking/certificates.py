"""The certificates that this device was given: are they valid now, and for how long yet?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from agent.checking.validity import validity_of
from wire import mends
from wire.config import Broker
from wire.finding import Finding, Level

SOON_S = 30 * 86400.0
NEW_AUTHORITY = "vedette fleet broker, then as it says"  # one certificate anew would not help
LAST_SECOND = 253402300799.0  # of the year 9999


def look_at_proofs(
    broker: Broker, device: str, now_s: float, is_clock_right: bool
) -> Iterator[Finding]:
    """Those in files that the configuration names."""
    for what, path, mend in (
        ("this device's certificate", broker.certificate_file, mends.enroll_again(device)),
        ("the authority's certificate", broker.ca_file, NEW_AUTHORITY),
    ):
        valid = None if path is None else validity_of(path)
        if valid is None:
            continue
        about = f"{what} ({path})"
        if now_s > valid.ends_s and not is_clock_right:
            says = f"it has expired on {day(valid.ends_s)}, by a clock that follows nobody and says"
            yield Finding("broker", "bad", about, f"{says} {day(now_s)}", mends.set_clock())
        elif now_s > valid.ends_s:
            yield _again(about, "bad", f"it has expired on {day(valid.ends_s)}", mend)
        elif now_s < valid.starts_s:
            says = f"it is not valid before {day(valid.starts_s)}; here it is {day(now_s)}"
            yield Finding("broker", "bad", about, says, mends.set_clock())
        elif soon(valid.ends_s, now_s):
            yield _again(about, "warning", f"it expires on {day(valid.ends_s)}", mend)
        else:
            yield Finding("broker", "ok", about, f"it is valid until {day(valid.ends_s)}")


def _again(about: str, level: Level, says: str, mend: str) -> Finding:
    return Finding("broker", level, about, says, mend, "operator")


def soon(ends_s: float, now_s: float) -> bool:
    return ends_s - now_s < SOON_S


def day(at_s: float) -> str:
    at = datetime.fromtimestamp(min(max(at_s, 0.0), LAST_SECOND), timezone.utc)
    return f"{at:%Y-%m-%d}"
