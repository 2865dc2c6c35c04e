"""Where the fleet's signed files come from: the depot over MQTT, or else a mirror.

Neither is trusted. The newest timestamp comes with the bell, and need not be asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from wire.block.blocks import NoSuchFile
from wire.block.client import BlockClient
from wire.block.part import Part
from wire.release import METADATA, target_file
from wire.troubles import Refused, Unavailable

if TYPE_CHECKING:
    from wire.https import HttpsSource
    from wire.trust.trust import Bundle

MUTE_S = 300.0  # after the depot gave no answer the mirror is asked first, where there is one
TIMESTAMP = f"{METADATA}timestamp.json"


class Sources:
    """For the fetch thread. bell: what the bell said is the newest timestamp; None: ask.
    timestamp: that was read last.

    open_mirror: None where none is configured. is_connected: to the broker.
    """

    def __init__(
        self,
        client: BlockClient,
        open_mirror: Callable[[], HttpsSource] | None,
        is_connected: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bell: bytes | None = None
        self.timestamp: bytes | None = None
        self._client = client
        self._open_mirror = open_mirror
        self._mirror: HttpsSource | None = None
        self._is_connected = is_connected
        self._clock = clock
        self._mute_until_s = 0.0

    def read(self, path: str, most_bytes: int) -> bytes:
        """A whole small file. Raises NoSuchFile, Unavailable, Refused."""
        if path != TIMESTAMP:
            return self._read(path, most_bytes)
        if self.bell is not None and len(self.bell) <= most_bytes:
            self.timestamp = self.bell
        else:
            self.timestamp = self._read(path, most_bytes)
        return self.timestamp

    def _read(self, path: str, most_bytes: int) -> bytes:
        if self._open_mirror is None:
            if not self._is_connected():
                raise Unavailable("there is no connection to the broker")
            return self._client.read(path, most_bytes)
        if self._may_answer:
            try:
                return self._client.read(path, most_bytes)
            except NoSuchFile:
                if path != TIMESTAMP:  # there always is one: who denies it does not speak true
                    raise
            except (Unavailable, Refused):
                self._mute_until_s = self._clock() + MUTE_S
        return self._opened().read(path, most_bytes)

    def fetch(
        self,
        bundle: Bundle,
        part: Part,
        progress: Callable[[int], None],
        is_over: Callable[[], bool],
        room: Callable[[], float],
    ) -> None:
        """Until the part is whole. is_over: somebody wants it to end. room: bytes that may still
        come. Raises Unavailable, Refused; what came is kept."""
        if self._open_mirror is None:
            self._client.fetch(bundle.digest, part, progress, is_over, room)
            return
        if self._may_answer:
            try:
                is_cut = lambda: is_over() or not self._is_connected()  # noqa: E731
                self._client.fetch(bundle.digest, part, progress, is_cut, room)
                return
            except Unavailable:
                if is_over():
                    raise
                self._mute_until_s = self._clock() + MUTE_S
        self._opened().fetch(target_file(bundle.path, bundle.digest), part, progress, is_over)

    @property
    def _may_answer(self) -> bool:
        """Whether the depot is worth asking: its silence costs half a minute a file."""
        return self._is_connected() and self._clock() >= self._mute_until_s

    def close(self) -> None:
        if self._mirror is not None:
            self._mirror.close()
            self._mirror = None

    def _opened(self) -> HttpsSource:
        assert self._open_mirror is not None
        if self._mirror is None:
            self._mirror = self._open_mirror()
        return self._mirror
