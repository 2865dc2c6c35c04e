"""Trust that many simulated devices share: each asks for every file, one of them verifies.

Real devices verify each on a processor of its own. Here one would do it for all of them, one after
the other, so that they would not fetch at once. So the first one verifies, and what it read is
noted; the others ask for the same files, and believe them if they came byte for byte the same.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from wire.block.blocks import NoSuchFile
from wire.block.client import BlockClient
from wire.release import METADATA
from wire.troubles import Refused
from wire.trust.trust import Source, Trust

TIMESTAMP = f"{METADATA}timestamp.json"
MOST_KNOWN = 16

T = TypeVar("T")


@dataclass(frozen=True)
class Read:
    """What a source was asked for, and what it had. content: None where there is no such file."""

    path: str
    most_bytes: int
    content: bytes | None


class NotingSource:
    """Reads by the client of the device whose turn it is, and notes what."""

    def __init__(self) -> None:
        self.bell = b""
        self.client: BlockClient | None = None
        self.reads: list[Read] = []

    def read(self, path: str, most_bytes: int) -> bytes:
        if path == TIMESTAMP and len(self.bell) <= most_bytes:
            return self.bell  # a real device does not ask for what the bell said, either
        assert self.client is not None
        content = _read(self.client, path, most_bytes)
        self.reads.append(Read(path, most_bytes, content))
        if content is None:
            raise NoSuchFile(f"there is no {path}")
        return content


class Believing:
    """For the fetch threads of all devices."""

    def __init__(self, make_trust: Callable[[Source], Trust]) -> None:
        self._lock = threading.Lock()
        self._source = NotingSource()
        self._trust = make_trust(self._source)
        self._known: OrderedDict[bytes, tuple[tuple[Read, ...], object]] = OrderedDict()

    def ask(self, what: bytes, bell: bytes, client: BlockClient, act: Callable[[Trust], T]) -> T:
        """What `act` says, which is the same for all who ask the same. what: tells questions apart.
        bell: the newest timestamp. Raises Refused, Unavailable."""
        with self._lock:
            if what not in self._known:
                self._source.bell, self._source.client, self._source.reads = bell, client, []
                result = act(self._trust)
                self._known[what] = (tuple(self._source.reads), result)
                if len(self._known) > MOST_KNOWN:
                    self._known.popitem(last=False)
                return result
            reads, known = self._known[what]
        for one in reads:
            if _read(client, one.path, one.most_bytes) != one.content:
                raise Refused(f"{one.path}: other bytes came than to another device")
        return known  # type: ignore[return-value]  # of the same question


def _read(client: BlockClient, path: str, most_bytes: int) -> bytes | None:
    try:
        return client.read(path, most_bytes)
    except NoSuchFile:
        return None
