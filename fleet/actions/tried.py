"""What became of a version on the devices that were to run it, as the registry remembers it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable

from msgspec import Struct

from fleet.registry.words import UpdateLife, UpdateQuery
from fleet.wording import plural, printable
from wire.troubles import Unavailable

MOST_LIVES = 1000  # of one version that are looked at
LOOK_S = 5.0  # how old what is told may be
SHARE = 20.0  # times that a look takes, until the next: the registry may be large
FAILED = {"rejected": "rejected", "rolled_back": "rolled back"}

Ask = Callable[[UpdateQuery], tuple[UpdateLife, ...]]  # raises Unavailable


class Tried(Struct, frozen=True):
    """devices: that came to an end with it. rejected, rolled_back: those that ended so. reason: of
    the newest of these."""

    devices: int
    rejected: int = 0
    rolled_back: int = 0
    reason: str = ""

    @property
    def failed(self) -> int:
        return self.rejected + self.rolled_back

    @property
    def words(self) -> str:
        """`tried on 3 devices, rolled back on 2: it is slow`."""
        ends = (("rejected", self.rejected), ("rolled back", self.rolled_back))
        told = [
            words if many == self.devices else f"{words} on {many:,}"
            for words, many in ends
            if many
        ]
        return f"tried on {plural(self.devices, 'device')}, {' and '.join(told)}: {self.reason}"


def tried_of(lives: Iterable[UpdateLife]) -> Tried | None:
    """None: no device has come to an end with it. lives: of one version, the newest first; of each
    device and pipeline the newest that ended counts."""
    seen: set[tuple[str, str]] = set()
    worst: dict[str, str] = {}
    reason = ""
    for life in lives:
        place = (life.device, life.pipeline)
        if place in seen or life.phase not in ("good", *FAILED):
            continue
        seen.add(place)
        if worst.get(life.device) not in FAILED:
            worst[life.device] = life.phase
        if life.phase in FAILED and not reason:
            told = life.steps[-1].reason if life.steps else None
            reason = printable(told or "it does not say why", 200)
    if not worst:
        return None
    counts = Counter(worst.values())
    return Tried(len(worst), counts["rejected"], counts["rolled_back"], reason)


class Tries:
    """Looks into the registry now and then only, as many pages may ask. Any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], tuple[float, Tried | None]] = {}

    def of(self, model: str, version: str, ask: Ask) -> Tried | None:
        """As of a moment ago, or when the registry answered last."""
        with self._lock:
            until_s, found = self._seen.get((model, version), (0.0, None))
            began_s = self._clock()
            if began_s >= until_s:
                query = UpdateQuery(model=model, version=version, is_open=False, most=MOST_LIVES)
                with contextlib.suppress(Unavailable):
                    found = tried_of(ask(query))
                ended_s = self._clock()
                again_s = ended_s + max(LOOK_S, SHARE * (ended_s - began_s))
                self._seen[model, version] = (again_s, found)
            return found
