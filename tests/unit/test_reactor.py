"""Work that waits: driven by a thread of its own or, with many others, by a reactor."""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from wire.reactor import Reactor
from wire.turns import Aside, Ring, Turns, Wait, drive

SOON_S, PATIENCE_S = 0.02, 20.0


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    reactor = Reactor()
    yield reactor
    reactor.close()


def test_a_thread_drives_to_the_end() -> None:
    seen = []

    def turns() -> Turns[int]:
        yield Aside(lambda: seen.append("aside"))
        assert (yield Wait(0.0)) == 0
        return 7

    assert drive(turns(), Ring()) == 7
    assert seen == ["aside"]


def test_who_rang_before_is_heard() -> None:
    ring = Ring()
    ring.ring()
    begun_s = time.monotonic()
    ring.wait(Wait(PATIENCE_S))
    assert time.monotonic() - begun_s < PATIENCE_S / 2


def test_many_wait_at_once_each_for_its_own_time(reactor: Reactor) -> None:
    waited_s: dict[int, float] = {}

    def sleeping(place: int) -> Turns[None]:
        begun_s = time.monotonic()
        yield Wait(place * SOON_S)
        waited_s[place] = time.monotonic() - begun_s

    begun_s = time.monotonic()
    routines = [reactor.routine() for _ in range(20)]
    for place in reversed(range(20)):
        routines[place].start(sleeping(place))
    for routine in routines:
        routine.join(PATIENCE_S)
    assert sorted(waited_s) == list(range(20))
    assert all(took_s >= place * SOON_S for place, took_s in waited_s.items())
    assert time.monotonic() - begun_s < sum(waited_s.values()), "side by side, not in a row"


def test_a_ring_ends_a_wait_also_one_of_before(reactor: Reactor) -> None:
    routine, is_asked = reactor.routine(), threading.Event()
    rings = []

    def waiting() -> Turns[None]:
        while not is_asked.is_set():
            yield Wait(1000.0)
            rings.append(time.monotonic())

    routine.ring()
    routine.start(waiting())
    is_asked.set()
    routine.ring()
    routine.join(PATIENCE_S)
    assert routine.ended.is_set()


def test_a_time_that_holds_no_more_wakes_nobody(reactor: Reactor) -> None:
    routine, waited_s = reactor.routine(), []

    def waiting() -> Turns[None]:
        yield Wait(10 * SOON_S)  # rung before that
        begun_s = time.monotonic()
        yield Wait(30 * SOON_S)
        waited_s.append(time.monotonic() - begun_s)

    def ringing() -> Turns[None]:
        yield Wait(SOON_S)
        routine.ring()

    routine.start(waiting())
    reactor.routine().start(ringing())
    routine.join(PATIENCE_S)
    assert waited_s[0] > 29 * SOON_S


def test_a_socket_is_waited_for_and_only_as_it_is_wanted(reactor: Reactor) -> None:
    one, other = socket.socketpair()
    came: list[tuple[int, bytes]] = []

    def reading() -> Turns[None]:
        writable = yield Wait(PATIENCE_S, one.fileno(), select.POLLIN | select.POLLOUT)
        came.append((writable & select.POLLOUT, b""))
        while len(came) < 3:
            flags = yield Wait(PATIENCE_S, one.fileno(), select.POLLIN)
            came.append((flags, one.recv(1)))
        one.close()
        yield Wait(SOON_S)  # what is closed is watched no more

    with one, other:
        routine = reactor.routine()
        routine.start(reading())
        other.sendall(b"xy")
        routine.join(PATIENCE_S)
    assert came == [(select.POLLOUT, b""), (select.POLLIN, b"x"), (select.POLLIN, b"y")]


def test_what_blocks_keeps_nobody_else_waiting(reactor: Reactor) -> None:
    is_free, order = threading.Event(), []

    def blocking() -> Turns[None]:
        yield Aside(lambda: is_free.wait(PATIENCE_S))
        order.append("blocked")

    def quick() -> Turns[None]:
        yield Wait(SOON_S)
        order.append("quick")
        is_free.set()

    first, second = reactor.routine(), reactor.routine()
    first.start(blocking())
    first.ring()  # meanwhile: nothing happens
    second.start(quick())
    first.join(PATIENCE_S)
    assert order == ["quick", "blocked"]


def test_a_fault_aside_is_one_of_who_asked(reactor: Reactor) -> None:
    told = []

    def failing() -> Turns[None]:
        try:
            yield Aside(lambda: 1 // 0)
        except ZeroDivisionError as fault:
            told.append(str(fault))

    routine = reactor.routine()
    routine.start(failing())
    routine.join(PATIENCE_S)
    assert told == ["integer division or modulo by zero"]


def test_a_bug_of_one_ends_that_one(reactor: Reactor, caplog: pytest.LogCaptureFixture) -> None:
    def buggy() -> Turns[None]:
        yield Wait(0.0)
        raise KeyError("bug")

    def sound() -> Turns[None]:
        yield Wait(5 * SOON_S)

    first, second = reactor.routine(), reactor.routine()
    with caplog.at_level(logging.ERROR):
        first.start(buggy())
        second.start(sound())
        first.join(PATIENCE_S)
        second.join(PATIENCE_S)
    assert "bug" in caplog.text
    assert first.ended.is_set() and second.ended.is_set()


def test_who_never_began_or_asks_for_itself_is_not_waited_for(reactor: Reactor) -> None:
    reactor.routine().join(1000.0)
    routine = reactor.routine()

    def joining() -> Turns[None]:
        routine.join(1000.0)
        yield Wait(0.0)

    routine.start(joining())
    routine.join(PATIENCE_S)
    assert routine.ended.is_set()


def test_an_end_comes_while_some_still_wait() -> None:
    reactor = Reactor()

    def forever() -> Turns[None]:
        while True:
            yield Wait(1000.0)

    for _ in range(3):
        reactor.routine().start(forever())
    begun_s = time.monotonic()
    reactor.close()
    assert time.monotonic() - begun_s < PATIENCE_S
