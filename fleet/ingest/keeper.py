"""Keeps the registry in order: longer stretches, and an end for what is too old. One of all does.

It has a thread of its own, because storing must not wait for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from fleet.registry.registry import Registry
from fleet.registry.words import Terms
from wire.troubles import Unavailable

LEASE = "keeper"
LEASE_S, RENEW_S = 30.0, 10.0
ROLL_S = 30.0  # so that several windows of a device go into its ten minutes at a time
EXPIRE_S = 60.0
MOST_EXPIRE_S = 10.0  # at a time
REST_S = 0.05  # between two pieces of work: who stores goes first

log = logging.getLogger("vedette.keeper")


class Keeps(Protocol):
    """Who takes in what is retained at the broker, while this process is the keeper."""

    def keep_retained(self) -> None: ...

    def leave_retained(self) -> None: ...


class Keeper:
    """`open` it, and `close` it."""

    def __init__(
        self,
        registry: Registry,
        holder: str,
        keeps: Keeps,
        terms: Terms,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """holder: of this process, random. clock: Unix seconds."""
        self.is_kept = False
        self._registry = registry
        self._holder = holder
        self._keeps = keeps
        self._terms = terms
        self._clock = clock
        self._renewed_s = self._rolled_s = self._expired_s = float("-inf")
        self.trouble: str | None = None  # why it cannot do its work now
        self._bug: Exception | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Another process may be the keeper now."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self.is_kept:
            try:
                self._registry.give_lease_back(LEASE, self._holder)
            except Unavailable:
                log.debug("the lease ends by itself")

    def step(self) -> None:
        """Do what is due."""
        try:
            self._renew()
            if self.is_kept:
                self._keep()
        except Unavailable as error:
            if self.trouble is None:
                log.warning("the registry is not kept in order: %s", error)
            self.trouble = str(error)
        else:
            self.trouble = None

    def check(self) -> None:
        """Raises what ended the thread, if a bug did: nothing is kept in order any more."""
        if self._bug is not None:
            raise self._bug

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self.step()
                self._over.wait(RENEW_S / 2)
        except Exception as bug:  # it is for who steps the part
            self._bug = bug

    def _renew(self) -> None:
        now_s = time.monotonic()
        if now_s - self._renewed_s < RENEW_S:
            return
        is_kept = self._registry.take_lease(LEASE, self._holder, self._clock(), LEASE_S)
        self._renewed_s = now_s
        if is_kept and not self.is_kept:
            log.info("this process keeps the registry in order")
            self._keeps.keep_retained()
        elif self.is_kept and not is_kept:
            log.info("another process keeps the registry in order")
            self._keeps.leave_retained()
        self.is_kept = is_kept

    def _keep(self) -> None:
        if time.monotonic() - self._rolled_s >= ROLL_S:
            self._rolled_s = time.monotonic()
            while self._registry.roll_up(self._clock()) and not self._over.wait(REST_S):
                self._renew()
        if time.monotonic() - self._expired_s < EXPIRE_S:
            return
        until_s = time.monotonic() + MOST_EXPIRE_S
        while time.monotonic() < until_s and not self._over.wait(REST_S):
            if self._registry.expire(self._clock(), self._terms).is_done:
                self._expired_s = time.monotonic()
                return
