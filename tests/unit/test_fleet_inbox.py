"""What waits for a watcher or an asker is bounded, and nothing of it is lost."""

from __future__ import annotations

import threading
import time

from fleet.inbox import Inbox
from wire.link import Delivered, LinkEvent, Received

PATIENCE_S = 20.0


def drained(inbox: Inbox) -> list[LinkEvent]:
    return list(iter(lambda: inbox.take(0.0), None))


def flood(inbox: Inbox, payload: bytes, many: int) -> threading.Thread:
    def post() -> None:
        for number in range(many):
            inbox.post(Received(str(number), payload, False))

    thread = threading.Thread(target=post)
    thread.start()
    return thread


def until_still(inbox: Inbox) -> int:
    """How many events wait when no more come in."""
    end_s, before = time.monotonic() + PATIENCE_S, -1
    while len(inbox._events) != before and time.monotonic() < end_s:
        before = len(inbox._events)
        time.sleep(0.1)
    return before


def test_a_flood_waits_in_front_of_the_door_and_nothing_is_lost() -> None:
    for inbox, payload in ((Inbox(5, 10**9), b""), (Inbox(10**9, 5000), bytes(1000))):
        thread = flood(inbox, payload, 50)
        assert until_still(inbox) <= 5
        topics: list[str] = []
        while len(topics) < 50:
            event = inbox.take(PATIENCE_S)
            assert isinstance(event, Received)
            topics.append(event.topic)
        thread.join(PATIENCE_S)
        assert topics == [str(number) for number in range(50)]
        assert drained(inbox) == []


def test_one_event_always_fits() -> None:
    inbox = Inbox(10, 100)
    large = Received("a", bytes(1000), False)
    inbox.post(large)
    assert drained(inbox) == [large]


def test_who_waits_is_let_go_at_the_end() -> None:
    inbox = Inbox(1)
    thread = flood(inbox, b"x", 50)
    inbox.close()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    before = len(drained(inbox))
    inbox.post(Delivered(1))
    assert before <= 1 and drained(inbox) == []


def test_what_comes_while_we_wait_is_taken() -> None:
    inbox = Inbox()
    timer = threading.Timer(0.1, inbox.post, [Delivered(7)])
    timer.start()
    assert inbox.take(PATIENCE_S) == Delivered(7)
    timer.join()
    assert inbox.take(0.01) is None
