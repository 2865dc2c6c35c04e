"""The root of trust, and what was believed by it: is it there, and has any of it expired?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from agent.checking.certificates import day
from agent.fetch.fetching import FOLDER
from agent.fetch.refreshing import first_root
from wire import mends
from wire.block.blocks import NoSuchFile
from wire.config import Config
from wire.finding import Finding
from wire.troubles import Trouble
from wire.version import RELEASED_S

SOON_S = 14 * 86400.0  # root and targets are renewed by people
ONLINE = ("timestamp", "snapshot", "deployments")  # signed anew every day by the depot


class _Nowhere:
    """Nothing is fetched here."""

    def read(self, path: str, most_bytes: int) -> bytes:
        raise NoSuchFile(path)


def look_at_trust(config: Config, state: Path, is_clock_right: bool) -> Iterator[Finding]:
    """Of what is on this device: nothing is asked of the depot."""
    named = config.updates.root
    if named is None:
        yield Finding("trust", "ok", "", "no root is configured: this device takes no models")
        return
    from wire.trust.trust import Trust  # large, and needed by those only who have a root

    enroll = f"sudo vedette enroll {config.device}.vedette"
    try:
        root = first_root(Path(named))
        trust = Trust(state / FOLDER / "trust", root, _Nowhere(), time.time)
    except Trouble as trouble:
        yield Finding("trust", "bad", "root", str(trouble), enroll)
        return
    if trust.trusted is None:
        says = f"{named} is a root, and nothing that it vouches for has come yet"
        ask = "vedette fleet status"
        yield Finding("trust", "warning", "metadata", says, ask, "operator")
        return
    now_s = max(time.time(), RELEASED_S, trust.issued_s)
    late = [_judged(role, at_s, now_s, is_clock_right) for role, at_s in trust.expiries]
    found = [one for one in late if one is not None]
    yield from found
    if not found:
        first = min(at_s for _, at_s in trust.expiries)
        says = f"root {trust.trusted.root} and what it vouches for are good until {day(first)}"
        yield Finding("trust", "ok", "metadata", says)


def _judged(role: str, at_s: float, now_s: float, is_clock_right: bool) -> Finding | None:
    depot, renew = "sudo systemctl restart vedette-depot", "vedette fleet keys renew"
    mend = depot if role in ONLINE else renew
    if at_s > now_s:
        if role in ONLINE or at_s - now_s > SOON_S:
            return None
        says = f"the fleet's {role} expires on {day(at_s)}"
        return Finding("trust", "warning", role, says, renew, "operator")
    says = f"the fleet's {role} expired on {day(at_s)}, and here it is {day(now_s)}"
    if not is_clock_right:
        says += ", by a clock that follows nobody"
        return Finding("trust", "bad", role, says, mends.set_clock())
    return Finding("trust", "bad", role, says, mend, "operator")
