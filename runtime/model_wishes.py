"""What the agent may wish of models: check one, run one. Done on the loader's thread, answered on
the loop's.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import msgspec

from runtime.agent_line import ANSWER_S, AgentLine
from runtime.formats import working_formats
from runtime.loader import Loader
from runtime.opening import WHAT_FAILS
from runtime.takeover import Takeover
from wire.local import CheckModel, LoadModel
from wire.troubles import Refused

RECONSIDER_S = 5.0
ENDS = "the pipeline ends"
PATIENCE_S = 600.0  # after that whoever asked is told; a check has its own limits
HUNG_S = 1800.0  # after that the loader's thread is held to hang: no other wish can be granted


@dataclass
class Wish:
    """One that is under way. is_over: it was answered already, or nobody waits."""

    message: CheckModel | LoadModel
    until_s: float
    is_over: bool = False

    def __str__(self) -> str:
        verb = "checked" if isinstance(self.message, CheckModel) else "loaded"
        digest = self.message.digest
        return f"{'the configured model' if digest is None else digest[:12]} is being {verb}"


@dataclass(frozen=True)
class Outcome:
    """How one ended. content: the JSON of a report, None: it was not granted, and text says why.
    later: for now; it may be wished again."""

    text: str
    content: bytes | None
    later: bool = False


class ModelWishes:
    """At most one wish under way. All but what it gives the loader is on the loop's thread.

    formats: of models that can run here, the best first, once that is known.
    """

    def __init__(self, line: AgentLine, loader: Loader, takeover: Takeover) -> None:
        self.formats: tuple[str, ...] = ()
        self._line = line
        self._loader = loader
        self._takeover = takeover
        self._wish: Wish | None = None
        self._reconsider_s = 0.0
        self._outcomes: SimpleQueue[Outcome] = SimpleQueue()

    @property
    def trouble(self) -> str | None:
        """Why a newer model than the one that runs does not run."""
        return self._takeover.trouble

    def learn_formats(self, engine_kind: str | None) -> None:
        """Find out which formats can run here, unless that is known; it takes a while.
        engine_kind: the configured one."""

        def learn() -> None:
            self.formats = self.formats or working_formats(engine_kind)

        self._loader.do(learn)

    def take(self, message: CheckModel | LoadModel, now_s: float) -> None:
        if self._wish is not None:
            text = f"busy: {self._wish}: ask again when that is done"
            self._line.postpone(message.id, text, now_s + ANSWER_S)
            return
        wish = self._wish = Wish(message, now_s + PATIENCE_S)
        self._loader.do(lambda: self._outcomes.put(self._done(wish)))

    def tick(self, now_s: float) -> None:
        """Answer what is done. Raises what went wrong on the loader's thread, if it is a bug, and
        RuntimeError if it hangs: who is started anew has another."""
        if self._loader.bug is not None:
            raise self._loader.bug
        if self.trouble is None or now_s >= self._reconsider_s:
            self._reconsider_s = now_s + RECONSIDER_S
            if self.trouble is not None:
                self._loader.do(self._takeover.reconsider)
        wish = self._wish
        if wish is None:
            return
        try:
            outcome = self._outcomes.get_nowait()
        except Empty:
            if now_s >= wish.until_s and not wish.is_over:
                wish.is_over = True
                text = f"{wish} since {PATIENCE_S:.0f} s: nobody waits for it any more"
                self._line.decline(wish.message.id, text, now_s + ANSWER_S)
            if now_s >= wish.until_s - PATIENCE_S + HUNG_S:
                raise RuntimeError(f"{wish} since {HUNG_S:.0f} s: its thread hangs") from None
            return
        self._wish = None
        if wish.is_over:
            return
        if outcome.content is not None:
            self._line.answer(wish.message.id, outcome.content, outcome.text, now_s + ANSWER_S)
        elif outcome.later:
            self._line.postpone(wish.message.id, outcome.text, now_s + ANSWER_S)
        else:
            self._line.decline(wish.message.id, outcome.text, now_s + ANSWER_S)

    def answered(self, digest: str) -> None:
        """A model gave its first result. It may die of the next one, so the note does not wait for
        what the loader does, nor the loop for the disk."""
        note = self._takeover.note_answered
        threading.Thread(target=note, args=(digest,), name="note", daemon=True).start()

    def close(self, now_s: float) -> None:
        """Give up what is under way, and say so. May be called twice."""
        wish, self._wish = self._wish, None
        if wish is not None and not wish.is_over:
            wish.is_over = True
            self._line.postpone(wish.message.id, ENDS, now_s)

    def _done(self, wish: Wish) -> Outcome:
        message = wish.message
        if wish.is_over:
            return Outcome(ENDS, None, later=True)
        try:
            if isinstance(message, CheckModel):
                checked = self._takeover.check(message.digest)
                text = f"{checked.name} {checked.version} keeps its manifest"
                return Outcome(text, msgspec.json.encode(checked))
            loaded = self._takeover.load(message.digest, lambda: wish.is_over)
            name = f"{loaded.model} {loaded.version} ({loaded.digest[:12]})"
            text = f"{name} runs" if loaded.digest else "there is no model to run"
            return Outcome(text, msgspec.json.encode(loaded))
        except WHAT_FAILS as trouble:
            # a check that could not be made says nothing of the model
            is_unmade = isinstance(message, CheckModel) and not isinstance(trouble, Refused)
            return Outcome(str(trouble) or type(trouble).__name__, None, is_unmade)
