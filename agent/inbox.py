"""Everything that happens to the agent, in one queue, decided on one thread."""

from __future__ import annotations

import queue
import threading
from dataclasses import replace

from agent.fetch.words import FromFetch
from wire import orders
from wire.link import LinkEvent, Received
from wire.local import FromRuntime, Mailbox
from wire.pulse import Pulse

ROOM = 2_000  # messages; a flood beyond that is dropped, and nothing that matters is lost by it
LONGEST = orders.LARGEST + 1  # bytes: no payload that we take is longer, and those wait in memory
Message = LinkEvent | FromRuntime | FromFetch

PATIENCE_S = 0.5  # how long the reader waits before it looks whether to end
PARTING_S = 10.0  # until a reader that hangs is left behind


class Inbox:
    """Any thread posts, one takes. dropped: messages that found no room."""

    def __init__(self) -> None:
        self.dropped = 0
        self._queue: queue.SimpleQueue[Message | None] = queue.SimpleQueue()

    def post(self, message: Message) -> None:
        """What others send is dropped when there is no room; what the link says of itself never."""
        if self._queue.qsize() > ROOM and isinstance(message, Received | FromRuntime):
            self.dropped += 1
            return
        if isinstance(message, Received) and len(message.payload) > LONGEST:
            message = replace(message, payload=message.payload[:LONGEST])
        self._queue.put(message)

    def wake(self) -> None:
        """Let `take` return at once."""
        self._queue.put(None)

    def take(self, timeout_s: float) -> Message | None:
        """The next message, or None if none came in time."""
        try:
            if timeout_s <= 0:  # as a timeout of 0 it may wait for ever, by a bug of Python 3.10
                return self._queue.get_nowait()
            return self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return None


class LocalReader:
    """A thread that carries what runtimes send into the inbox."""

    def __init__(self, mailbox: Mailbox[FromRuntime], inbox: Inbox, pulse: Pulse) -> None:
        self._mailbox = mailbox
        self._inbox = inbox
        self._pulse = pulse
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="local", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ends.set()
        self._thread.join(PARTING_S)

    def _run(self) -> None:
        while not self._ends.is_set():
            self._pulse.beat()
            message = self._mailbox.receive(PATIENCE_S)
            if message is not None:
                self._inbox.post(message)
