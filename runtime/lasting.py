"""Opens a model that is to run for long: tried first if it is unknown, and beyond the loss of its
accelerator."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace

from runtime.accelerated import AcceleratedEngine, Ways
from runtime.building import build_now
from runtime.child import check_in_child, try_in_child
from runtime.engines import Engine, EngineOptions
from runtime.locating import Located
from runtime.loop import Model
from runtime.opening import engine_of, model_of, open_model


def open_lasting(
    located: AbstractContextManager[Located],
    options: EngineOptions,
    told: Callable[[str], None],
    after_a_crash: bool = False,
) -> Model:
    """The model, tried in a child process if it is not known to do no harm, loaded and warmed up.

    located: stays open for as long as the model needs its files. told: how far it is with what must
    be built for this device first, a line each. after_a_crash: the process before
    this one died while it ran, perhaps of its accelerator, which is tried in a child then.
    Without an accelerator that works it runs on the processor, and says so (`degraded`).
    Raises Refused, Unavailable, OSError and MemoryError.
    """
    with ExitStack() as stack:
        found = stack.enter_context(located)
        build_now(found, told)
        if not options.accelerators:
            try_in_child(found, options)
            return open_model(found, options)
        opening = _Opening(found, options, after_a_crash)
        ways = Ways(opening.accelerated, opening.plain, opening.try_out)
        files = stack.pop_all()
        try:
            engine = AcceleratedEngine(ways, files.close)
        except BaseException:
            files.close()
            raise
        return model_of(found, engine)


class _Opening:
    """The ways in which one model can be opened. is_wary: its accelerator may be what crashed."""

    def __init__(self, located: Located, options: EngineOptions, is_wary: bool) -> None:
        self._located = located
        self._options = options
        self._is_wary = is_wary
        self._has_run = False

    def accelerated(self) -> Engine:
        (self.try_out if self._is_wary else self._try_once)()
        engine = engine_of(self._located, self._options)
        self._is_wary, self._has_run = False, True
        return engine

    def plain(self) -> Engine:
        alone = replace(self._options, accelerators=())
        if not self._has_run:  # else a frame waits, and the file is known to be no harm
            try_in_child(self._located, alone)
        return engine_of(self._located, alone)

    def try_out(self) -> None:
        check_in_child(self._located, self._options)

    def _try_once(self) -> None:
        try_in_child(self._located, self._options)
