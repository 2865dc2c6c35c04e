"""One thread that drives the work of many who wait: sockets, timers, and who rings."""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from wire.turns import Aside, Turns, Wait

THREADS = 16  # for what may block
MOST_EVENTS = 16384  # of sockets: what has come is taken before a time is over

log = logging.getLogger("vedette.reactor")


class Routine:
    """One of many (wire.turns.Driver). `ring` and `join` on any thread."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self.turns: Turns[object] | None = None
        self.has_begun = False
        self.is_aside = False
        self.is_rung = False
        self.fault: BaseException | None = None  # of what was done aside
        self.fileno: int | None = None  # that is watched, for these events
        self.events = 0
        self.due_s = math.inf
        self.noted_s = math.inf  # when the reactor looks whether it is due
        self.ended = threading.Event()

    def start(self, turns: Turns[object]) -> None:
        self.turns = turns
        self.is_rung = False
        self.ring()

    def ring(self) -> None:
        if not self.is_rung:
            self.is_rung = True
            self._reactor.rung(self)

    def join(self, timeout_s: float) -> None:
        if self.turns is not None and not self._reactor.is_here():
            self.ended.wait(timeout_s)


class Reactor:
    """Routines of it are started on any thread, and driven on its own. What they post is posted
    there: who blocks there blocks all of them."""

    def __init__(self, name: str = "reactor") -> None:
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._by_fileno: dict[int, Routine] = {}
        self._rung: deque[Routine] = deque()
        self._timers: list[tuple[float, int, Routine]] = []  # a heap
        self._order = itertools.count()
        self._is_over = False
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=f"{name}-aside")
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def routine(self) -> Routine:
        """One that does nothing before it is started."""
        return Routine(self)

    def rung(self, routine: Routine) -> None:
        """It is to have a turn."""
        self._rung.append(routine)
        if not self.is_here():
            self._ring()

    def is_here(self) -> bool:
        """Whether this is the reactor's thread."""
        return threading.get_ident() == self._thread.ident

    def close(self) -> None:
        """End it, when those who were started have ended; who has not is left where it is."""
        self._is_over = True
        self._ring()
        self._thread.join()
        self._pool.shutdown()
        self._epoll.close()
        wake, self._wake = self._wake, -1
        os.close(wake)

    def _ring(self) -> None:
        with suppress(OSError):  # closed
            os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        while not self._is_over:
            events = self._epoll.poll(self._timeout_s(), MOST_EVENTS)
            polled_s = time.monotonic()
            for fileno, flags in events:
                if fileno == self._wake:
                    os.eventfd_read(self._wake)
                elif (routine := self._by_fileno.get(fileno)) is not None:
                    self._turn(routine, flags)
            # only now: one that is always ready must not run ahead of the others
            self._turn_rung()
            self._look_at_timers(polled_s)

    def _turn_rung(self) -> None:
        for _ in range(len(self._rung)):
            routine = self._rung.popleft()
            routine.is_rung = False
            self._turn(routine, 0)

    def _timeout_s(self) -> float:
        if self._rung:
            return 0.0
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else -1

    def _look_at_timers(self, now_s: float) -> None:
        """now_s: when sockets were looked at: whose time is over since then may have been sent
        something meanwhile."""
        while self._timers and self._timers[0][0] <= now_s:
            _, _, routine = heapq.heappop(self._timers)
            routine.noted_s = math.inf
            if routine.due_s <= now_s:
                self._turn(routine, 0)
            else:
                self._note(routine)

    def _turn(self, routine: Routine, flags: int) -> None:
        turns = routine.turns
        if turns is None or routine.is_aside or routine.ended.is_set():
            return
        routine.due_s = math.inf
        try:
            if (fault := routine.fault) is not None:
                routine.fault = None
                step = turns.throw(fault)
            elif routine.has_begun:
                step = turns.send(flags)
            else:
                routine.has_begun = True
                step = next(turns)
        except StopIteration:
            self._end(routine)
        except Exception:  # a bug of one must not end the others
            log.exception("a routine failed")
            self._end(routine)
        else:
            self._park(routine, step)

    def _park(self, routine: Routine, step: Wait | Aside) -> None:
        if isinstance(step, Aside):
            self._watch(routine, None, 0)
            routine.is_aside = True
            self._pool.submit(self._do_aside, routine, step.act)
            return
        self._watch(routine, step.fileno, step.events)
        routine.due_s = time.monotonic() + step.timeout_s
        self._note(routine)

    def _note(self, routine: Routine) -> None:
        if routine.due_s < routine.noted_s and not math.isinf(routine.due_s):
            routine.noted_s = routine.due_s
            heapq.heappush(self._timers, (routine.due_s, next(self._order), routine))

    def _watch(self, routine: Routine, fileno: int | None, events: int) -> None:
        if routine.fileno == fileno:
            if fileno is not None and routine.events != events:
                self._epoll.modify(fileno, events)
                routine.events = events
            return
        if routine.fileno is not None:
            del self._by_fileno[routine.fileno]
            with suppress(OSError):  # it is closed already
                self._epoll.unregister(routine.fileno)
        if fileno is not None:
            self._epoll.register(fileno, events)
            self._by_fileno[fileno] = routine
        routine.fileno, routine.events = fileno, events

    def _do_aside(self, routine: Routine, act: Callable[[], object]) -> None:
        try:
            act()
        except BaseException as fault:
            routine.fault = fault
        routine.is_aside = False
        routine.is_rung = True
        self.rung(routine)

    def _end(self, routine: Routine) -> None:
        self._watch(routine, None, 0)
        routine.ended.set()
