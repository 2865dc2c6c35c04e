"""Loads models beside the loop: opens, warms up, offers, and closes what was swapped out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

from runtime.engines import EngineOptions
from runtime.engines.accelerators import check_known
from runtime.lasting import open_lasting
from runtime.locating import Located, locate
from runtime.loop import Loop, Model
from runtime.opening import WHAT_FAILS

SWEEP_S = 0.2  # how often retired models are looked for
PATIENCE_S = 0.5  # how long the end of the process waits for a load that is under way


class Loader:
    """A thread that turns a path into a running model without costing the loop a frame.

    said: told in one line what became of each load; called on the loader's thread.
    trouble: why the last load failed. bug: what ended the thread, although it should not.
    """

    def __init__(
        self, loop: Loop, engine_kind: str | None, options: EngineOptions,
        said: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._loop = loop
        self._engine_kind = engine_kind
        self._options = options
        self._said = said
        self.trouble: str | None = None
        self.bug: BaseException | None = None
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)
        self._thread.start()

    def load(self, path: Path) -> None:
        """Ask for a model to take over. Returns at once."""
        self.do(lambda: self._take(path))

    def do(self, job: Callable[[], None]) -> None:
        """Have something done on the loader's thread, after what it does now. Returns at once."""
        self._jobs.put(job)

    def close(self) -> None:
        """Close retired models and end the thread. A load that takes longer is left behind."""
        self._jobs.put(None)
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        except BaseException as bug:  # the loop's thread must learn of it, or nobody would
            self.bug = bug

    def _turn(self) -> bool:
        """Do what is to be done next. False if that was all."""
        try:
            job = self._jobs.get(timeout=SWEEP_S)
        except Empty:
            close_retired(self._loop)
            return True
        if job is None:
            close_retired(self._loop)
            return False
        job()
        return True

    def _take(self, path: Path) -> None:
        try:
            model = open_tried(path, self._engine_kind, self._options, self._said)
        except WHAT_FAILS as trouble:  # OSError: no room for a bundle, or for a child
            why = str(trouble) or "there is not enough memory for it"
            self.trouble = f"{path} was not loaded, the model before it runs on: {why}"
            self._said(self.trouble)
            return
        self.trouble = None
        self._loop.swap(model)
        self._said(f"loaded {model.manifest.name} {model.manifest.version} ({model.digest[:12]})")


def close_retired(loop: Loop) -> None:
    """Free the memory of the models that were swapped out."""
    while True:
        try:
            loop.retired.get_nowait().engine.close()
        except Empty:
            return


def open_tried(
    path: Path, engine_kind: str | None, options: EngineOptions, said: Callable[[str], None]
) -> Model:
    """The model at this path, tried in a child process first if it is not known.

    said: told what was guessed of a model without a manifest, a line each. Raises Refused, also for
    an accelerator that could not be there, and Unavailable.
    """
    model = open_lasting(_with_known_accelerators(path, engine_kind, options), options, said)
    for guess in model.guesses:
        said(f"no manifest: {guess}")
    return model


@contextmanager
def _with_known_accelerators(
    path: Path, engine_kind: str | None, options: EngineOptions
) -> Iterator[Located]:
    with locate(path, engine_kind) as located:
        check_known(located.engine_kind, options.accelerators)
        yield located
