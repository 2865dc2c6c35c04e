"""Trust that many simulated devices share: each asks for every file, one of them verifies.

Real devices verify each on a processor of its own. Here one would do it for all of them, one after
the other, so that they would not fetch at once. So the first one verifies, and what it read is
noted; the others ask for the same files, and believe them if they came byte for byte the same.
"""

from __future__ import annotations

import queue
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from wire.block.blocks import NoSuchFile
from wire.block.client import BlockClient
from wire.release import METADATA
from wire.troubles import Refused, Trouble, Unavailable
from wire.trust.trust import Source, Trust
from wire.turns import Ringing, Turns, Wait

TIMESTAMP = f"{METADATA}timestamp.json"
MOST_KNOWN = 16
PATIENCE_S = 120.0  # with a device that reads for the one thread that verifies
LOOK_S = 5.0

T = TypeVar("T")


@dataclass(frozen=True)
class Asker:
    """A device. client, bell: of its fetch."""

    client: BlockClient
    bell: Ringing


@dataclass(frozen=True)
class Read:
    """What a source was asked for, and what it had. content: None where there is no such file."""

    path: str
    most_bytes: int
    content: bytes | None


class NotingSource:
    """Lets the device whose turn it is read, and notes what. `read` on the thread that verifies,
    all else where devices are driven."""

    def __init__(self) -> None:
        self.reads: list[Read] = []
        self._timestamp = b""
        self._asker: Asker | None = None
        self._wanted: tuple[str, int] | None = None
        self._answers: queue.SimpleQueue[Read | Trouble] = queue.SimpleQueue()

    def begin(self, timestamp: bytes, asker: Asker) -> None:
        self._timestamp, self._asker, self.reads = timestamp, asker, []

    def read(self, path: str, most_bytes: int) -> bytes:
        if path == TIMESTAMP and len(self._timestamp) <= most_bytes:
            return self._timestamp  # a real device does not ask for what the bell said, either
        assert self._asker is not None
        self._wanted = path, most_bytes
        self._asker.bell.ring()
        try:
            answer = self._answers.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise Unavailable(f"{path} was not read: the device that reads has stopped") from None
        if isinstance(answer, Trouble):
            raise answer
        self.reads.append(answer)
        if answer.content is None:
            raise NoSuchFile(f"there is no {path}")
        return answer.content

    def serve(self, client: BlockClient) -> Turns[bool]:
        """Read what is wanted. Whether anything was."""
        if self._wanted is None:
            return False
        path, most_bytes = self._wanted
        self._wanted = None
        try:
            content = yield from _reading(client, path, most_bytes)
        except Trouble as trouble:
            self._answers.put(trouble)
        else:
            self._answers.put(Read(path, most_bytes, content))
        return True


@dataclass
class _Question:
    """That is being asked. waiting: who wants to know too. trouble: why it came to nothing."""

    waiting: list[Ringing] = field(default_factory=list)
    is_over: bool = False
    trouble: Trouble | None = None


class Believing:
    """For the fetches of all devices, which one reactor drives."""

    def __init__(self, make_trust: Callable[[Source], Trust]) -> None:
        self._source = NotingSource()
        self._trust = make_trust(self._source)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="trust")
        self._now: _Question | None = None  # the trust is for one at a time
        self._known: OrderedDict[bytes, tuple[tuple[Read, ...], object]] = OrderedDict()

    def close(self) -> None:
        self._thread.shutdown()

    def asking(self, what: bytes, bell: bytes, asker: Asker, act: Callable[[Trust], T]) -> Turns[T]:
        """What `act` says, which is the same for all who ask the same. what: tells questions apart.
        bell: the newest timestamp. Raises Refused, Unavailable."""
        while what not in self._known:
            question = self._now
            if question is None:
                return (yield from self._verifying(what, bell, asker, act))
            question.waiting.append(asker.bell)
            while not question.is_over:
                yield Wait(LOOK_S)
            if question.trouble is not None:
                raise question.trouble
        reads, known = self._known[what]
        for one in reads:
            content = yield from _reading(asker.client, one.path, one.most_bytes)
            if content != one.content:
                raise Refused(f"{one.path}: other bytes came than to another device")
        return known  # type: ignore[return-value]  # of the same question

    def _verifying(
        self, what: bytes, bell: bytes, asker: Asker, act: Callable[[Trust], T]
    ) -> Turns[T]:
        question = self._now = _Question()
        self._source.begin(bell, asker)
        try:
            job = self._thread.submit(act, self._trust)
            job.add_done_callback(lambda _: asker.bell.ring())
            while not job.done():
                if not (yield from self._source.serve(asker.client)):
                    yield Wait(LOOK_S)
            result = job.result()
            self._known[what] = (tuple(self._source.reads), result)
            if len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)
            return result
        except Trouble as trouble:
            question.trouble = trouble
            raise
        finally:
            self._now, question.is_over = None, True
            for each in question.waiting:
                each.ring()


def _reading(client: BlockClient, path: str, most_bytes: int) -> Turns[bytes | None]:
    try:
        return (yield from client.reading(path, most_bytes))
    except NoSuchFile:
        return None
