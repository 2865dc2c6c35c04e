"""Where the fleet's signed files come from: the depot over MQTT, or else a mirror.

Neither is trusted. The newest timestamp comes with the bell, and need not be asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wire.block_client import BlockClient
from wire.blocks import NoSuchFile
from wire.part import Part
from wire.release import METADATA, target_file
from wire.troubles import Refused, Unavailable

if TYPE_CHECKING:
    from wire.https import HttpsSource
    from wire.trust import Bundle

TIMESTAMP = f"{METADATA}timestamp.json"


class Sources:
    """For the fetch thread. bell: what the bell said is the newest timestamp; None: ask.

    open_mirror: None where none is configured. is_connected: to the broker.
    """

    def __init__(
        self,
        client: BlockClient,
        open_mirror: Callable[[], HttpsSource] | None,
        is_connected: Callable[[], bool],
    ) -> None:
        self.bell: bytes | None = None
        self._client = client
        self._open_mirror = open_mirror
        self._mirror: HttpsSource | None = None
        self._is_connected = is_connected

    def read(self, path: str, most_bytes: int) -> bytes:
        """A whole small file. Raises NoSuchFile, Unavailable, Refused."""
        if path == TIMESTAMP and self.bell is not None and len(self.bell) <= most_bytes:
            return self.bell
        try:
            if not self._is_connected():
                raise Unavailable("there is no connection to the broker")
            return self._client.read(path, most_bytes)
        except NoSuchFile:
            raise
        except (Unavailable, Refused):
            if self._open_mirror is None:
                raise
        return self._opened().read(path, most_bytes)

    def fetch(
        self,
        bundle: Bundle,
        part: Part,
        progress: Callable[[int], None],
        is_over: Callable[[], bool],
    ) -> None:
        """Until the part is whole. is_over: somebody wants it to end. Raises Unavailable, Refused;
        what came is kept."""
        if self._open_mirror is None:
            self._client.fetch(bundle.digest, part, progress, is_over)
            return
        try:
            if self._is_connected():
                is_cut = lambda: is_over() or not self._is_connected()  # noqa: E731
                self._client.fetch(bundle.digest, part, progress, is_cut)
                return
        except Unavailable:
            if is_over():
                raise
        self._opened().fetch(target_file(bundle.path, bundle.digest), part, progress, is_over)

    def close(self) -> None:
        if self._mirror is not None:
            self._mirror.close()
            self._mirror = None

    def _opened(self) -> HttpsSource:
        assert self._open_mirror is not None
        if self._mirror is None:
            self._mirror = self._open_mirror()
        return self._mirror
