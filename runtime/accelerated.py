"""An engine that outlives its accelerator: a stick that was pulled, a driver that gave up."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from runtime.engines import Engine, Tensor
from runtime.opening import WHAT_FAILS
from wire.troubles import Trouble

FIRST_RETRY_S = 5.0
LAST_RETRY_S = 300.0
HOPELESS = 3  # a new process can use the accelerator, this one could not so often: it is stuck here

log = logging.getLogger("vedette.engines")


@dataclass(frozen=True)
class Ways:
    """How a model can be opened, and what tells whether its accelerator is there.

    accelerated, plain: open it with and without. try_out: raises a Trouble while it does not work;
    in a process of its own, as a driver that was lost may crash whoever touches it.
    """

    accelerated: Callable[[], Engine]
    plain: Callable[[], Engine]
    try_out: Callable[[], object]


class AcceleratedEngine:
    """Runs on the accelerator; when it fails, on the processor from that very frame on, and on the
    accelerator again when it works again.

    degraded: why it runs on the processor alone, None where it does not. needs_new_process: the
    accelerator works again, but not in this process. Its input is another array after a change.
    """

    def __init__(
        self, ways: Ways, closed: Callable[[], None], first_retry_s: float = FIRST_RETRY_S
    ) -> None:
        """closed: called at the end of all. Raises what `plain` raises, if neither way works."""
        self.degraded: str | None = None
        self.needs_new_process = False
        self._ways = ways
        self._closed = closed
        self._pause_s = first_retry_s
        self._lock = threading.Lock()  # about who owns which engine; never held while one works
        self._lost: Engine | None = None
        self._back: Engine | None = None  # ready to take over
        self._ended = threading.Event()
        self._taken = threading.Event()
        try:
            self._engine = ways.accelerated()
        except Trouble as trouble:
            self._engine = ways.plain()
            self._degrade(str(trouble))
        self.takes = self._engine.takes
        self.gives = self._engine.gives

    def input(self) -> Tensor:
        if self._back is not None:
            self._take_back()
        return self._engine.input()

    def run(self) -> tuple[Tensor, ...]:
        try:
            return self._engine.run()
        except Trouble as trouble:
            if self.degraded is not None:
                raise
            return self._go_on(trouble)

    def close(self) -> None:
        self._ended.set()
        with self._lock:
            engines = (self._engine, self._lost, self._back)
            self._lost = self._back = None
        for engine in engines:
            if engine is not None:
                engine.close()
        self._closed()

    def _go_on(self, trouble: Trouble) -> tuple[Tensor, ...]:
        """The same frame, on the processor. Raises the trouble if it fails there as well: then it
        is the model's."""
        engine = self._ways.plain()
        try:
            np.copyto(engine.input(), self._engine.input())
            outputs = engine.run()
        except Trouble:
            engine.close()
            raise trouble from None
        with self._lock:
            self._lost, self._engine = self._engine, engine
        self._degrade(str(trouble))
        return outputs

    def _degrade(self, why: str) -> None:
        self.degraded = f"runs on the processor alone: {why}"
        log.warning("%s", self.degraded)
        self._taken.clear()
        threading.Thread(target=self._return, name="accelerator", daemon=True).start()

    def _take_back(self) -> None:
        with self._lock:
            if self._back is None:
                return
            self._lost, self._engine, self._back = self._engine, self._back, None
        self.degraded = None
        self._taken.set()
        log.warning("the accelerator works again")

    def _return(self) -> None:
        """Until the accelerator works: on a thread of its own."""
        self._close_lost()  # some can be opened by one at a time
        pause_s, failures = self._pause_s, 0
        while not self._ended.wait(pause_s):
            pause_s = min(2 * pause_s, LAST_RETRY_S)
            try:
                self._ways.try_out()
            except WHAT_FAILS:
                continue
            try:
                engine = self._ways.accelerated()
            except WHAT_FAILS:
                failures += 1
                self.needs_new_process = failures >= HOPELESS
                continue
            self._offer(engine)
            return

    def _offer(self, engine: Engine) -> None:
        with self._lock:
            is_wanted = not self._ended.is_set()
            if is_wanted:
                self._back = engine
        if not is_wanted:
            engine.close()
            return
        while not self._taken.wait(1.0):
            if self._ended.is_set():
                return
        self._close_lost()

    def _close_lost(self) -> None:
        with self._lock:
            lost, self._lost = self._lost, None
        if lost is not None:
            lost.close()


def degraded(engine: Engine) -> str | None:
    """Why a model does not run as fast as it was configured, None if it does."""
    return engine.degraded if isinstance(engine, AcceleratedEngine) else None


def needs_new_process(engine: Engine) -> bool:
    """Whether its accelerator can be used by another process, and by this one no more."""
    return isinstance(engine, AcceleratedEngine) and engine.needs_new_process
