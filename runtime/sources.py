"""Where a pipeline's models come from: the store, which the fleet fills, and its configuration."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from models.pipelines import PipelineState
from models.starts import Came, ends_in_words
from models.store import Store
from runtime.building import Builds
from runtime.check_report import Report
from runtime.child import check_in_child, needed_bytes
from runtime.engines import EngineOptions
from runtime.lasting import open_lasting
from runtime.locating import Located, locate
from runtime.loop import Model
from wire.boot import boot_id
from wire.steps import reached
from wire.troubles import Refused, Trouble

MOST_STARTS = 3  # of one trial: the last of them is the roll back
CRASHES = ("core-dump", "signal", "watchdog")  # systemd's words for what an engine may have done


@dataclass(frozen=True)
class Source:
    """One model. digest: by which the store knows it; None: the configured one."""

    path: Path
    digest: str | None

    def __str__(self) -> str:
        return str(self.path) if self.digest is None else f"model {self.digest[:12]}"


class Sources:
    """The models that one pipeline can run. On one thread at a time, but for `note_came`.

    configured: the model of its own configuration, if it names one. said: told in one line what a
    person should know. ended: systemd's words on the process before this one.
    """

    def __init__(
        self,
        store: Store,
        pipeline: str,
        configured: Path | None,
        engine_kind: str | None,
        options: EngineOptions,
        said: Callable[[str], None],
        ended: str = "",
    ) -> None:
        self.configured = configured
        self._store = store
        self._pipeline = pipeline
        self._engine_kind = engine_kind
        self._options = options
        self._said = said
        self._ended = ended
        self._crashed = ended.partition(" ")[0] in CRASHES
        self._builds = Builds()
        self._counting = threading.Lock()  # two threads write one file

    def own(self) -> Source | None:
        """The configured model."""
        return None if self.configured is None else Source(self.configured, None)

    def deployed(self, digest: str) -> Source:
        """A model of the store. Raises Unavailable if it is not installed, Refused if that is no
        digest."""
        return Source(self._store.folder(digest), digest)

    def state(self) -> PipelineState:
        """What the store says of this pipeline."""
        return self._store.pipeline(self._pipeline)

    def count_start(self, source: Source) -> None:
        """Call before a model is opened: one that takes the whole process down is counted too.

        Raises Refused if this is the start of the active model's trial that must not be. Where it
        cannot be counted, it is started all the same.
        """
        state = self.state()
        if source.digest is None or source.digest != state.active or state.active == state.good:
            return
        count, ended = state.starts + 1, self._ended
        self._ended = "success 0"  # of this process there will be an end of its own
        try:
            with self._counting:
                count = self._store.count_start(self._pipeline, _boot(), ended)
        except (Trouble, OSError) as trouble:
            self._said(f"a start of {source} is not counted: {trouble}")
        if count >= MOST_STARTS:
            ends = ends_in_words(self.state().ends)
            why = f": {ends}" if ends else ""
            raise Refused(f"it was started {count} times in its trial, and never stayed{why}")

    def note_came(self, digest: str, came: Came) -> None:
        """The model on trial came so far. What cannot be noted will not be known. Any thread may
        call."""
        try:
            with self._counting:
                self._store.note_came(self._pipeline, digest, came)
        except (Trouble, OSError) as trouble:
            self._said(f"how far a trial came is not noted: {trouble}")

    def open(self, source: Source) -> Model:
        """Open a model, tried in a child process first if that is not known to do no harm.

        Raises Refused, Unavailable, OSError and MemoryError.
        """
        after_a_crash, self._crashed = self._crashed, False
        model = open_lasting(self._located(source), self._options, self._said, after_a_crash)
        reached("load.opened", model.digest)
        self.note_came(source.digest or "", "opened")
        for guess in model.guesses:
            self._said(f"no manifest: {guess}")
        return model

    def check(self, source: Source) -> Report:
        """Contract, golden answers and memory, found out in a child. Raises as `open` does, and
        Unavailable while something must be built for this device first."""
        with self._located(source) as located:
            self._builds.need(located)
            reached("check.begun", located.digest)
            return check_in_child(located, self._options)

    def needed_bytes(self, source: Source) -> int:
        """The memory that a model will take. Raises as `open` does."""
        with self._located(source) as located:
            return needed_bytes(located, self._options)

    @contextmanager
    def _located(self, source: Source) -> Iterator[Located]:
        try:
            with locate(source.path, self._engine_kind) as located:
                if source.digest not in (None, located.digest):
                    raise Refused("damaged on disk: its bytes are others than were signed")
                yield replace(located, is_signed=source.digest is not None)
        except Trouble as trouble:  # where the store has it says nothing to a person
            raise type(trouble)(str(trouble).replace(f"{source.path}", f"{source}")) from None


def _boot() -> str:
    """ "" where the kernel does not say."""
    try:
        return boot_id()
    except OSError:
        return ""
