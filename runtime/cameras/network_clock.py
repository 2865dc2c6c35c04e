"""How old a picture from the network is, by the camera's own stamps."""

from __future__ import annotations

DRIFT = 0.001  # more than any two clocks differ by: what a delay that stays is forgiven at
OLD_NS = 300_000_000
FORGIVE_NS = 3_000_000_000


class SenderClock:
    """When a picture left the camera, on our clock, but for the delay of the quickest.

    Cameras stamp pictures at an even pace. One that comes later than that pace has waited on its
    way, behind a network that stood still: it is as much older. A camera whose stamps make no
    sense is believed again after three seconds of pictures that all seem old.
    """

    def __init__(self) -> None:
        self._offset_ns: float | None = None
        self._last_ns = 0
        self._old_since_ns: int | None = None

    def captured_ns(self, sent_ns: int, now_ns: int) -> int:
        """sent_ns: the camera's stamp, from whatever zero. now_ns: when the picture was there."""
        offset_ns = now_ns - sent_ns
        if self._offset_ns is None or self._is_senseless(now_ns):
            self._offset_ns, self._last_ns = offset_ns, now_ns
        creeping_ns = self._offset_ns + DRIFT * (now_ns - self._last_ns)
        self._offset_ns = min(offset_ns, creeping_ns)
        self._last_ns = now_ns
        late_ns = round(offset_ns - self._offset_ns)
        if late_ns <= OLD_NS:
            self._old_since_ns = None
        elif self._old_since_ns is None:
            self._old_since_ns = now_ns
        return now_ns - late_ns

    def _is_senseless(self, now_ns: int) -> bool:
        since_ns = self._old_since_ns
        return since_ns is not None and now_ns - since_ns > FORGIVE_NS
