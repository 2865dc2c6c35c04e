"""What is known of the trials of a pipeline: what was noted, and what the models themselves say."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from agent.update.gates import bar_of
from agent.update.log import Refusal, Tried, UpdateLog, What
from models import manifest
from models.manifest import Manifest
from models.pipelines import PipelineState
from models.store import Store
from wire.deployments import Gates, Rule
from wire.messages import UpdatePhase
from wire.troubles import Trouble


@dataclass(frozen=True)
class End:
    """How a trial ended: said when the pipeline's process runs what it should."""

    phase: UpdatePhase
    tried: Tried
    reason: str


class TrialRecords:
    """Looked up by digest."""

    def __init__(self, store: Store, words: UpdateLog) -> None:
        self._store = store
        self._words = words
        self._found: Tried | None = None

    def tried(self, digest: str, state: PipelineState) -> Tried:
        """What was noted of its trial; without that what the model itself says, and the store."""
        found = self._words.tried
        if found is None or found.what.digest != digest:
            if self._found is None or self._found.what.digest != digest:
                self._found = self._read(digest, state)
            found = self._found
        if self._words.is_about(digest) and self._words.attempt > found.attempt:
            return replace(found, attempt=self._words.attempt)  # we died before it was noted
        return found

    def name_of_active(self, state: PipelineState) -> str:
        """Of what is to run, for a person."""
        if state.active is None:
            return "the configured model"
        return self.tried(state.active, state).what.name

    def untold(self, state: PipelineState) -> End | None:
        """A trial that ended in the store, and that the state shows still."""
        update = self._words.update
        if update is None or update.phase != "trial" or update.digest is None:
            return None
        digest, tried = update.digest, self.tried(update.digest, state)
        if digest == state.good:
            return End("good", tried, f"it passed its trial of {tried.bar.trial_s:g} s")
        rejection = state.rejection(digest)
        if rejection is None or digest == state.active:
            return None
        if self._words.refusal(digest) is None:
            self._words.refuse(digest, Refusal("rolled_back", tried.attempt))
        return End(
            "rolled_back", tried, f"{rejection.reason}; back to {self.name_of_active(state)}"
        )

    def is_version(self, digest: str, rule: Rule) -> bool:
        """Whether an installed model is the version that a rule names."""
        found = self._manifest(digest)
        return found is not None and (found.name, found.version) == (rule.model, rule.version)

    def _read(self, digest: str, state: PipelineState) -> Tried:
        wished, trial = Gates(), state.trial
        if trial is not None and trial.digest == digest:
            first_s = trial.first_result_s or None
            wished = Gates(trial_s=trial.length_s or None, first_result_s=first_s)
        found = self._manifest(digest)
        name, version = (found.name, found.version) if found else (digest[:12], "?")
        return Tried(What(name, version, digest, 0), 0, bar_of(found, wished), None)

    def _manifest(self, digest: str) -> Manifest | None:
        try:
            return manifest.load(self._store.folder(digest))
        except Trouble:
            return None
